//! Envelopes: what the body of a request looks like.
//!
//! | `body.format` | body | media type |
//! |---|---|---|
//! | [`nanomq`] | a flat object with the keys of `NanoMQ`'s own webhook | `application/json` |
//! | [`json`] | an object with all that is known of the event | `application/json` |
//! | [`raw`] | the payload as it is; the rest in headers | the publisher's |
//! | [`mender`] | `id`, `type`, `data`, `time`, as Mender's webhooks have them | `application/json` |
//! | [`cloudevents`] | `CloudEvents` 1.0.2, structured or binary | `application/cloudevents+json`, or the data's |
//! | [`template`] | what a template of the user's says | the user's |
//!
//! Whatever bytes the event holds, a body that says that it is JSON is JSON, and no header holds
//! more than visible ASCII. A format is a file here and a line in [`Format`].

mod attributes;
pub mod cloudevents;
mod json;
mod mender;
mod metadata;
mod nanomq;
mod raw;
pub mod template;
mod writer;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use thiserror::Error;

use crate::event::{Detail, Event};
use crate::payload::{Encoded, Encoding, NotUtf8};
use crate::template::{Error as TemplateError, Scope};

/// How bodies are made; the `body` table of a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// What a body looks like; default `NanoMQ`'s.
    pub format: Format,
    /// How payloads become JSON strings; default plain.
    pub encoding: Encoding,
    /// What `plain` does with a payload that is not UTF-8; default base64.
    pub not_utf8: NotUtf8,
}

/// What a body looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// As `NanoMQ`'s webhook has it.
    #[default]
    Nanomq,
    /// mqhook's own, with everything.
    Json,
    /// The payload.
    Raw,
    /// As Mender's webhooks have it.
    Mender,
    /// `CloudEvents`.
    CloudEvents(cloudevents::Config),
    /// The user's own.
    Template(template::Body),
}

impl Format {
    /// The names that `body.format` takes, in the order of the documentation.
    pub const NAMES: [&'static str; 6] =
        ["nanomq", "json", "raw", "mender", "cloudevents", "template"];

    /// Returns the name that `body.format` takes.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Nanomq => "nanomq",
            Self::Json => "json",
            Self::Raw => "raw",
            Self::Mender => "mender",
            Self::CloudEvents(_) => "cloudevents",
            Self::Template(_) => "template",
        }
    }
}

/// The content of a request, and what must be said of it in headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The content.
    pub bytes: Bytes,
    /// The media type, where it is not [`Config::content_type`]. Such a body is not to be joined with
    /// others.
    pub content_type: Option<HeaderValue>,
    /// Headers that belong to the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            content_type: None,
            headers: Vec::new(),
        }
    }
}

/// Why an event has no body; it will not have one at another attempt. Holds nothing of the event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejected {
    /// The template makes nothing of it.
    #[error("body.template: {0}")]
    Template(TemplateError),
    /// It has more metadata than a receiver takes as headers.
    #[error("its metadata is too much for headers")]
    TooMuchMetadata,
}

impl Config {
    /// The media type of most bodies.
    const JSON: HeaderValue = HeaderValue::from_static("application/json");

    /// Returns the media type of the bodies, unless a body brings another.
    #[must_use]
    pub fn content_type(&self) -> HeaderValue {
        match &self.format {
            Format::Nanomq | Format::Json | Format::Mender => Self::JSON,
            Format::Raw => raw::CONTENT_TYPE,
            Format::CloudEvents(config) => config.content_type(),
            Format::Template(body) => body.content_type.clone(),
        }
    }

    /// Returns the media type of several bodies joined to a JSON array; `None` if they are not to be
    /// joined.
    #[must_use]
    pub fn batch_content_type(&self) -> Option<HeaderValue> {
        match &self.format {
            Format::Nanomq | Format::Json | Format::Mender => Some(Self::JSON),
            Format::Raw => None,
            Format::CloudEvents(config) => config.batch_content_type(),
            Format::Template(body) => body.is_json().then(|| body.content_type.clone()),
        }
    }

    /// Returns the body that tells of `event`.
    ///
    /// # Errors
    /// The format makes nothing of this event.
    pub fn body(&self, event: &Arc<Event>) -> Result<Body, Rejected> {
        match &self.format {
            Format::Nanomq => Ok(nanomq::body(event, self).into()),
            Format::Json => Ok(json::body(event, self).into()),
            Format::Raw => raw::body(event, self),
            Format::Mender => Ok(mender::body(event, self).into()),
            Format::CloudEvents(config) => cloudevents::body(event, config),
            Format::Template(body) => body.of(&self.scope(event)),
        }
    }

    /// Returns the variables of an event, for templates outside the body as well.
    #[must_use]
    pub fn scope(&self, event: &Arc<Event>) -> Scope {
        Scope::new(event, self.encoding, self.not_utf8)
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
        /// So does looking whether this much is JSON.
        const QUICK_JSON_BYTES: usize = 256 * 1024;
        let Detail::Message(message) = &event.detail else {
            return false;
        };
        let quick = match (&self.format, self.encoding) {
            (Format::Raw, _) | (Format::Nanomq, Encoding::Plain | Encoding::Base64) => {
                return false;
            }
            (Format::CloudEvents(_), _) | (_, Encoding::Plain | Encoding::Base64) => {
                QUICK_JSON_BYTES
            }
            (_, Encoding::Base62) => QUICK_BYTES,
        };
        message.payload.len() > quick
    }
}

/// Returns what is published of a notice: `NanoMQ`'s body.
#[must_use]
pub fn notice(event: &Event) -> Bytes {
    nanomq::body(event, &Config::default())
}
