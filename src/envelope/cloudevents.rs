//! `CloudEvents` 1.0.2, by its HTTP binding and its JSON format.
//!
//! | attribute | value |
//! |---|---|
//! | `id` | the event's id, as in `webhook-id` |
//! | `source` | as configured, a URI reference |
//! | `type` | `io.mqhook.` and the kind: `io.mqhook.message_publish` |
//! | `subject` | the topic; the client identifier; the webhook that a notice is about |
//! | `time` | RFC 3339 |
//! | `datacontenttype` | the publisher's (MQTT 5), or what the payload looks like: JSON, text, bytes |
//! | `qos`, `retain` | of a message: an integer, a truth value |
//! | `clientid`, `username` | of a client or publisher, where the broker tells |
//! | `responsetopic`, `correlationdata`, `messageexpiry` | MQTT 5; correlation data in base64 |
//! | `userproperties` | MQTT 5: a list of `{"name", "value"}`, as JSON in a string |
//!
//! The data of a message is its payload; of anything else, an object as in the format `json`. In
//! *structured* mode the body holds everything; in *binary* mode the data is the body, and the
//! attributes are `ce-` headers, percent-encoded (HTTP binding, 3.1.3.2). A message whose content type
//! begins with `application/cloudevents` is one already, and is passed through (MQTT binding, 3.2); one
//! that says so in JSON, and lacks what every event must have, is a message like any other.
//! Characters that no attribute may hold (1.0.2, Type System) become U+FFFD.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use serde::Deserialize;

use super::metadata::Metadata;
use super::writer::{Object, key};
use super::{Body, Rejected, attributes, raw};
use crate::event::{Detail, Event, Message};
use crate::payload::{json, media_type};

const STRUCTURED: HeaderValue = HeaderValue::from_static(STRUCTURED_TYPE);
const STRUCTURED_TYPE: &str = "application/cloudevents+json";
const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");

/// What the media type of every event that is one already begins with.
const PREFIX: &str = "application/cloudevents";

/// How `CloudEvents` are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the attributes go; default structured.
    pub mode: Mode,
    /// The `source` of every event; default `mqhook`.
    pub source: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mode: Mode::Structured,
            source: "mqhook".to_owned(),
        }
    }
}

/// Where attributes go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Into the body, around the data.
    #[default]
    Structured,
    /// Into headers.
    Binary,
}

impl Mode {
    /// Every mode by the name that `body.mode` takes.
    pub const ALL: [(&'static str, Self); 2] =
        [("structured", Self::Structured), ("binary", Self::Binary)];
}

impl Config {
    /// Returns whether a text can be a `source`: a URI reference (RFC 3986, 4.1) that is not empty.
    #[must_use]
    pub fn is_source(text: &str) -> bool {
        let is_part = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        !text.is_empty() && text.bytes().all(is_part)
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        match self.mode {
            Mode::Structured => STRUCTURED,
            Mode::Binary => super::Config::JSON,
        }
    }

    pub(super) fn batch_content_type(&self) -> Option<HeaderValue> {
        match self.mode {
            Mode::Structured => Some(BATCH),
            Mode::Binary => None,
        }
    }
}

/// Returns the body that tells of `event`.
pub(super) fn body(event: &Event, config: &Config) -> Result<Body, Rejected> {
    if let Some(body) = passed_through(event, config) {
        return Ok(body);
    }
    match config.mode {
        Mode::Structured => Ok(structured(event, config).into()),
        Mode::Binary => binary(event, config),
    }
}

/// Returns the body of a message that is an event already.
fn passed_through(event: &Event, config: &Config) -> Option<Body> {
    let Detail::Message(message) = &event.detail else {
        return None;
    };
    let content_type = raw::content_type(message)?;
    let start = content_type.as_bytes().get(..PREFIX.len())?;
    if !start.eq_ignore_ascii_case(PREFIX.as_bytes()) {
        return None;
    }
    let is_json = media_type::is(content_type.to_str().unwrap_or_default(), STRUCTURED_TYPE);
    if is_json && !is_event(message) {
        return None;
    }
    // One that could as well have been made here may stand in a batch.
    let is_ours = config.mode == Mode::Structured && is_json;
    Some(Body {
        content_type: (!is_ours).then_some(content_type),
        ..message.payload.clone().into()
    })
}

/// Returns whether a message that says so is an event: what is joined with others into a batch must
/// not spoil it.
fn is_event(message: &Message) -> bool {
    #[derive(Deserialize)]
    struct Required<'a> {
        #[serde(borrow)]
        specversion: Cow<'a, str>,
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let is_object = message.payload.trim_ascii_start().starts_with(b"{");
    let text = json(&message.payload).filter(|_| is_object);
    let required = text.and_then(|text| serde_json::from_str(text).ok());
    required.is_some_and(|it: Required<'_>| {
        it.specversion == "1.0" && ![it.id, it.source, it.kind].iter().any(|it| it.is_empty())
    })
}

/// What an event is about, and its type.
fn data(event: &Event) -> Data<'_> {
    let Detail::Message(message) = &event.detail else {
        let object = attributes::object(event);
        let object = attributes::add(object, event, &super::Config::default());
        return Data {
            bytes: Cow::Owned(object.finish().into()),
            content_type: super::Config::JSON,
            form: Form::Json,
        };
    };
    let declared = raw::content_type(message);
    let is_text = std::str::from_utf8(&message.payload).is_ok();
    let (content_type, form) = match declared {
        Some(declared) => {
            let is_json = media_type::is_json(declared.to_str().unwrap_or_default());
            let is_text = is_text && says_text(message);
            let form = match (is_json, is_text) {
                (true, _) if json(&message.payload).is_some() => Form::Json,
                // Text would be taken for JSON that consists of a string.
                (true, _) | (_, false) => Form::Bytes,
                (false, true) => Form::Text,
            };
            (declared, form)
        }
        None if json(&message.payload).is_some() => (super::Config::JSON, Form::Json),
        None if is_text => (
            HeaderValue::from_static("text/plain; charset=utf-8"),
            Form::Text,
        ),
        None => (raw::CONTENT_TYPE, Form::Bytes),
    };
    Data {
        bytes: Cow::Borrowed(&message.payload),
        content_type,
        form,
    }
}

/// Returns whether the publisher says that the payload is text, by its content type or otherwise; so
/// that an image is bytes, whatever bytes it has.
fn says_text(message: &Message) -> bool {
    message.properties.as_ref().is_some_and(|properties| {
        let content_type = properties.content_type.as_deref().unwrap_or_default();
        properties.is_text == Some(true) || media_type::is_text(content_type)
    })
}

struct Data<'a> {
    bytes: Cow<'a, [u8]>,
    content_type: HeaderValue,
    form: Form,
}

/// How data stands in a JSON object (JSON format, 3.1).
enum Form {
    Json,
    Text,
    Bytes,
}

fn structured(event: &Event, config: &Config) -> Bytes {
    let data = data(event);
    let object = attributes::object(event)
        .plain(key!("specversion"), "1.0")
        .string(key!("id"), &event.id.to_string())
        .string(key!("source"), &config.source)
        .string(key!("type"), &kind(event))
        .string(key!("time"), &event.time.rfc3339());
    let object = match subject(event) {
        Some(subject) => object.string(key!("subject"), &clean(subject)),
        None => object,
    };
    let object = extensions(object, event).string(
        key!("datacontenttype"),
        data.content_type.to_str().unwrap_or_default(),
    );
    let text = std::str::from_utf8(&data.bytes);
    let object = match (data.form, text) {
        (Form::Json, Ok(text)) => object.json(key!("data"), text.trim()),
        (Form::Text, Ok(text)) => object.string(key!("data"), text),
        _ => object.string(key!("data_base64"), &STANDARD.encode(&data.bytes)),
    };
    object.finish()
}

/// Adds the attributes that are not of the standard.
fn extensions(mut object: Object, event: &Event) -> Object {
    if let Some(id) = &event.client.id {
        object = object.string(key!("clientid"), &clean(id));
    }
    if let Some(username) = &event.client.username {
        object = object.string(key!("username"), &clean(username));
    }
    let Detail::Message(message) = &event.detail else {
        return object;
    };
    object = object
        .number(key!("qos"), message.qos)
        .bool(key!("retain"), message.retain);
    let Some(properties) = &message.properties else {
        return object;
    };
    if let Some(topic) = &properties.response_topic {
        object = object.string(key!("responsetopic"), &clean(topic));
    }
    if let Some(data) = &properties.correlation_data {
        object = object.string(key!("correlationdata"), &STANDARD.encode(data));
    }
    if let Some(seconds) = expiry(message) {
        object = object.number(key!("messageexpiry"), seconds);
    }
    match user_properties(message) {
        Some(list) => object.string(key!("userproperties"), &clean(&list)),
        None => object,
    }
}

fn binary(event: &Event, config: &Config) -> Result<Body, Rejected> {
    let data = data(event);
    let mut metadata = Metadata::default();
    metadata.number("ce-specversion", "1.0");
    metadata.number("ce-id", event.id);
    metadata.text("ce-source", &config.source);
    metadata.number("ce-type", kind(event));
    metadata.number("ce-time", event.time.rfc3339());
    let mut text = |name, text: Option<&str>| {
        if let Some(text) = text {
            metadata.text(name, &clean(text));
        }
    };
    text("ce-subject", subject(event));
    text("ce-clientid", event.client.id.as_deref());
    text("ce-username", event.client.username.as_deref());
    if let Detail::Message(message) = &event.detail {
        let properties = message.properties.as_ref();
        let response_topic = properties.and_then(|it| it.response_topic.as_deref());
        let correlation_data = properties.and_then(|it| it.correlation_data.as_ref());
        let correlation_data = correlation_data.map(|bytes| STANDARD.encode(bytes));
        text("ce-responsetopic", response_topic);
        text("ce-correlationdata", correlation_data.as_deref());
        text("ce-userproperties", user_properties(message).as_deref());
        metadata.number("ce-qos", message.qos);
        metadata.number("ce-retain", message.retain);
        if let Some(seconds) = expiry(message) {
            metadata.number("ce-messageexpiry", seconds);
        }
    }
    Ok(Body {
        bytes: match &event.detail {
            Detail::Message(message) => message.payload.clone(),
            _ => data.bytes.into_owned().into(),
        },
        content_type: Some(data.content_type),
        headers: metadata.finish()?,
    })
}

fn kind(event: &Event) -> String {
    format!("io.mqhook.{}", event.kind.action())
}

/// Returns what the event is about; `None` if that is not known or has no name.
fn subject(event: &Event) -> Option<&str> {
    let subject = match &event.detail {
        Detail::Message(message) => Some(message.topic.as_str()),
        Detail::Notice(notice) => Some(&*notice.webhook),
        _ => event.client.id.as_deref(),
    };
    subject.filter(|subject| !subject.is_empty())
}

/// Returns the message expiry as an integer of `CloudEvents`, which has 32 bits and a sign.
fn expiry(message: &Message) -> Option<u32> {
    let seconds = message.properties.as_ref()?.expiry_s?;
    Some(seconds.min(i32::MAX.unsigned_abs()))
}

/// Returns the user properties as JSON, if there are any.
fn user_properties(message: &Message) -> Option<String> {
    let user = &message.properties.as_ref()?.user;
    let list = user
        .iter()
        .map(|(name, value)| serde_json::json!({"name": **name, "value": **value}));
    (!user.is_empty()).then(|| serde_json::Value::Array(list.collect()).to_string())
}

/// Returns a text without the characters that no attribute may hold.
fn clean(text: &str) -> Cow<'_, str> {
    let is_bad = |character: char| {
        let code = u32::from(character);
        character.is_control() || code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code)
    };
    if text.contains(is_bad) {
        text.replace(is_bad, "\u{fffd}").into()
    } else {
        text.into()
    }
}
