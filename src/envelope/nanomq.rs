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
//! In `NanoMQ`'s own three an unknown user name is `"undefined"`, as it writes it.
//! Where a plain payload is not UTF-8 and is sent as base64, `"payload_encoding":"base64"`
//! follows it.

use bytes::Bytes;
use serde::Serialize;

use super::Config;
use crate::event::{Client, Connection, Detail, End, Event, Kind, Message, Subscription};
use crate::payload::{Encoding, NotUtf8};

/// What NanoMQ writes for a client without a user name.
const UNDEFINED: &str = "undefined";

/// Returns the body that tells of `event`.
pub(super) fn body(event: &Event, config: &Config) -> Bytes {
    match (&event.detail, event.kind) {
        (Detail::Connection(connection), Kind::ClientConnack) => {
            json(&Connack::new(event, connection))
        }
        (Detail::Connection(connection), _) => json(&Connected::new(event, connection)),
        (Detail::End(end), Kind::ClientDisconnected) => json(&Disconnected::new(event, end)),
        (Detail::End(end), _) => json(&Terminated::new(event, end)),
        (Detail::Subscription(subscription), _) => json(&Subscribed::new(event, subscription)),
        (Detail::Message(message), Kind::MessagePublish) => {
            let payload = Payload::new(message, config);
            json(&Published::new(event, message, &payload))
        }
        (Detail::Message(message), _) => {
            let payload = Payload::new(message, config);
            json(&Delivered::new(event, message, &payload))
        }
    }
}

fn json(body: &impl Serialize) -> Bytes {
    /// Holds most bodies, so that the buffer seldom grows.
    const USUAL_BYTES: usize = 512;
    let mut buffer = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut buffer, body).expect("strings and numbers always serialise");
    buffer.into()
}

#[derive(Serialize)]
struct Connack<'a> {
    proto_ver: Option<u8>,
    keepalive: Option<u16>,
    conn_ack: &'static str,
    username: &'a str,
    clientid: Option<&'a str>,
    action: &'static str,
}

impl<'a> Connack<'a> {
    fn new(event: &'a Event, connection: &Connection) -> Self {
        Self {
            proto_ver: connection.protocol_version,
            keepalive: connection.keep_alive,
            conn_ack: match connection.refused {
                None => "success",
                Some(_) => "fail",
            },
            username: username_or_undefined(&event.client),
            clientid: event.client.id.as_deref(),
            action: event.kind.action(),
        }
    }
}

#[derive(Serialize)]
struct Disconnected<'a> {
    reason: &'static str,
    username: &'a str,
    clientid: Option<&'a str>,
    action: &'static str,
}

impl<'a> Disconnected<'a> {
    fn new(event: &'a Event, end: &End) -> Self {
        Self {
            reason: end.reason.name(),
            username: username_or_undefined(&event.client),
            clientid: event.client.id.as_deref(),
            action: event.kind.action(),
        }
    }
}

#[derive(Serialize)]
struct Published<'a> {
    ts: u64,
    topic: &'a str,
    retain: bool,
    qos: u8,
    action: &'static str,
    from_username: &'a str,
    from_client_id: Option<&'a str>,
    payload: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_encoding: Option<&'static str>,
}

impl<'a> Published<'a> {
    fn new(event: &'a Event, message: &'a Message, payload: &'a Payload<'a>) -> Self {
        Self {
            ts: event.time.as_millis(),
            topic: message.topic.as_str(),
            retain: message.retain,
            qos: message.qos,
            action: event.kind.action(),
            from_username: username_or_undefined(&event.client),
            from_client_id: event.client.id.as_deref(),
            payload: &payload.text,
            payload_encoding: payload.other_encoding,
        }
    }
}

#[derive(Serialize)]
struct Connected<'a> {
    action: &'static str,
    clientid: Option<&'a str>,
    username: Option<&'a str>,
    ipaddress: Option<&'a str>,
    keepalive: Option<u16>,
    proto_ver: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_at: Option<u64>,
}

impl<'a> Connected<'a> {
    fn new(event: &'a Event, connection: &Connection) -> Self {
        Self {
            action: event.kind.action(),
            clientid: event.client.id.as_deref(),
            username: event.client.username.as_deref(),
            ipaddress: event.client.address.as_deref(),
            keepalive: connection.keep_alive,
            proto_ver: connection.protocol_version,
            connected_at: (event.kind == Kind::ClientConnected).then(|| event.time.as_millis()),
        }
    }
}

#[derive(Serialize)]
struct Terminated<'a> {
    action: &'static str,
    clientid: Option<&'a str>,
    username: Option<&'a str>,
    reason: &'static str,
}

impl<'a> Terminated<'a> {
    fn new(event: &'a Event, end: &End) -> Self {
        Self {
            action: event.kind.action(),
            clientid: event.client.id.as_deref(),
            username: event.client.username.as_deref(),
            reason: end.reason.name(),
        }
    }
}

#[derive(Serialize)]
struct Subscribed<'a> {
    action: &'static str,
    clientid: Option<&'a str>,
    username: Option<&'a str>,
    topic: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opts: Option<SubscribeOptions>,
}

#[derive(Serialize)]
struct SubscribeOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    qos: Option<u8>,
}

impl<'a> Subscribed<'a> {
    fn new(event: &'a Event, subscription: &'a Subscription) -> Self {
        let has_options = event.kind != Kind::SessionUnsubscribed;
        Self {
            action: event.kind.action(),
            clientid: event.client.id.as_deref(),
            username: event.client.username.as_deref(),
            topic: &subscription.topic_filter,
            opts: has_options.then_some(SubscribeOptions {
                qos: subscription.qos,
            }),
        }
    }
}

/// Of `on_message_delivered` and `on_message_acked`; the client is the subscriber.
#[derive(Serialize)]
struct Delivered<'a> {
    action: &'static str,
    clientid: Option<&'a str>,
    username: Option<&'a str>,
    from_client_id: Option<&'a str>,
    from_username: Option<&'a str>,
    topic: &'a str,
    qos: u8,
    retain: bool,
    payload: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_encoding: Option<&'static str>,
    ts: u64,
}

impl<'a> Delivered<'a> {
    fn new(event: &'a Event, message: &'a Message, payload: &'a Payload<'a>) -> Self {
        Self {
            action: event.kind.action(),
            clientid: event.client.id.as_deref(),
            username: event.client.username.as_deref(),
            from_client_id: None,
            from_username: None,
            topic: message.topic.as_str(),
            qos: message.qos,
            retain: message.retain,
            payload: &payload.text,
            payload_encoding: payload.other_encoding,
            ts: event.time.as_millis(),
        }
    }
}

struct Payload<'a> {
    text: std::borrow::Cow<'a, str>,
    /// Set where the text is not in the encoding that was asked for.
    other_encoding: Option<&'static str>,
}

impl<'a> Payload<'a> {
    fn new(message: &'a Message, config: &Config) -> Self {
        let fell_back = config.encoding == Encoding::Plain
            && config.not_utf8 == NotUtf8::Base64
            && std::str::from_utf8(&message.payload).is_err();
        Self {
            text: config.encoding.encode(&message.payload, config.not_utf8),
            other_encoding: fell_back.then_some(Encoding::Base64.as_str()),
        }
    }
}

fn username_or_undefined(client: &Client) -> &str {
    client.username.as_deref().unwrap_or(UNDEFINED)
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

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
