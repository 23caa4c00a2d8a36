//! An event of every kind, with everything that it may have, and some messages besides.

use std::sync::Arc;

use bytestring::ByteString;
use mqhook::event::{
    Client, Connection, Detail, Device, End, Event, Kind, Message, Notice, Properties, Reason,
    Status, Subscription, Timestamp, TopicName,
};

/// Returns the events, each with a name.
pub fn all() -> Vec<(String, Arc<Event>)> {
    let kinds = Kind::ALL.map(|kind| (kind.name().to_owned(), event(kind, client(), detail(kind))));
    let unknown = [
        (
            "connack, accepted, little known",
            Kind::ClientConnack,
            Detail::Connection(Connection::default()),
        ),
        (
            "disconnected, nothing known",
            Kind::ClientDisconnected,
            Detail::End(End {
                reason: Reason::KeepaliveTimeout,
                connected_at: None,
            }),
        ),
    ];
    let unknown = unknown
        .map(|(name, kind, detail)| (name.to_owned(), event(kind, Client::default(), detail)));
    let messages: [(&str, &[u8], Properties); 9] = [
        ("a number", b"21.50", Properties::default()),
        (
            "an object",
            b" {\"temp\": 21.50,\n\"big\": 12345678901234567890123}\n",
            Properties::default(),
        ),
        (
            "text",
            "Zürich \"quoted\"\r\n\0".as_bytes(),
            Properties::default(),
        ),
        ("bytes", b"\xff\xfe\0a", Properties::default()),
        ("nothing", b"", Properties::default()),
        ("properties", b"\x01\x02", properties("image/png")),
        (
            "declared as JSON",
            b"{\"on\":true}",
            properties("application/vnd.x+json; charset=utf-8"),
        ),
        (
            "declared as JSON, but it is not",
            b"hello",
            properties("application/json"),
        ),
        (
            "declared as nothing that is one",
            b"hello",
            properties("my own\ncontent"),
        ),
    ];
    let messages = messages.map(|(name, payload, properties)| {
        let detail = message("sensors/a b/\"ü\"%", payload, properties);
        (
            name.to_owned(),
            event(Kind::MessagePublish, Client::default(), detail),
        )
    });
    let passed: [(&str, &str, &[u8]); 3] = [
        (
            "a CloudEvent already",
            "application/cloudevents+json",
            br#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#,
        ),
        (
            "a CloudEvent in another format",
            "Application/CloudEvents+avro",
            b"\x01\x02",
        ),
        (
            "no CloudEvent, but called one",
            "application/cloudevents+json",
            b"hello",
        ),
    ];
    let passed = passed.map(|(name, content_type, payload)| {
        let detail = message("events", payload, properties(content_type));
        (
            name.to_owned(),
            event(Kind::MessagePublish, Client::default(), detail),
        )
    });
    kinds
        .into_iter()
        .chain(unknown)
        .chain(messages)
        .chain(passed)
        .collect()
}

pub fn event(kind: Kind, client: Client, detail: Detail) -> Arc<Event> {
    Arc::new(Event {
        id: "0000000000000000000001".parse().expect("an id"),
        kind,
        time: Timestamp::from_millis(1_795_216_121_685),
        client,
        detail,
    })
}

pub fn message(topic: &str, payload: &[u8], properties: Properties) -> Detail {
    Detail::Message(Message {
        topic: TopicName::try_from(ByteString::from(topic)).expect("a topic name"),
        payload: payload.to_vec().into(),
        qos: 1,
        retain: true,
        protocol_version: None,
        properties: properties.boxed(),
    })
}

fn client() -> Client {
    Client {
        id: Some("meter-7".into()),
        username: Some("alice".into()),
        address: Some("127.0.0.1:5".into()),
    }
}

fn properties(content_type: &str) -> Properties {
    let user = [
        ("region", "north, süd"),
        ("a=b", ""),
        ("region", "\r\nx: y"),
    ];
    Properties {
        is_text: Some(false),
        expiry_s: Some(u32::MAX),
        content_type: Some(content_type.into()),
        response_topic: Some("answers/%/1".into()),
        correlation_data: Some(vec![0, 255].into()),
        user: user.map(|(name, value)| (name.into(), value.into())).into(),
    }
}

fn detail(kind: Kind) -> Detail {
    match kind {
        Kind::ClientConnect | Kind::ClientConnected => connection(None),
        Kind::ClientConnack => connection(Some(Reason::NotAuthorized)),
        Kind::ClientDisconnected | Kind::SessionTerminated => Detail::End(End {
            reason: Reason::Normal,
            connected_at: Some(Timestamp::from_millis(1_795_216_000_000)),
        }),
        Kind::ClientSubscribe
        | Kind::ClientUnsubscribe
        | Kind::SessionSubscribed
        | Kind::SessionUnsubscribed => Detail::Subscription(Subscription {
            topic_filter: "a/#".into(),
            qos: Some(1),
        }),
        Kind::MessagePublish
        | Kind::MessageDelivered
        | Kind::MessageAcked
        | Kind::ApplicationEvent => message("a/b/c", b"hello", Properties::default()),
        Kind::DeliveryFailed => notice(13),
        Kind::WebhookDisabled => notice(0),
        Kind::DeviceProvisioned => device(Status::Connected, None, None),
        Kind::DeviceStatusChanged => device(
            Status::Disconnected,
            Some(Status::Connected),
            Some(Reason::KeepaliveTimeout),
        ),
        Kind::DeviceDecommissioned => device(
            Status::Decommissioned,
            Some(Status::Disconnected),
            Some(Reason::NotSeen),
        ),
    }
}

fn connection(refused: Option<Reason>) -> Detail {
    Detail::Connection(Connection {
        protocol_version: Some(5),
        keep_alive: Some(60),
        clean_start: Some(true),
        refused,
    })
}

fn device(status: Status, previous: Option<Status>, reason: Option<Reason>) -> Detail {
    Detail::Device(Device {
        status,
        previous,
        reason,
        first_seen: Timestamp::from_millis(1_795_000_000_000),
        last_seen: Timestamp::from_millis(1_795_216_000_000),
    })
}

fn notice(attempts: u32) -> Detail {
    let id = "0000000000000000000002".parse().expect("an id");
    Detail::Notice(Notice {
        webhook: "billing".into(),
        event: (attempts > 0).then_some((id, Kind::MessagePublish)),
        attempts,
        reason: "answered 500".into(),
    })
}
