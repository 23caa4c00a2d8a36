//! What a request carries: one event or several, compressed or not.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::{Instant, timeout_at};

use super::Config;
use super::batch::BatchFormat;
use super::compression::Compression;
use crate::envelope;
use crate::event::Event;
use crate::sink::{Class, Failure};

/// Bodies of so many bytes of events, or of so many events, are made on another thread.
const QUICK_BYTES: usize = 256 * 1024;
const QUICK_EVENTS: usize = 500;

/// What a request carries.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) bytes: Bytes,
    pub(super) encoding: Option<HeaderValue>,
}

/// Makes contents.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    body: envelope::Config,
    batch: Option<BatchFormat>,
    compression: Compression,
}

impl Contents {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            body: config.body.clone(),
            batch: config.batch,
            compression: config.compression,
        }
    }

    /// Returns what a request about these events carries, made on another thread if it takes long.
    pub(super) async fn of(
        &self,
        events: &[Arc<Event>],
        deadline: Instant,
    ) -> Result<Content, Failure> {
        if !self.is_slow(events) {
            return Ok(self.make(events));
        }
        let (contents, events) = (self.clone(), events.to_vec());
        let making = tokio::task::spawn_blocking(move || contents.make(&events));
        match timeout_at(deadline, making).await {
            Ok(made) => made.map_err(|error| Failure::because(Class::Other, &error)),
            Err(_elapsed) => Err(Class::Timeout.into()),
        }
    }

    fn make(&self, events: &[Arc<Event>]) -> Content {
        let bytes = match (self.batch, events) {
            (None, [event]) => self.body.body(event),
            (format, events) => {
                let bodies: Vec<_> = events.iter().map(|event| self.body.body(event)).collect();
                format.unwrap_or_default().join(&bodies)
            }
        };
        let (bytes, encoding) = self.compression.compress(bytes);
        Content { bytes, encoding }
    }

    fn is_slow(&self, events: &[Arc<Event>]) -> bool {
        if events.iter().any(|event| self.body.is_slow(event)) {
            return true;
        }
        if self.batch.is_none() && self.compression == Compression::None {
            return false;
        }
        let bytes: usize = events.iter().map(|event| event.size()).sum();
        let quick_bytes = QUICK_BYTES.min(self.compression.quick_bytes());
        bytes > quick_bytes || events.len() > QUICK_EVENTS
    }
}
