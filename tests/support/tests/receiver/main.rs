//! Every behaviour of the receiver, as seen by a client that reads raw bytes.

mod answers;
mod connections;
mod requests;

use std::time::Duration;

use support::receiver::Receiver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
const SOON: Duration = Duration::from_secs(5);

async fn connect(receiver: &Receiver) -> TcpStream {
    TcpStream::connect(("127.0.0.1", receiver.port()))
        .await
        .expect("the receiver accepts")
}

/// Sends one request and reads until the receiver closes or resets.
async fn until_end(receiver: &Receiver) -> (String, std::io::Result<usize>) {
    let mut stream = connect(receiver).await;
    stream.write_all(GET).await.expect("the receiver reads");
    let mut answer = Vec::new();
    let end = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("the receiver ends it");
    (String::from_utf8_lossy(&answer).into_owned(), end)
}

/// Reads until the bytes so far end with `end`.
async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(end) {
            answer.push(stream.read_u8().await.expect("more bytes"));
        }
    };
    timeout(SOON, reading)
        .await
        .expect("the expected bytes come soon");
    answer
}

async fn exchange(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.expect("the receiver reads");
    String::from_utf8_lossy(&read_until(stream, b"\r\n\r\n").await).into_owned()
}

fn was_reset(end: &std::io::Result<usize>) -> bool {
    end.as_ref()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}
