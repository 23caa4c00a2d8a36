//! What a request carries: one event or several, compressed or not.
//!
//! Of several events one may have no body, or one that cannot be joined with others. Then there is
//! no request of all of them ([`Class::Request`]), and they are to be tried by fewer, down to one.

use std::sync::Arc;

use http::HeaderValue;
use tokio::time::{Instant, timeout_at};

use super::Config;
use super::batch::BatchFormat;
use super::compression::Compression;
use crate::envelope::{self, Body, Rejected};
use crate::event::Event;
use crate::sink::{Class, Failure, Outcome};
use crate::template::Scope;

/// Bodies of so many bytes of events, or of so many events, are made on another thread.
const QUICK_BYTES: usize = 256 * 1024;
const QUICK_EVENTS: usize = 500;

/// What a request carries.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) body: Body,
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
    ) -> Result<Content, Outcome> {
        if !self.is_slow(events) {
            return self.make(events).map_err(Outcome::Rejected);
        }
        let (contents, events) = (self.clone(), events.to_vec());
        let making = tokio::task::spawn_blocking(move || contents.make(&events));
        match timeout_at(deadline, making).await {
            Ok(Ok(made)) => made.map_err(Outcome::Rejected),
            Ok(Err(error)) => Err(Outcome::Retry(Failure::because(Class::Other, &error))),
            Err(_elapsed) => Err(Outcome::Retry(Class::Timeout.into())),
        }
    }

    /// Returns the variables of an event, for templates outside the body.
    pub(super) fn scope(&self, event: &Arc<Event>) -> Scope {
        self.body.scope(event)
    }

    fn make(&self, events: &[Arc<Event>]) -> Result<Content, Failure> {
        let mut body = match (self.batch, events) {
            (None, [event]) => self.body.body(event).map_err(|why| rejected(&why))?,
            (format, events) => self.joined(format.unwrap_or_default(), events)?,
        };
        let (bytes, encoding) = self.compression.compress(body.bytes);
        body.bytes = bytes;
        Ok(Content { body, encoding })
    }

    /// Joins the bodies of several events. A single one that cannot be joined goes as it is.
    fn joined(&self, format: BatchFormat, events: &[Arc<Event>]) -> Result<Body, Failure> {
        let mut bodies = Vec::with_capacity(events.len());
        for event in events {
            let body = self.body.body(event).map_err(|why| rejected(&why))?;
            match (&body.content_type, events) {
                (None, _) => bodies.push(body.bytes),
                (Some(_), [_]) => return Ok(body),
                (Some(_), _) => {
                    return Err(Failure {
                        detail: "a body that is not to be joined with others".to_owned(),
                        ..Class::Request.into()
                    });
                }
            }
        }
        Ok(format.join(&bodies).into())
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

/// Returns the media type of what requests carry, unless a body brings another.
pub(super) fn content_type(config: &Config) -> HeaderValue {
    match config.batch {
        None => config.body.content_type(),
        Some(BatchFormat::Ndjson) => HeaderValue::from_static("application/x-ndjson"),
        Some(BatchFormat::Json | BatchFormat::CloudEvents) => {
            let joined = config.body.batch_content_type();
            joined.unwrap_or_else(|| config.body.content_type())
        }
    }
}

fn rejected(why: &Rejected) -> Failure {
    Failure {
        detail: why.to_string(),
        ..Class::Request.into()
    }
}
