//! One HTTP request over a new connection, for admin interfaces: no redirects, no TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::chunked::{self, Chunked};
use crate::port::loopback;
use crate::wire::bounded;

/// Sends a GET and returns the status code and the body.
///
/// # Panics
/// When nothing answers, or the answer is not HTTP.
pub async fn get(port: u16, target: &str) -> (u16, String) {
    request(port, "GET", target, "").await
}

/// Sends a request with a JSON body, or none when it is empty; returns the status code and the body.
///
/// # Panics
/// When nothing answers, or the answer is not HTTP.
pub async fn request(port: u16, method: &str, target: &str, body: &str) -> (u16, String) {
    let answer = try_request(port, method, target, body).await;
    answer.unwrap_or_else(|| panic!("expected an HTTP answer to {method} {target} on port {port}"))
}

/// Like [`request`], but `None` when nothing listens or the connection breaks.
pub async fn try_request(
    port: u16,
    method: &str,
    target: &str,
    body: &str,
) -> Option<(u16, String)> {
    let framing = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{framing}\r\n"
    );
    let expected = format!("an answer to {method} {target}");
    let exchange = exchange(port, head + body);
    parse(&bounded(&expected, exchange).await.ok()?)
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, decoded if it was chunked.
    pub body: String,
}

impl Answer {
    /// Returns the value of the first field of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Sends a request with these fields and this body, both exactly as they are but for a `Host` where there is none,
/// `Content-Length` and `Connection: close`.
///
/// # Panics
/// When nothing answers, or the answer is not HTTP.
pub async fn send(
    port: u16,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        request += &format!("Host: 127.0.0.1:{port}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    let expected = format!("an answer to {method} {target}");
    let exchange = exchange(port, request + "\r\n" + body);
    let answer = bounded(&expected, exchange).await;
    let answer = answer.unwrap_or_else(|error| panic!("expected {expected}, got {error}"));
    let (status, body) = parse(&answer).unwrap_or_else(|| panic!("expected {expected}"));
    let head = String::from_utf8_lossy(&answer);
    let head = head.split("\r\n\r\n").next().unwrap_or_default();
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let field = |(name, value): (&str, &str)| (name.to_ascii_lowercase(), value.trim().to_owned());
    let headers = fields.map(field).collect();
    Answer {
        status,
        headers,
        body,
    }
}

async fn exchange(port: u16, request: String) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(loopback(port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let body = if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        match chunked::decode(body) {
            Chunked::Complete { body, .. } => body,
            Chunked::Partial | Chunked::Malformed => return None,
        }
    } else {
        body.to_vec()
    };
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}
