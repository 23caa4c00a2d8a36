//! The vocabulary: what can happen at a broker, and the words that describe it.
//!
//! An [`Event`] is one thing that happened. It has an [`Id`], a [`Kind`], a
//! [`Timestamp`] and attributes: who ([`Client`]) and what ([`Detail`]). A dialect
//! decodes a [`Happening`], which has no id yet; accepting it makes it an event.
//!
//! Everything here is pure and knows neither MQTT packets nor HTTP requests.
//! Strings are [`ByteString`]s, so that an event shares the buffer of the packet
//! that it came in instead of copying it.

mod device;
mod example;
mod id;
mod kind;
mod properties;
mod reason;
mod rfc3339;
mod time;
mod topic;

use bytes::Bytes;
use bytestring::ByteString;

pub use device::{Device, Status};
pub use id::{Id, ParseIdError};
pub use kind::{Kind, KindSet};
pub use properties::Properties;
pub use reason::Reason;
pub use time::Timestamp;
pub use topic::{TopicError, TopicFilter, TopicName, is_unsendable};

/// One thing that happened at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Names the event in `webhook-id`, in logs and in the API.
    pub id: Id,
    /// What it is, by `NanoMQ`'s name.
    pub kind: Kind,
    /// When it happened, by the broker's clock where the broker tells, otherwise by ours.
    pub time: Timestamp,
    /// The client that it is about; of a message, its publisher.
    pub client: Client,
    /// The attributes that only events of this kind have.
    pub detail: Detail,
}

impl Event {
    /// Returns the event of a happening that was heard at `now`, under a new id.
    #[must_use]
    pub fn new(happening: Happening, now: Timestamp) -> Self {
        Self::with_id(Id::new(), happening, now)
    }

    /// Returns the event of a happening that is heard now, under a new id; the clock is read once for both.
    #[must_use]
    pub fn of(happening: Happening) -> Self {
        let now = Timestamp::now();
        Self::with_id(Id::at(now), happening, now)
    }

    fn with_id(id: Id, happening: Happening, now: Timestamp) -> Self {
        Self {
            id,
            kind: happening.kind,
            time: happening.time.unwrap_or(now),
            client: happening.client,
            detail: happening.detail,
        }
    }

    /// Returns the name of the topic that a message was published to, `None` for other kinds.
    #[must_use]
    pub fn topic(&self) -> Option<&TopicName> {
        match &self.detail {
            Detail::Message(message) => Some(&message.topic),
            _ => None,
        }
    }

    /// Returns about how many bytes of memory the event holds.
    #[must_use]
    pub fn size(&self) -> usize {
        size(&self.client, &self.detail)
    }

    /// Returns about how many bytes of memory an event with so many bytes of text and payload holds, with
    /// what is kept beside it while it waits.
    #[must_use]
    pub const fn size_with(bytes: usize) -> usize {
        /// Of the allocations, of what is known of the deliveries, and of the change for the store.
        const BESIDE: usize = 256;
        size_of::<Self>() + BESIDE + bytes
    }

    /// Returns the event without a hold on the packet that it came in.
    ///
    /// The parts of an event are slices of the buffer that the packet was read into, which is
    /// larger than a small packet. An event that waits must not keep that.
    #[must_use]
    pub fn compact(&self) -> Self {
        let copy = |text: &ByteString| ByteString::from(&**text);
        let detail = match &self.detail {
            Detail::Message(message) => Detail::Message(message.compact()),
            Detail::Subscription(subscription) => Detail::Subscription(Subscription {
                topic_filter: copy(&subscription.topic_filter),
                qos: subscription.qos,
            }),
            other => other.clone(),
        };
        Self {
            client: Client {
                id: self.client.id.as_ref().map(copy),
                username: self.client.username.as_ref().map(copy),
                address: self.client.address.as_ref().map(copy),
            },
            detail,
            ..*self
        }
    }
}

/// What a dialect read out of a broker's message: an event that has no id yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What happened.
    pub kind: Kind,
    /// When, if the broker told.
    pub time: Option<Timestamp>,
    /// To whom.
    pub client: Client,
    /// The rest.
    pub detail: Detail,
}

impl Happening {
    /// Returns about how many bytes of memory its event will hold.
    #[must_use]
    pub fn size(&self) -> usize {
        size(&self.client, &self.detail)
    }
}

fn size(client: &Client, detail: &Detail) -> usize {
    let text = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
    let of_client = text(&client.id) + text(&client.username) + text(&client.address);
    let of_detail = match detail {
        Detail::Message(message) => message.size(),
        Detail::Subscription(subscription) => subscription.topic_filter.len(),
        Detail::Notice(notice) => notice.webhook.len() + notice.reason.len(),
        Detail::Connection(_) | Detail::End(_) | Detail::Device(_) => 0,
    };
    Event::size_with(of_client + of_detail)
}

/// What is known of a client; `None` is "the broker did not tell".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The client identifier (MQTT 5, 3.1.3.1).
    pub id: Option<ByteString>,
    /// The user name; `None` also where the client gave none.
    pub username: Option<ByteString>,
    /// The client's network address, with the port where the broker tells it.
    pub address: Option<ByteString>,
}

/// The attributes of an event by the shape that its kind has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Of `on_client_connect`, `on_client_connack` and `on_client_connected`.
    Connection(Connection),
    /// Of `on_client_disconnected` and `on_session_terminated`.
    End(End),
    /// Of `on_client_subscribe`, `on_client_unsubscribe`, `on_session_subscribed` and `on_session_unsubscribed`.
    Subscription(Subscription),
    /// Of `on_message_publish`, `on_message_delivered`, `on_message_acked` and `on_application_event`.
    Message(Message),
    /// Of `on_delivery_failed` and `on_webhook_disabled`.
    Notice(Notice),
    /// Of `on_device_provisioned`, `on_device_status_changed` and `on_device_decommissioned`.
    Device(Device),
}

/// A connection that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// 3 (MQTT 3.1), 4 (3.1.1) or 5.
    pub protocol_version: Option<u8>,
    /// Keep Alive in seconds; 0 is none.
    pub keep_alive: Option<u16>,
    /// Clean Start, or Clean Session before MQTT 5.
    pub clean_start: Option<bool>,
    /// Why the broker refused it; `None` where it was accepted.
    pub refused: Option<Reason>,
}

/// The end of a connection or of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Why it ended.
    pub reason: Reason,
    /// When the connection had been accepted, if that was heard.
    pub connected_at: Option<Timestamp>,
}

/// A subscription that was made or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic filter as the broker told it; it may be one that mqhook would refuse.
    pub topic_filter: ByteString,
    /// The maximum quality of service, if the broker told.
    pub qos: Option<u8>,
}

impl Message {
    /// Returns about how many bytes of text, payload and properties the message holds.
    #[must_use]
    pub fn size(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |some| some.size());
        self.topic.as_str().len() + self.payload.len() + properties
    }

    fn compact(&self) -> Self {
        Self {
            topic: self.topic.compact(),
            payload: Bytes::copy_from_slice(&self.payload),
            properties: self
                .properties
                .as_ref()
                .map(|some| Box::new(some.compact())),
            ..*self
        }
    }
}

/// A message that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic name.
    pub topic: TopicName,
    /// The payload; may be empty, need not be text.
    pub payload: Bytes,
    /// The quality of service with which mqhook got it: 0, 1 or 2.
    pub qos: u8,
    /// The publisher's retain flag.
    pub retain: bool,
    /// The version of MQTT that the client speaks: 3 (MQTT 3.1), 4 (3.1.1) or 5; `None`: not told.
    pub protocol_version: Option<u8>,
    /// What the publisher added, with MQTT 5; most add nothing.
    pub properties: Option<Box<Properties>>,
}

/// What mqhook tells of its own deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The webhook that it is about.
    pub webhook: ByteString,
    /// The event whose delivery failed; `None` where it is about the webhook as a whole.
    pub event: Option<(Id, Kind)>,
    /// How many attempts the delivery had; 0 where it is about the webhook as a whole.
    pub attempts: u32,
    /// Why, for people.
    pub reason: ByteString,
}
