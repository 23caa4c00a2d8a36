//! All that is known of an event, under the names that `mqhook dead-letters show` and templates use.

use super::Config;
use super::writer::{Object, key};
use crate::event::{Client, Detail, Device, Event, Message, Properties, Reason, Status, Timestamp};
use crate::payload::{Encoding, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Room for the keys and the short values of any event.
const USUAL_BYTES: usize = 320;

/// Begins an object with room for everything of an event.
pub(super) fn object(event: &Event) -> Object {
    let payload = match &event.detail {
        // Base64 takes four thirds, which is also room for some escapes.
        Detail::Message(message) => message.size() / 3 * 4,
        _ => 0,
    };
    Object::with_capacity(USUAL_BYTES + payload)
}

/// Adds the client, and what events of the kind have.
pub(super) fn add(object: Object, event: &Event, config: &Config) -> Object {
    let object = client(object, &event.client);
    match &event.detail {
        Detail::Connection(it) => object
            .number_or_null(key!("protocol_version"), it.protocol_version)
            .number_or_null(key!("keep_alive_s"), it.keep_alive)
            .bool_or_null(key!("clean_start"), it.clean_start)
            .string_or_null(key!("refused"), it.refused.map(Reason::name)),
        Detail::End(it) => {
            let connected_at = it.connected_at.map(Timestamp::rfc3339);
            object
                .string(key!("reason"), it.reason.name())
                .string_or_null(key!("connected_at"), connected_at.as_deref())
        }
        Detail::Subscription(it) => object
            .string(key!("topic_filter"), &it.topic_filter)
            .number_or_null(key!("qos"), it.qos),
        Detail::Message(it) => message(object, it, config),
        Detail::Notice(it) => {
            let id = it.event.map(|(id, _)| id.to_string());
            object
                .string(key!("about_webhook"), &it.webhook)
                .string_or_null(key!("about_event_id"), id.as_deref())
                .string_or_null(key!("about_kind"), it.event.map(|(_, kind)| kind.name()))
                .number(key!("about_attempts"), it.attempts)
                .string(key!("reason"), &it.reason)
        }
        Detail::Device(it) => device(object, it),
    }
}

fn device(object: Object, device: &Device) -> Object {
    object
        .plain(key!("status"), device.status.name())
        .string_or_null(key!("previous_status"), device.previous.map(Status::name))
        .string_or_null(key!("reason"), device.reason.map(Reason::name))
        .string(key!("first_seen"), &device.first_seen.rfc3339())
        .string(key!("last_seen"), &device.last_seen.rfc3339())
}

fn client(object: Object, client: &Client) -> Object {
    object
        .string_or_null(key!("client_id"), client.id.as_deref())
        .string_or_null(key!("username"), client.username.as_deref())
        .string_or_null(key!("address"), client.address.as_deref())
}

fn message(object: Object, message: &Message, config: &Config) -> Object {
    let object = object
        .string(key!("topic"), message.topic.as_str())
        .number(key!("qos"), message.qos)
        .bool(key!("retain"), message.retain);
    let object = match message.protocol_version {
        None => object,
        Some(version) => object.number(key!("protocol_version"), version),
    };
    let object = match &message.properties {
        None => object,
        Some(properties) => add_properties(object, properties),
    };
    payload(object, message, config)
}

/// Adds the properties that there are.
fn add_properties(mut object: Object, properties: &Properties) -> Object {
    if let Some(is_text) = properties.is_text {
        object = object.bool(key!("payload_is_text"), is_text);
    }
    if let Some(expiry_s) = properties.expiry_s {
        object = object.number(key!("message_expiry_s"), expiry_s);
    }
    if let Some(content_type) = &properties.content_type {
        object = object.string(key!("content_type"), content_type);
    }
    if let Some(response_topic) = &properties.response_topic {
        object = object.string(key!("response_topic"), response_topic);
    }
    if let Some(data) = &properties.correlation_data {
        object = object.string(key!("correlation_data"), &STANDARD.encode(data));
    }
    if !properties.user.is_empty() {
        let user = properties.user.iter();
        let user = user.map(|(name, value)| (&**name, &**value));
        object = object.pairs(key!("user_properties"), user);
    }
    object
}

/// Adds the payload, and what was made of it: JSON and text stay what they are, unless they are
/// asked for in another encoding.
fn payload(object: Object, message: &Message, config: &Config) -> Object {
    if config.encoding == Encoding::Plain
        && let Some(json) = json(&message.payload)
    {
        return object
            .json(key!("payload"), json.trim())
            .plain(key!("payload_encoding"), "json");
    }
    let encoded = config.encode(&message.payload);
    object
        .string(key!("payload"), &encoded.text)
        .plain(key!("payload_encoding"), encoded.encoding.text_name())
}
