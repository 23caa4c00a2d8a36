//! The variables: what the names in a template stand for.
//!
//! | of | names |
//! |---|---|
//! | every event | `id`, `kind` and `event` (`on_message_publish`), `action` (`message_publish`), `time` (RFC 3339), `time_ms` |
//! | clients, where the broker tells | `client_id`, `username`, `address` |
//! | messages | `topic`, `topic_levels` (a list), `qos`, `retain`, `protocol_version` where it is told, `payload` (a text), `payload_encoding`, `payload_json` |
//! | messages with MQTT 5 properties | `user_properties` (by name; the last counts), `content_type`, `response_topic`, `correlation_data` (base64), `payload_is_text`, `message_expiry_s` |
//! | connections | `protocol_version`, `keep_alive_s`, `clean_start`, `refused` |
//! | ends | `reason`, `connected_at` |
//! | subscriptions | `topic_filter`, `qos` |
//! | devices | `status`, `previous_status`, `reason`, `first_seen`, `last_seen` |
//! | notices | `about_webhook`, `about_event_id`, `about_kind`, `about_attempts`, `reason` |
//!
//! `payload` is the text that the webhook's `body.encoding` and `body.not_utf8` make of it, and
//! `payload_encoding` says which that was. `payload_json` is the value of a payload that is JSON and
//! has no more than 256 KiB. What an event does not have is undefined.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::Value;
use minijinja::value::{Object, Serde};

use crate::event::{Detail, Device, Event, Message, Properties, Reason, Status, Timestamp};
use crate::payload::{Encoded, Encoding, NotUtf8, json};

/// The largest payload that is taken apart: its values take up to fifty times as much memory.
const MOST_JSON_BYTES: usize = 256 * 1024;

/// Every name, in the order of the documentation.
pub(super) const NAMES: [&str; 37] = [
    "id",
    "kind",
    "event",
    "action",
    "time",
    "time_ms",
    "client_id",
    "username",
    "address",
    "topic",
    "topic_levels",
    "qos",
    "retain",
    "payload",
    "payload_encoding",
    "payload_json",
    "user_properties",
    "content_type",
    "response_topic",
    "correlation_data",
    "payload_is_text",
    "message_expiry_s",
    "protocol_version",
    "keep_alive_s",
    "clean_start",
    "refused",
    "reason",
    "connected_at",
    "topic_filter",
    "about_webhook",
    "about_event_id",
    "about_kind",
    "about_attempts",
    "status",
    "previous_status",
    "first_seen",
    "last_seen",
];

/// What the names stand for, for one event. Nothing is made before a template asks for it, and what is
/// large only once.
#[derive(Debug, Clone)]
pub struct Scope(Arc<Names>);

#[derive(Debug)]
struct Names {
    event: Arc<Event>,
    encoding: Encoding,
    not_utf8: NotUtf8,
    payload: OnceLock<Value>,
    payload_json: OnceLock<Option<Value>>,
    topic_levels: OnceLock<Value>,
}

impl Scope {
    /// Returns the variables of an event, with its payload as text in this encoding.
    #[must_use]
    pub fn new(event: &Arc<Event>, encoding: Encoding, not_utf8: NotUtf8) -> Self {
        Self(Arc::new(Names {
            event: Arc::clone(event),
            encoding,
            not_utf8,
            payload: OnceLock::new(),
            payload_json: OnceLock::new(),
            topic_levels: OnceLock::new(),
        }))
    }

    pub(super) fn value(&self) -> Value {
        Value::from_dyn_object(Arc::clone(&self.0))
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.of(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.of(key)
    }
}

impl Names {
    fn of(&self, name: &str) -> Option<Value> {
        let event = &self.event;
        match name {
            "id" => Some(event.id.to_string().into()),
            "kind" | "event" => Some(event.kind.name().into()),
            "action" => Some(event.kind.action().into()),
            "time" => Some(event.time.rfc3339().into()),
            "time_ms" => Some(event.time.as_millis().into()),
            "client_id" => text(event.client.id.as_deref()),
            "username" => text(event.client.username.as_deref()),
            "address" => text(event.client.address.as_deref()),
            _ => match &event.detail {
                Detail::Message(message) => self.of_message(message, name),
                detail => of_detail(detail, name),
            },
        }
    }

    fn of_message(&self, message: &Message, name: &str) -> Option<Value> {
        match name {
            "topic" => Some(message.topic.as_str().into()),
            "topic_levels" => {
                let levels = || message.topic.levels().map(Value::from).collect();
                Some(self.topic_levels.get_or_init(levels).clone())
            }
            "qos" => Some(message.qos.into()),
            "retain" => Some(message.retain.into()),
            "protocol_version" => message.protocol_version.map(Value::from),
            "payload" => {
                let text = || self.encode(message).text.as_ref().into();
                Some(self.payload.get_or_init(text).clone())
            }
            "payload_encoding" => Some(self.encode(message).encoding.text_name().into()),
            "payload_json" => self.payload_json.get_or_init(|| parse(message)).clone(),
            _ => {
                let properties = message.properties.as_deref();
                properties.map_or_else(
                    || of_properties(&Properties::default(), name),
                    |properties| of_properties(properties, name),
                )
            }
        }
    }

    fn encode<'a>(&self, message: &'a Message) -> Encoded<'a> {
        self.encoding.encode(&message.payload, self.not_utf8)
    }
}

fn text(text: Option<&str>) -> Option<Value> {
    text.map(Value::from)
}

fn parse(message: &Message) -> Option<Value> {
    if message.payload.len() > MOST_JSON_BYTES {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(json(&message.payload)?).ok()?;
    Some(Value::from(Serde(value)))
}

fn of_properties(properties: &Properties, name: &str) -> Option<Value> {
    match name {
        "content_type" => text(properties.content_type.as_deref()),
        "response_topic" => text(properties.response_topic.as_deref()),
        "correlation_data" => {
            let bytes = properties.correlation_data.as_ref()?;
            Some(STANDARD.encode(bytes).into())
        }
        "payload_is_text" => properties.is_text.map(Value::from),
        "message_expiry_s" => properties.expiry_s.map(Value::from),
        "user_properties" => {
            let user = properties.user.iter();
            Some(Value::from_pairs(
                user.map(|(name, value)| (&**name, Value::from(&**value))),
            ))
        }
        _ => None,
    }
}

fn of_detail(detail: &Detail, name: &str) -> Option<Value> {
    match (detail, name) {
        (Detail::Connection(it), "protocol_version") => it.protocol_version.map(Value::from),
        (Detail::Connection(it), "keep_alive_s") => it.keep_alive.map(Value::from),
        (Detail::Connection(it), "clean_start") => it.clean_start.map(Value::from),
        (Detail::Connection(it), "refused") => text(it.refused.map(Reason::name)),
        (Detail::End(it), "reason") => Some(it.reason.name().into()),
        (Detail::End(it), "connected_at") => {
            text(it.connected_at.map(Timestamp::rfc3339).as_deref())
        }
        (Detail::Subscription(it), "topic_filter") => Some(Value::from(&*it.topic_filter)),
        (Detail::Subscription(it), "qos") => it.qos.map(Value::from),
        (Detail::Notice(it), "about_webhook") => Some(Value::from(&*it.webhook)),
        (Detail::Notice(it), "about_event_id") => {
            text(it.event.map(|(id, _)| id.to_string()).as_deref())
        }
        (Detail::Notice(it), "about_kind") => text(it.event.map(|(_, kind)| kind.name())),
        (Detail::Notice(it), "about_attempts") => Some(it.attempts.into()),
        (Detail::Notice(it), "reason") => Some(Value::from(&*it.reason)),
        (Detail::Device(it), name) => of_device(it, name),
        _ => None,
    }
}

fn of_device(device: &Device, name: &str) -> Option<Value> {
    match name {
        "status" => Some(device.status.name().into()),
        "previous_status" => text(device.previous.map(Status::name)),
        "reason" => text(device.reason.map(Reason::name)),
        "first_seen" => Some(device.first_seen.rfc3339().into()),
        "last_seen" => Some(device.last_seen.rfc3339().into()),
        _ => None,
    }
}
