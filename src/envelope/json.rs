//! mqhook's own bodies: everything that is known of an event, in one object.
//!
//! `id`, `kind`, `time` (RFC 3339), then `client_id`, `username`, `address`, and then by kind:
//!
//! | of | keys |
//! |---|---|
//! | messages | `topic qos retain`, `protocol_version` if it is told, properties of MQTT 5 that there are, `payload payload_encoding` |
//! | connections | `protocol_version keep_alive_s clean_start refused` |
//! | ends of connections and sessions | `reason connected_at` |
//! | subscriptions | `topic_filter qos` |
//! | notices | `about_webhook about_event_id about_kind about_attempts reason` |
//!
//! `payload_encoding` is `json` for a payload that is JSON, which stands in the body as it came; `text`
//! for any other text; and `base64` for what is no text, or whatever `body.encoding` asks for. The
//! properties are `payload_is_text`, `message_expiry_s`, `content_type`, `response_topic`,
//! `correlation_data` (base64) and `user_properties`, a list of `{"name", "value"}`. `null` is "the
//! broker did not tell".

use bytes::Bytes;

use super::writer::key;
use super::{Config, attributes};
use crate::event::Event;

/// Returns the body that tells of `event`.
pub(super) fn body(event: &Event, config: &Config) -> Bytes {
    let object = attributes::object(event)
        .string(key!("id"), &event.id.to_string())
        .plain(key!("kind"), event.kind.name())
        .string(key!("time"), &event.time.rfc3339());
    attributes::add(object, event, config).finish()
}
