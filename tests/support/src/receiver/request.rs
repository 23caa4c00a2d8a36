//! Requests as they came off the wire, and the reader that finds their ends.

use std::fmt;
use std::io;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::chunked::{self, Chunked};
use crate::wire::Wire;

/// Longest head that is read; a longer one counts as malformed.
const MAX_HEAD: usize = 1 << 20;

/// A captured request. Cloning is cheap: the bytes are shared.
#[derive(Clone)]
pub struct Request {
    head: Bytes,
    /// The body, without chunked coding.
    pub body: Bytes,
    /// Which connection it came on, counted from 1.
    pub connection: u64,
    /// Which request it was on that connection, counted from 1.
    pub number: u64,
    /// When its last byte was read.
    pub arrived: Instant,
}

impl Request {
    /// Returns the method as sent.
    #[must_use]
    pub fn method(&self) -> &str {
        self.request_line().next().unwrap_or_default()
    }

    /// Returns the request target as sent.
    #[must_use]
    pub fn target(&self) -> &str {
        self.request_line().nth(1).unwrap_or_default()
    }

    /// Returns the header names and values in the order and the case they were sent in.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut lines = self.head.split(|byte| *byte == b'\n');
        lines.next();
        lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((
                std::str::from_utf8(&line[..colon]).ok()?,
                line[colon + 1..].trim_ascii(),
            ))
        })
    }

    /// Returns the header lines as sent, such as `content-type: application/json`.
    #[must_use]
    pub fn header_lines(&self) -> Vec<String> {
        let head = String::from_utf8_lossy(&self.head);
        head.lines()
            .skip(1)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Returns the value of the first header called `name`, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let found = self
            .headers()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Returns the body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("expected a body of UTF-8")
    }

    /// Says whether the client asked for the connection to be closed after the answer.
    pub(super) fn is_last(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn request_line(&self) -> impl Iterator<Item = &str> {
        let end = self
            .head
            .iter()
            .position(|byte| *byte == b'\r')
            .unwrap_or(0);
        std::str::from_utf8(&self.head[..end])
            .unwrap_or_default()
            .split(' ')
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(
            formatter,
            "#{}/{} {} {} {body}",
            self.connection,
            self.number,
            self.method(),
            self.target()
        )
    }
}

/// Reads requests from one connection.
pub(super) struct Reader {
    buffer: BytesMut,
    connection: u64,
    requests: u64,
}

enum Framing {
    Length(usize),
    Chunked,
}

impl Reader {
    pub(super) fn new(connection: u64) -> Self {
        Self {
            buffer: BytesMut::with_capacity(16 * 1024),
            connection,
            requests: 0,
        }
    }

    /// Returns the next request, or `None` when the client closed between two.
    ///
    /// # Errors
    /// `InvalidData` when it is not HTTP/1.1, `UnexpectedEof` when it stops in the middle.
    pub(super) async fn read(&mut self, wire: &mut dyn Wire) -> io::Result<Option<Request>> {
        let Some(head) = self.read_head(wire).await? else {
            return Ok(None);
        };
        self.requests += 1;
        let mut request = Request {
            head,
            body: Bytes::new(),
            connection: self.connection,
            number: self.requests,
            arrived: Instant::now(),
        };
        let framing = framing(&request)?;
        if request
            .header("expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
        {
            wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            wire.flush().await?;
        }
        request.body = match framing {
            Framing::Length(length) => self.read_length(wire, length).await?,
            Framing::Chunked => self.read_chunked(wire).await?,
        };
        request.arrived = Instant::now();
        Ok(Some(request))
    }

    /// Waits until the client has closed; a pipelined request stays in the buffer.
    pub(super) async fn until_closed(&mut self, wire: &mut dyn Wire) {
        while self.fill(wire).await.is_ok_and(|read| read > 0) {}
    }

    /// Waits until the client has sent more or has closed.
    ///
    /// Cancel safe: what was read stays in the buffer.
    pub(super) async fn until_more(&mut self, wire: &mut dyn Wire) {
        if self.buffer.is_empty() {
            // An error shows again at the next read.
            let _ = self.fill(wire).await;
        }
    }

    async fn read_head(&mut self, wire: &mut dyn Wire) -> io::Result<Option<Bytes>> {
        let mut searched = 0;
        loop {
            if let Some(end) = find_end(&self.buffer, searched) {
                return Ok(Some(self.buffer.split_to(end).freeze()));
            }
            searched = self.buffer.len().saturating_sub(3);
            if searched > MAX_HEAD {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.fill(wire).await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    async fn read_length(&mut self, wire: &mut dyn Wire, length: usize) -> io::Result<Bytes> {
        while self.buffer.len() < length {
            self.fill_more(wire).await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn read_chunked(&mut self, wire: &mut dyn Wire) -> io::Result<Bytes> {
        loop {
            match chunked::decode(&self.buffer) {
                Chunked::Complete { body, consumed } => {
                    self.buffer.advance(consumed);
                    return Ok(body.into());
                }
                Chunked::Partial => self.fill_more(wire).await?,
                Chunked::Malformed => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    async fn fill_more(&mut self, wire: &mut dyn Wire) -> io::Result<()> {
        match self.fill(wire).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn fill(&mut self, wire: &mut dyn Wire) -> io::Result<usize> {
        if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(16 * 1024);
        }
        wire.read_buf(&mut self.buffer).await
    }
}

fn find_end(buffer: &[u8], from: usize) -> Option<usize> {
    buffer[from..]
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| from + at + 4)
}

fn framing(request: &Request) -> io::Result<Framing> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    if !request
        .request_line()
        .nth(2)
        .is_some_and(|version| version.starts_with("HTTP/1."))
    {
        return Err(invalid());
    }
    if request.header("transfer-encoding").is_some() {
        return Ok(Framing::Chunked);
    }
    let length = request
        .header("content-length")
        .map_or(Ok(0), |value| value.parse());
    length.map(Framing::Length).map_err(|_| invalid())
}
