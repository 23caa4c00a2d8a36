//! Events that did not happen, for trying out what is made of them.

use bytestring::ByteString;

use super::{
    Client, Connection, Detail, Device, End, Event, Id, Kind, Message, Notice, Properties, Reason,
    Status, Subscription, Timestamp, TopicFilter, TopicName,
};

impl Event {
    /// Returns an event of a kind that might happen now; if it is a message, to a topic that the filter
    /// matches, with wildcards replaced by `example`.
    #[must_use]
    pub fn example(kind: Kind, topic: &TopicFilter) -> Self {
        let text = |text| Some(ByteString::from_static(text));
        let client = if kind.is_notice() || kind.is_of_application() {
            Client::default()
        } else {
            Client {
                id: text("example"),
                username: text("example"),
                address: text("192.0.2.1:49152"),
            }
        };
        let mut detail = Detail::example(kind);
        if let Detail::Message(message) = &mut detail {
            let level = |level| match level {
                "+" | "#" => "example",
                level => level,
            };
            let name: Vec<&str> = topic.levels().map(level).collect();
            if let Ok(topic) = TopicName::try_from(ByteString::from(name.join("/"))) {
                message.topic = topic;
            }
        }
        Self {
            id: Id::new(),
            kind,
            time: Timestamp::now(),
            client,
            detail,
        }
    }
}

impl Detail {
    /// Returns what an event of a kind may have, with everything that there may be.
    #[must_use]
    pub fn example(kind: Kind) -> Self {
        let text = ByteString::from_static;
        match kind {
            Kind::ClientConnect | Kind::ClientConnack | Kind::ClientConnected => {
                Detail::Connection(Connection {
                    protocol_version: Some(5),
                    keep_alive: Some(60),
                    clean_start: Some(true),
                    refused: Some(Reason::NotAuthorized),
                })
            }
            Kind::ClientDisconnected | Kind::SessionTerminated => Detail::End(End {
                reason: Reason::Normal,
                connected_at: Some(Timestamp::from_millis(0)),
            }),
            Kind::ClientSubscribe
            | Kind::ClientUnsubscribe
            | Kind::SessionSubscribed
            | Kind::SessionUnsubscribed => Detail::Subscription(Subscription {
                topic_filter: text("a/#"),
                qos: Some(1),
            }),
            Kind::MessagePublish
            | Kind::MessageDelivered
            | Kind::MessageAcked
            | Kind::ApplicationEvent => Detail::Message(Message {
                topic: TopicName::try_from(text("example")).expect("it is a topic name"),
                payload: "{}".into(),
                qos: 1,
                retain: false,
                protocol_version: Some(5),
                properties: Some(Box::new(properties())),
            }),
            Kind::DeliveryFailed | Kind::WebhookDisabled => Detail::Notice(Notice {
                webhook: text("w"),
                event: Some((Id::new(), Kind::MessagePublish)),
                attempts: 1,
                reason: text("r"),
            }),
            Kind::DeviceProvisioned | Kind::DeviceStatusChanged | Kind::DeviceDecommissioned => {
                Detail::Device(Device {
                    status: Status::Connected,
                    previous: Some(Status::Disconnected),
                    reason: Some(Reason::Normal),
                    first_seen: Timestamp::now(),
                    last_seen: Timestamp::now(),
                })
            }
        }
    }
}

fn properties() -> Properties {
    let text = |text| Some(ByteString::from_static(text));
    Properties {
        is_text: Some(true),
        expiry_s: Some(1),
        content_type: text("text/plain"),
        response_topic: text("a"),
        correlation_data: Some("c".into()),
        user: Vec::new(),
    }
}
