//! The attributes of an event as JSON, for the column `attributes`.
//!
//! ```json
//! {"client_id":"c","username":"u","detail":{"message":{"qos":1,"retain":false}}}
//! ```
//!
//! A message that came with MQTT 5 properties has them as [`super::properties`] says.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::properties::Properties;
use crate::event::{
    Client, Connection, Detail, Device, End, Message, Notice, Reason, Subscription, Timestamp,
    TopicName,
};

/// All of an event that has no column of its own.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attributes<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    username: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Cow<'a, str>>,
    detail: Shape<'a>,
}

/// A [`Detail`] without the topic and the payload of a message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Shape<'a> {
    Connection {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protocol_version: Option<u8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep_alive: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clean_start: Option<bool>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Word>,
    },
    End {
        reason: Word,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connected_at: Option<u64>,
    },
    Subscription {
        topic_filter: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        qos: Option<u8>,
    },
    Message {
        qos: u8,
        retain: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protocol_version: Option<u8>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        properties: Option<Properties<'a>>,
    },
    Notice {
        webhook: Cow<'a, str>,
        /// The event's id and kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<(String, Cow<'a, str>)>,
        attempts: u32,
        reason: Cow<'a, str>,
    },
    Device {
        status: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        previous: Option<Cow<'a, str>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Word>,
        first_seen: u64,
        last_seen: u64,
    },
}

/// A [`Reason`] by its name.
#[derive(Debug, Clone, Copy)]
struct Word(Reason);

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Reason::all()
            .find(|reason| reason.name() == name)
            .map(Self)
            .ok_or_else(|| de::Error::custom("no reason"))
    }
}

impl<'a> Attributes<'a> {
    /// Returns the attributes of a client and a detail.
    pub(super) fn of(client: &'a Client, detail: &'a Detail) -> Self {
        let text = |text: &'a Option<ByteString>| text.as_deref().map(Cow::Borrowed);
        Self {
            client_id: text(&client.id),
            username: text(&client.username),
            address: text(&client.address),
            detail: Shape::of(detail),
        }
    }

    /// Returns the client and the detail that these attributes are of, together with the columns
    /// that a message has.
    ///
    /// `None` if a message lacks its columns, or something else has them.
    pub(super) fn into_parts(
        self,
        topic: Option<TopicName>,
        payload: Option<Bytes>,
    ) -> Option<(Client, Detail)> {
        let text = |text: Option<Cow<'_, str>>| text.map(|text| text.into_owned().into());
        let client = Client {
            id: text(self.client_id),
            username: text(self.username),
            address: text(self.address),
        };
        let detail = match (self.detail, topic, payload) {
            (shape @ Shape::Message { .. }, Some(topic), Some(payload)) => {
                Detail::Message(shape.into_message(topic, payload)?)
            }
            (Shape::Message { .. }, ..) => return None,
            (other, None, None) => other.into_detail()?,
            _ => return None,
        };
        Some((client, detail))
    }
}

impl<'a> Shape<'a> {
    fn of(detail: &'a Detail) -> Self {
        match detail {
            Detail::Connection(connection) => Self::Connection {
                protocol_version: connection.protocol_version,
                keep_alive: connection.keep_alive,
                clean_start: connection.clean_start,
                refused: connection.refused.map(Word),
            },
            Detail::End(end) => Self::End {
                reason: Word(end.reason),
                connected_at: end.connected_at.map(Timestamp::as_millis),
            },
            Detail::Subscription(subscription) => Self::Subscription {
                topic_filter: Cow::Borrowed(&subscription.topic_filter),
                qos: subscription.qos,
            },
            Detail::Message(message) => Self::Message {
                qos: message.qos,
                retain: message.retain,
                protocol_version: message.protocol_version,
                properties: message.properties.as_deref().map(Properties::of),
            },
            Detail::Notice(notice) => Self::Notice {
                webhook: Cow::Borrowed(&notice.webhook),
                event: notice
                    .event
                    .map(|(id, kind)| (id.to_string(), Cow::Borrowed(kind.name()))),
                attempts: notice.attempts,
                reason: Cow::Borrowed(&notice.reason),
            },
            Detail::Device(device) => Self::Device {
                status: Cow::Borrowed(device.status.name()),
                previous: device.previous.map(|status| Cow::Borrowed(status.name())),
                reason: device.reason.map(Word),
                first_seen: device.first_seen.as_millis(),
                last_seen: device.last_seen.as_millis(),
            },
        }
    }

    /// Returns the message; `None` for anything else, and for what is not valid.
    fn into_message(self, topic: TopicName, payload: Bytes) -> Option<Message> {
        match self {
            Self::Message {
                qos: qos @ 0..=2,
                retain,
                protocol_version,
                properties,
            } => Some(Message {
                topic,
                payload,
                qos,
                retain,
                protocol_version,
                properties: match properties {
                    None => None,
                    Some(properties) => properties.into_event()?.boxed(),
                },
            }),
            _ => None,
        }
    }

    /// Returns the detail; `None` for a message, which is not whole in here, and for what is not
    /// valid.
    fn into_detail(self) -> Option<Detail> {
        Some(match self {
            Self::Connection {
                protocol_version,
                keep_alive,
                clean_start,
                refused,
            } => Detail::Connection(Connection {
                protocol_version,
                keep_alive,
                clean_start,
                refused: refused.map(|word| word.0),
            }),
            Self::End {
                reason,
                connected_at,
            } => Detail::End(End {
                reason: reason.0,
                connected_at: connected_at.map(Timestamp::from_millis),
            }),
            Self::Subscription { topic_filter, qos } => Detail::Subscription(Subscription {
                topic_filter: topic_filter.into_owned().into(),
                qos,
            }),
            Self::Notice {
                webhook,
                event,
                attempts,
                reason,
            } => Detail::Notice(Notice {
                webhook: webhook.into_owned().into(),
                event: match event {
                    None => None,
                    Some((id, kind)) => Some((id.parse().ok()?, kind.parse().ok()?)),
                },
                attempts,
                reason: reason.into_owned().into(),
            }),
            Self::Device {
                status,
                previous,
                reason,
                first_seen,
                last_seen,
            } => Detail::Device(Device {
                status: status.parse().ok()?,
                previous: match previous {
                    None => None,
                    Some(previous) => Some(previous.parse().ok()?),
                },
                reason: reason.map(|word| word.0),
                first_seen: Timestamp::from_millis(first_seen),
                last_seen: Timestamp::from_millis(last_seen),
            }),
            Self::Message { .. } => return None,
        })
    }
}
