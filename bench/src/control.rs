//! The smallest HTTP client that can ask the receiver and mqhook's admin API.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const WITHIN: Duration = Duration::from_secs(5);

/// An answer: status code and body.
pub struct Answer {
    /// The status code.
    pub status_code: u16,
    /// The body, as text.
    pub body: String,
}

/// Sends a request without a body on a connection of its own and reads the answer.
///
/// # Errors
/// There is no whole answer within five seconds.
pub async fn ask(method: &str, address: SocketAddr, target: &str) -> anyhow::Result<Answer> {
    timeout(WITHIN, exchange(method, address, target))
        .await
        .with_context(|| format!("{method} {target}: no answer within {WITHIN:?}"))?
        .with_context(|| format!("{method} {target}"))
}

async fn exchange(method: &str, address: SocketAddr, target: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    // The receiver's 204 keeps the connection open, so the end of the head has to do there.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") || !answer.starts_with(b"HTTP/1.1 204") {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let answer = String::from_utf8(answer)?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("cut off answer");
    };
    let status_code = head.split(' ').nth(1).context("no status code")?.parse()?;
    Ok(Answer {
        status_code,
        body: body.to_owned(),
    })
}
