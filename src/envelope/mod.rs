//! Envelopes: what the body of a request looks like.
//!
//! There is one so far, [`nanomq`], with the keys of `NanoMQ`'s own webhook. Every body
//! is one JSON object in UTF-8, whatever bytes the event holds.

mod json;
mod nanomq;

use bytes::Bytes;

use crate::event::Event;
use crate::payload::{Encoded, Encoding, NotUtf8};

/// How bodies are made; the `body` table of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// How payloads become JSON strings; default plain.
    pub encoding: Encoding,
    /// What `plain` does with a payload that is not UTF-8; default base64.
    pub not_utf8: NotUtf8,
}

impl Config {
    /// The media type of the bodies.
    pub const CONTENT_TYPE: &'static str = "application/json";

    /// Returns the body that tells of `event`.
    #[must_use]
    pub fn body(&self, event: &Event) -> Bytes {
        nanomq::body(event, self)
    }

    /// Returns the text that stands for a payload.
    fn encode<'a>(&self, payload: &'a [u8]) -> Encoded<'a> {
        self.encoding.encode(payload, self.not_utf8)
    }

    /// Returns whether making the body may take longer than a task should run between two awaits.
    #[must_use]
    pub fn is_slow(&self, event: &Event) -> bool {
        /// Base62 of this many bytes takes a millisecond or two.
        const QUICK_BYTES: usize = 16 * 1024;
        matches!(&event.detail, crate::event::Detail::Message(message)
            if self.encoding == Encoding::Base62 && message.payload.len() > QUICK_BYTES)
    }
}
