//! What a receiver remembers of a request when there are hundreds of thousands.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::request::Request;

/// A request without its head. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The request target as sent.
    pub target: Arc<str>,
    /// The value of `webhook-id`; empty when there was none.
    pub event_id: Arc<str>,
    /// The body, without chunked coding.
    pub body: Bytes,
    /// When its last byte was read.
    pub at: Instant,
    /// What the client was told.
    pub answer: Given,
}

/// What became of a request's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// It is still to come.
    Pending,
    /// An answer with this status code was written completely; whether the client read it, nobody knows.
    Status(u16),
    /// The connection ended without a complete answer, whoever ended it.
    Nothing,
}

impl Arrival {
    /// Says whether the client was told that the event is delivered.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.answer, Given::Status(200..=299))
    }

    /// The bytes are copied: a slice would keep the whole read buffer of its connection alive.
    pub(super) fn of(request: &Request) -> Self {
        Self {
            target: request.target().into(),
            event_id: request.header("webhook-id").unwrap_or_default().into(),
            body: Bytes::copy_from_slice(&request.body),
            at: request.arrived,
            answer: Given::Pending,
        }
    }
}
