//! Bodies as `NanoMQ`'s webhook posts them: keys, order and types.
//!
//! | kind | keys |
//! |---|---|
//! | `on_client_connack` | `proto_ver keepalive conn_ack username clientid action` |
//! | `on_client_disconnected` | `reason username clientid action` |
//! | `on_message_publish` | `ts topic retain qos action from_username from_client_id payload` |
//!
//! `NanoMQ` never fires the other kinds; they have the names of EMQX 4's web hook, which
//! `NanoMQ`'s were copied from: `action` first, and `null` for what is not known.
//! What mqhook tells of its own deliveries begins alike:
//!
//! | kind | keys |
//! |---|---|
//! | `on_delivery_failed` | `action webhook event_id event attempts reason ts` |
//! | `on_webhook_disabled` | `action webhook reason ts` |
//!
//! So does what it tells of devices:
//!
//! | kind | keys |
//! |---|---|
//! | `on_device_..` | `action clientid username ipaddress status previous_status reason first_seen last_seen ts` |
//!
//! What an application publishes, `on_application_event`, has the keys of `on_message_publish`.
//! In `NanoMQ`'s own three, and in that, an unknown user name is `"undefined"`, as it writes it.
//! Where a plain payload is not UTF-8 and is sent as base64, `"payload_encoding":"base64"`
//! follows it.

use bytes::Bytes;
use bytestring::ByteString;

use super::Config;
use super::writer::{Key, Object, key};
use crate::event::{
    Client, Connection, Detail, Device, End, Event, Kind, Message, Notice, Reason, Status,
    Subscription,
};
use crate::payload::{Encoded, Encoding};

/// What NanoMQ writes for a client without a user name.
const UNDEFINED: &str = "undefined";

/// Room for the keys and the short values of any body.
const USUAL_BYTES: usize = 256;

/// Returns the body that tells of `event`.
pub(super) fn body(event: &Event, config: &Config) -> Bytes {
    let object = match (&event.detail, event.kind) {
        (Detail::Connection(connection), Kind::ClientConnack) => connack(event, connection),
        (Detail::Connection(connection), _) => connected(event, connection),
        (Detail::End(end), Kind::ClientDisconnected) => disconnected(event, end),
        (Detail::End(end), _) => terminated(event, end),
        (Detail::Subscription(subscription), _) => subscribed(event, subscription),
        (Detail::Message(message), Kind::MessagePublish | Kind::ApplicationEvent) => {
            published(event, message, config)
        }
        (Detail::Message(message), _) => delivered(event, message, config),
        (Detail::Notice(notice), _) => noted(event, notice),
        (Detail::Device(it), _) => device(event, it),
    };
    object.finish()
}

fn connack(event: &Event, connection: &Connection) -> Object {
    let answer = match connection.refused {
        None => "success",
        Some(_) => "fail",
    };
    let object = Object::with_capacity(USUAL_BYTES)
        .number_or_null(key!("proto_ver"), connection.protocol_version)
        .number_or_null(key!("keepalive"), connection.keep_alive)
        .plain(key!("conn_ack"), answer);
    username(object, key!("username"), &event.client)
        .string_or_null(key!("clientid"), event.client.id.as_deref())
        .plain(key!("action"), event.kind.action())
}

fn disconnected(event: &Event, end: &End) -> Object {
    let object = Object::with_capacity(USUAL_BYTES).string(key!("reason"), end.reason.name());
    username(object, key!("username"), &event.client)
        .string_or_null(key!("clientid"), event.client.id.as_deref())
        .plain(key!("action"), event.kind.action())
}

fn published(event: &Event, message: &Message, config: &Config) -> Object {
    let encoded = config.encode(&message.payload);
    let topic = message.topic.as_str();
    let object = Object::with_capacity(room(&event.client, topic, &encoded, config))
        .number(key!("ts"), event.time.as_millis())
        .string(key!("topic"), topic)
        .bool(key!("retain"), message.retain)
        .number(key!("qos"), message.qos)
        .plain(key!("action"), event.kind.action());
    let object = username(object, key!("from_username"), &event.client)
        .string_or_null(key!("from_client_id"), event.client.id.as_deref());
    payload(object, &encoded, config)
}

/// Returns how long the body of a message gets if nothing is escaped: exactly, for the most usual
/// message, so that its body fills its memory; otherwise a few bytes more.
fn room(client: &Client, topic: &str, encoded: &Encoded<'_>, config: &Config) -> usize {
    const FRAME: &str = r#"{"ts":1700000000000,"topic":"","retain":false,"qos":1,"action":"message_publish","from_username":"undefined","from_client_id":null,"payload":""}"#;
    const FALLBACK: &str = r#","payload_encoding":"base64""#;
    let length = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
    let fallback = if encoded.encoding == config.encoding {
        0
    } else {
        FALLBACK.len()
    };
    FRAME.len()
        + topic.len()
        + length(&client.username)
        + length(&client.id)
        + encoded.text.len()
        + fallback
}

/// Of `on_client_connect` and `on_client_connected`.
fn connected(event: &Event, connection: &Connection) -> Object {
    let object = client(event)
        .string_or_null(key!("ipaddress"), event.client.address.as_deref())
        .number_or_null(key!("keepalive"), connection.keep_alive)
        .number_or_null(key!("proto_ver"), connection.protocol_version);
    if event.kind == Kind::ClientConnected {
        object.number(key!("connected_at"), event.time.as_millis())
    } else {
        object
    }
}

fn terminated(event: &Event, end: &End) -> Object {
    client(event).string(key!("reason"), end.reason.name())
}

fn subscribed(event: &Event, subscription: &Subscription) -> Object {
    let object = client(event).string(key!("topic"), &subscription.topic_filter);
    if event.kind == Kind::SessionUnsubscribed {
        return object;
    }
    let options = Object::with_capacity(16);
    object.object(
        key!("opts"),
        match subscription.qos {
            Some(qos) => options.number(key!("qos"), qos),
            None => options,
        },
    )
}

/// Of `on_message_delivered` and `on_message_acked`; the client is the subscriber.
fn delivered(event: &Event, message: &Message, config: &Config) -> Object {
    let object = client(event)
        .string_or_null(key!("from_client_id"), None)
        .string_or_null(key!("from_username"), None)
        .string(key!("topic"), message.topic.as_str())
        .number(key!("qos"), message.qos)
        .bool(key!("retain"), message.retain);
    payload(object, &config.encode(&message.payload), config)
        .number(key!("ts"), event.time.as_millis())
}

/// Of what mqhook tells of its own deliveries.
fn noted(event: &Event, notice: &Notice) -> Object {
    let object = Object::with_capacity(USUAL_BYTES)
        .plain(key!("action"), event.kind.action())
        .string(key!("webhook"), &notice.webhook);
    let object = match notice.event {
        None => object,
        Some((id, kind)) => object
            .string(key!("event_id"), &id.to_string())
            .plain(key!("event"), kind.name())
            .number(key!("attempts"), notice.attempts),
    };
    object
        .string(key!("reason"), &notice.reason)
        .number(key!("ts"), event.time.as_millis())
}

/// Of what mqhook tells of a device.
fn device(event: &Event, device: &Device) -> Object {
    client(event)
        .string_or_null(key!("ipaddress"), event.client.address.as_deref())
        .plain(key!("status"), device.status.name())
        .string_or_null(key!("previous_status"), device.previous.map(Status::name))
        .string_or_null(key!("reason"), device.reason.map(Reason::name))
        .number(key!("first_seen"), device.first_seen.as_millis())
        .number(key!("last_seen"), device.last_seen.as_millis())
        .number(key!("ts"), event.time.as_millis())
}

/// Begins a body with EMQX 4's names.
fn client(event: &Event) -> Object {
    Object::with_capacity(USUAL_BYTES)
        .plain(key!("action"), event.kind.action())
        .string_or_null(key!("clientid"), event.client.id.as_deref())
        .string_or_null(key!("username"), event.client.username.as_deref())
}

/// Adds a payload, and its encoding where that is not the one that was asked for.
fn payload(object: Object, encoded: &Encoded<'_>, config: &Config) -> Object {
    let object = object.string(key!("payload"), &encoded.text);
    match encoded.encoding {
        Encoding::Base64 if config.encoding != Encoding::Base64 => {
            object.plain(key!("payload_encoding"), Encoding::Base64.as_str())
        }
        _ => object,
    }
}

/// Adds a user name as NanoMQ does.
fn username(object: Object, key: Key, client: &Client) -> Object {
    match &client.username {
        Some(username) => object.string(key, username),
        None => object.plain(key, UNDEFINED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Happening, Reason, Timestamp, TopicName};

    fn check(kind: Kind, detail: Detail, expected: &str) {
        check_with(&Config::default(), kind, detail, expected);
    }

    fn check_with(config: &Config, kind: Kind, detail: Detail, expected: &str) {
        let client = Client {
            id: Some("c".into()),
            username: Some("alice".into()),
            address: Some("127.0.0.1:5".into()),
        };
        let happening = Happening {
            kind,
            time: None,
            client,
            detail,
        };
        let event = Event::new(happening, Timestamp::from_millis(1_795_216_121_685));
        let body = body(&event, config);
        assert_eq!(std::str::from_utf8(&body), Ok(expected));
    }

    fn message(payload: &'static [u8]) -> Detail {
        Detail::Message(Message {
            topic: TopicName::try_from(ByteString::from_static("a/b/c")).expect("a name"),
            payload: Bytes::from_static(payload),
            qos: 0,
            retain: false,
            protocol_version: None,
            properties: None,
        })
    }

    fn connection(refused: Option<Reason>) -> Detail {
        Detail::Connection(Connection {
            protocol_version: Some(4),
            keep_alive: Some(60),
            clean_start: Some(true),
            refused,
        })
    }

    fn end(reason: Reason) -> Detail {
        Detail::End(End {
            reason,
            connected_at: None,
        })
    }

    fn subscription() -> Detail {
        Detail::Subscription(Subscription {
            topic_filter: "a/#".into(),
            qos: Some(1),
        })
    }

    #[test]
    fn nanomqs_own_kinds_have_its_exact_bodies() {
        check(
            Kind::ClientConnack,
            connection(None),
            r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"c","action":"client_connack"}"#,
        );
        check(
            Kind::ClientConnack,
            connection(Some(Reason::NotAuthorized)),
            r#"{"proto_ver":4,"keepalive":60,"conn_ack":"fail","username":"alice","clientid":"c","action":"client_connack"}"#,
        );
        check(
            Kind::ClientDisconnected,
            end(Reason::Normal),
            r#"{"reason":"normal","username":"alice","clientid":"c","action":"client_disconnected"}"#,
        );
        check(
            Kind::MessagePublish,
            message(b"hello"),
            r#"{"ts":1795216121685,"topic":"a/b/c","retain":false,"qos":0,"action":"message_publish","from_username":"alice","from_client_id":"c","payload":"hello"}"#,
        );
    }

    #[test]
    fn any_payload_gives_valid_json() {
        check(
            Kind::MessagePublish,
            message(b"\"\\\0\n"),
            r#"{"ts":1795216121685,"topic":"a/b/c","retain":false,"qos":0,"action":"message_publish","from_username":"alice","from_client_id":"c","payload":"\"\\\u0000\n"}"#,
        );
        check(
            Kind::MessagePublish,
            message(b"\xff\xfe\x80a"),
            r#"{"ts":1795216121685,"topic":"a/b/c","retain":false,"qos":0,"action":"message_publish","from_username":"alice","from_client_id":"c","payload":"//6AYQ==","payload_encoding":"base64"}"#,
        );
        let base62 = Config {
            encoding: Encoding::Base62,
            ..Config::default()
        };
        check_with(
            &base62,
            Kind::MessagePublish,
            message(b"hello"),
            r#"{"ts":1795216121685,"topic":"a/b/c","retain":false,"qos":0,"action":"message_publish","from_username":"alice","from_client_id":"c","payload":"7tQLFHz"}"#,
        );
    }

    #[test]
    fn notices_name_the_webhook_and_the_event() {
        let notice = |event, attempts| {
            Detail::Notice(Notice {
                webhook: "billing".into(),
                event,
                attempts,
                reason: "answered 500".into(),
            })
        };
        let id = "0000000000000000000001".parse().expect("an id");
        check(
            Kind::DeliveryFailed,
            notice(Some((id, Kind::MessagePublish)), 13),
            r#"{"action":"delivery_failed","webhook":"billing","event_id":"0000000000000000000001","event":"on_message_publish","attempts":13,"reason":"answered 500","ts":1795216121685}"#,
        );
        check(
            Kind::WebhookDisabled,
            notice(None, 0),
            r#"{"action":"webhook_disabled","webhook":"billing","reason":"answered 500","ts":1795216121685}"#,
        );
    }

    #[test]
    fn other_kinds_have_emqx_4_names() {
        check(
            Kind::ClientConnect,
            connection(None),
            r#"{"action":"client_connect","clientid":"c","username":"alice","ipaddress":"127.0.0.1:5","keepalive":60,"proto_ver":4}"#,
        );
        check(
            Kind::ClientConnected,
            connection(None),
            r#"{"action":"client_connected","clientid":"c","username":"alice","ipaddress":"127.0.0.1:5","keepalive":60,"proto_ver":4,"connected_at":1795216121685}"#,
        );
        check(
            Kind::SessionSubscribed,
            subscription(),
            r#"{"action":"session_subscribed","clientid":"c","username":"alice","topic":"a/#","opts":{"qos":1}}"#,
        );
        check(
            Kind::SessionUnsubscribed,
            subscription(),
            r#"{"action":"session_unsubscribed","clientid":"c","username":"alice","topic":"a/#"}"#,
        );
        check(
            Kind::SessionTerminated,
            end(Reason::SessionExpired),
            r#"{"action":"session_terminated","clientid":"c","username":"alice","reason":"session_expired"}"#,
        );
        check(
            Kind::MessageAcked,
            message(b""),
            r#"{"action":"message_acked","clientid":"c","username":"alice","from_client_id":null,"from_username":null,"topic":"a/b/c","qos":0,"retain":false,"payload":"","ts":1795216121685}"#,
        );
    }
}
