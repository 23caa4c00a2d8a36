//! What a receiver does with one request, as a closed enum, and the gate a test opens.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::retry_after::RetryAfter;

/// What to do with a request that has been read completely.
///
/// A behaviour that does not mention the connection keeps it open for the next request, unless the
/// client sent `Connection: close`.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// An empty answer with this status code. Below 200 it is an interim one, after which the client
    /// waits in vain.
    Status(u16),
    /// This answer.
    Answer(Answer),
    /// Waits, then behaves; gives up when the client closes meanwhile.
    Delay(Duration, Box<Behaviour>),
    /// Waits until the test opens the gate, then behaves; gives up when the client closes meanwhile.
    Hold(Gate, Box<Behaviour>),
    /// A TCP RST instead of an answer.
    ResetBeforeAnswer,
    /// A TCP RST in the middle of the headers of a 200.
    ResetInHeaders,
    /// A TCP RST after the headers of a 200 whose body never comes.
    ResetAfterHeaders,
    /// An orderly close (FIN) instead of an answer.
    CloseBeforeAnswer,
    /// Nothing, until the client closes.
    Never,
    /// A 200 whose body comes one byte at a time.
    DripBody {
        /// Pause before each byte.
        every: Duration,
        /// Bytes to send, announced as Content-Length; `None` is a chunked body without end.
        length: Option<u64>,
    },
    /// A 200 with a chunked body without end, as fast as the client reads.
    EndlessBody,
    /// A 200 with headers without end, as fast as the client reads.
    EndlessHeaders,
    /// A 200 whose Content-Length is not the length of its body. The connection is closed after
    /// too short a body and kept after too long a one.
    WrongLength {
        /// The Content-Length.
        declared: u64,
        /// The length of the body.
        sent: u64,
    },
    /// An interim `100 Continue` nobody asked for, then the behaviour.
    Continue100ThenAnswer(Box<Behaviour>),
    /// A 200 with a header value that is not UTF-8.
    NonUtf8Header,
    /// A 200, and a close once the connection has had this many answers.
    CloseAfterAnswer {
        /// Answers per connection.
        answers: u64,
        /// Whether the last one carries `Connection: close`.
        announced: bool,
    },
    /// A 200, and an unannounced close when no request follows within this time. A request that was
    /// just on its way is lost, as behind every proxy that closes idle connections.
    CloseWhenIdle(Duration),
    /// An HTTP/1.0 answer with this status whose body ends with the connection.
    Http10(u16),
    /// Bytes that are not HTTP, then a close.
    Garbage,
}

impl Behaviour {
    /// Returns this behaviour after a pause.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::Delay(delay, Box::new(self))
    }

    /// Returns this behaviour once `gate` is open.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Self::Hold(gate.clone(), Box::new(self))
    }
}

/// An answer, sent as it is.
///
/// A Content-Length is added unless the headers have one or a Transfer-Encoding, or the status
/// allows no body (1xx, 204, 304). The body is sent in any case.
#[derive(Clone, Debug)]
#[must_use]
pub struct Answer {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Bytes,
}

impl Answer {
    /// Starts with a status code, no headers and no body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a header as written.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Adds a `Retry-After`.
    pub fn retry_after(self, value: RetryAfter) -> Self {
        self.header("Retry-After", value.value())
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes =
            format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !matches!(self.status, 100..=199 | 204 | 304) && !self.is_framed() {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn is_framed(&self) -> bool {
        let framing = ["content-length", "transfer-encoding"];
        self.headers
            .iter()
            .any(|(name, _)| framing.contains(&name.to_ascii_lowercase().as_str()))
    }
}

/// What becomes of a new connection before anything is read from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// Its requests are read.
    #[default]
    Open,
    /// A TCP RST at once.
    Reset,
    /// An orderly close (FIN) at once.
    Closed,
    /// It is kept, and never read from, until the client closes.
    Deaf,
}

/// Holds requests back until it is opened; clones are the same gate.
///
/// Dropping every clone outside of behaviours leaves it shut for good.
#[derive(Clone, Debug)]
pub struct Gate {
    open: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::shut()
    }
}

impl Gate {
    /// Returns a gate that is shut.
    #[must_use]
    pub fn shut() -> Self {
        Self {
            open: watch::Sender::new(false),
        }
    }

    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        let mut open = self.open.subscribe();
        // This gate holds the sender, so the channel cannot close.
        let _ = open.wait_for(|open| *open).await;
    }
}

pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 | 302 | 307 | 308 => "Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        410 => "Gone",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
