//! An event as the API shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::event::{Detail, Event, Message, Properties, Reason, Status, Timestamp, TopicName};

/// Whether payloads are shown: not to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// They are.
    Shown,
    /// They are not, nor is what a publisher added.
    Hidden,
}

/// Returns an event with all that is known of it.
#[must_use]
pub fn show(event: &Event, payload: Payload) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    put("id", event.id.to_string().into());
    put("kind", event.kind.name().into());
    put("time", event.time.rfc3339().into());
    put("topic", event.topic().map(TopicName::as_str).into());
    put("client_id", event.client.id.as_deref().into());
    put("username", event.client.username.as_deref().into());
    put("address", event.client.address.as_deref().into());
    let detail = match &event.detail {
        Detail::Message(message) => show_message(message, payload),
        other => show_detail(other),
    };
    put("detail", detail);
    Value::Object(object)
}

fn show_detail(detail: &Detail) -> Value {
    let name = |reason: Option<Reason>| reason.map(Reason::name);
    match detail {
        Detail::Connection(connection) => json!({
            "protocol_version": connection.protocol_version,
            "keep_alive_s": connection.keep_alive,
            "clean_start": connection.clean_start,
            "refused": name(connection.refused),
        }),
        Detail::End(end) => json!({
            "reason": end.reason.name(),
            "connected_at": end.connected_at.map(Timestamp::rfc3339),
        }),
        Detail::Subscription(subscription) => json!({
            "topic_filter": &*subscription.topic_filter,
            "qos": subscription.qos,
        }),
        Detail::Notice(notice) => json!({
            "webhook": &*notice.webhook,
            "event_id": notice.event.map(|(id, _)| id.to_string()),
            "kind": notice.event.map(|(_, kind)| kind.name()),
            "attempts": notice.attempts,
            "reason": &*notice.reason,
        }),
        Detail::Device(device) => json!({
            "status": device.status.name(),
            "previous_status": device.previous.map(Status::name),
            "reason": name(device.reason),
            "first_seen": device.first_seen.rfc3339(),
            "last_seen": device.last_seen.rfc3339(),
        }),
        Detail::Message(message) => show_message(message, Payload::Hidden),
    }
}

fn show_message(message: &Message, payload: Payload) -> Value {
    let mut value = json!({
        "qos": message.qos,
        "retain": message.retain,
        "protocol_version": message.protocol_version,
        "payload_bytes": message.payload.len(),
    });
    if payload == Payload::Shown {
        match std::str::from_utf8(&message.payload) {
            Ok(text) => value["payload"] = text.into(),
            Err(_) => value["payload_base64"] = STANDARD.encode(&message.payload).into(),
        }
        value["properties"] = message.properties.as_deref().map(show_properties).into();
    }
    value
}

fn show_properties(properties: &Properties) -> Value {
    let user = properties.user.iter();
    let user: Vec<Value> = user
        .map(|(name, value)| json!([&**name, &**value]))
        .collect();
    json!({
        "content_type": properties.content_type.as_deref(),
        "response_topic": properties.response_topic.as_deref(),
        "correlation_data": properties.correlation_data.as_ref().map(|data| STANDARD.encode(data)),
        "payload_is_text": properties.is_text,
        "message_expiry_s": properties.expiry_s,
        "user_properties": user,
    })
}
