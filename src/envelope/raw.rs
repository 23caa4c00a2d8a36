//! Bodies that are the payload, byte by byte; the rest stands in headers.
//!
//! `content-type` is the publisher's, if it gave one that is a media type (MQTT 5), and otherwise
//! `application/octet-stream`. The headers, each only if there is something to say:
//!
//! | header | value |
//! |---|---|
//! | `mqhook-event`, `mqhook-time` | the kind, such as `on_message_publish`; RFC 3339 |
//! | `mqhook-topic`, `mqhook-qos`, `mqhook-retain` | of the message |
//! | `mqhook-client-id`, `mqhook-username`, `mqhook-address` | of the client |
//! | `mqhook-protocol-version` | of the client: 3, 4 or 5 |
//! | `mqhook-response-topic`, `mqhook-correlation-data` | MQTT 5; the latter in base64 |
//! | `mqhook-payload-is-text`, `mqhook-message-expiry` | MQTT 5: `true` or `false`; seconds |
//! | `mqhook-user-property` | MQTT 5: `name=value`, once per property |
//!
//! Values are percent-encoded but for visible ASCII without `"` and `%`; those of user properties
//! likewise but for letters, digits, `-`, `.`, `_` and `~`. An event without a payload has the body of
//! the format `json`, which is `application/json`, and the headers `mqhook-event` and `mqhook-time`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use super::metadata::Metadata;
use super::{Body, Config, Rejected, json};
use crate::event::{Detail, Event, Message, Properties};
use crate::payload::media_type;

/// The media type of a payload of which none is known.
pub(super) const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Returns the body that tells of `event`.
pub(super) fn body(event: &Event, config: &Config) -> Result<Body, Rejected> {
    let mut metadata = Metadata::default();
    metadata.number("mqhook-event", event.kind);
    metadata.number("mqhook-time", event.time.rfc3339());
    let (bytes, content_type) = match &event.detail {
        Detail::Message(message) => {
            add(&mut metadata, event, message);
            (message.payload.clone(), content_type(message))
        }
        _ => (json::body(event, config), Some(Config::JSON)),
    };
    Ok(Body {
        bytes,
        content_type,
        headers: metadata.finish()?,
    })
}

fn add(metadata: &mut Metadata, event: &Event, message: &Message) {
    metadata.text("mqhook-topic", message.topic.as_str());
    metadata.number("mqhook-qos", message.qos);
    metadata.number("mqhook-retain", message.retain);
    metadata.text_if("mqhook-client-id", event.client.id.as_deref());
    metadata.text_if("mqhook-username", event.client.username.as_deref());
    metadata.text_if("mqhook-address", event.client.address.as_deref());
    if let Some(version) = message.protocol_version {
        metadata.number("mqhook-protocol-version", version);
    }
    if let Some(properties) = &message.properties {
        add_properties(metadata, properties);
    }
}

fn add_properties(metadata: &mut Metadata, properties: &Properties) {
    metadata.text_if(
        "mqhook-response-topic",
        properties.response_topic.as_deref(),
    );
    if let Some(data) = &properties.correlation_data {
        metadata.text("mqhook-correlation-data", &STANDARD.encode(data));
    }
    if let Some(is_text) = properties.is_text {
        metadata.number("mqhook-payload-is-text", is_text);
    }
    if let Some(expiry_s) = properties.expiry_s {
        metadata.number("mqhook-message-expiry", expiry_s);
    }
    for (name, value) in &properties.user {
        metadata.pair("mqhook-user-property", name, value);
    }
}

/// Returns the publisher's media type, if it is one.
pub(super) fn content_type(message: &Message) -> Option<HeaderValue> {
    let text = message.properties.as_ref()?.content_type.as_deref()?;
    let value = HeaderValue::from_str(text).ok();
    value.filter(|_| media_type::is_valid(text))
}
