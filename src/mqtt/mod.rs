//! Connections to the broker: the only place that names rumqttc.
//!
//! A [`Connection`] keeps one MQTT session: it connects (MQTT 5, or 3.1.1 where the broker
//! refuses that), subscribes to what its [`Listener`] wants on every CONNACK, hands it each
//! message, and goes on for ever, with a growing delay between attempts. It polls without a stop,
//! but for a moment while its listener lags; what cannot be taken is left unacknowledged, and the
//! broker keeps it.
//!
//! ```text
//! Connecting --CONNACK--> Subscribing --every SUBACK--> Subscribed
//!     ^                        |                             |
//!     +---- Waiting <----------+------- any failure ---------+
//! ```
//!
//! Each attempt uses a new rumqttc event loop, so that nothing of an old connection, neither
//! a buffered event nor an acknowledgement, reaches a newer one.

mod announcer;
mod attempts;
mod connection;
mod link;
mod metrics;
mod pauses;
mod problem;
mod status;
mod subscriptions;
mod url;
mod v4;
mod v5;

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

use crate::ack::Ticket;
use crate::credential::{Secret, Watched};
use crate::event::{Properties, TopicName};
use crate::tls;

pub use announcer::Announcer;
pub use connection::Connection;
pub use link::{Link, LinkEvent, Persistence, Subscribed};
pub use metrics::{Metrics, MetricsFamily};
pub use problem::{Cause, Problem};
pub use status::{Protocol, Status};
pub use url::{BrokerUrl, BrokerUrlError, Transport};

/// How to reach the broker.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is.
    pub url: BrokerUrl,
    /// The client identifier; further connections append to it. Default `mqhook`.
    pub client_id: String,
    /// The user name, if the broker wants one.
    pub username: Option<String>,
    /// The password that goes with it; what a file holds counts for the next connection.
    pub password: Option<Watched<Secret>>,
    /// Which version to speak; `None`, the default: 5, or 3.1.1 if the broker refuses that.
    pub protocol: Option<Protocol>,
    /// Keep Alive, from 5 s to 18 h; default 30 s.
    pub keep_alive: Duration,
    /// For how long the broker keeps the session while mqhook is away; default 1 day. MQTT 5 only:
    /// a 3.1.1 broker decides by itself.
    pub session_expiry: Duration,
    /// Whether to begin by dropping the session that an earlier run left behind, with its
    /// subscriptions and what the broker kept for it; default false.
    pub clean_start: bool,
    /// The most messages that the broker sends ahead of their PUBACKs, from 1 to 65535; default 1024.
    /// MQTT 5 only.
    pub receive_maximum: u16,
    /// The largest packet that is taken, in bytes; default 16 MiB. MQTT 5 brokers do not send
    /// larger ones; with 3.1.1 a larger one ends the connection.
    pub max_packet_size: u32,
    /// Longest time from connect to CONNACK, and from SUBSCRIBE to SUBACK; default 10 s.
    pub connect_timeout: Duration,
    /// Whom to trust behind `mqtts` and `wss`.
    pub tls: tls::Config,
}

impl Config {
    /// The default of [`client_id`](Self::client_id).
    pub const CLIENT_ID: &'static str = "mqhook";

    /// Returns the defaults for a broker.
    #[must_use]
    pub fn new(url: BrokerUrl) -> Self {
        Self {
            url,
            client_id: Self::CLIENT_ID.to_owned(),
            username: None,
            password: None,
            protocol: None,
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_hours(24),
            clean_start: false,
            receive_maximum: 1024,
            max_packet_size: 16 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            tls: tls::Config::default(),
        }
    }
}

/// A message that the broker sent.
#[derive(Debug)]
pub struct Message {
    /// The topic name.
    pub topic: TopicName,
    /// The payload.
    pub payload: Bytes,
    /// The quality of service of this delivery: 0 or 1.
    pub qos: u8,
    /// The publisher's retain flag with MQTT 5; with 3.1.1 the mark of a replay.
    pub retain: bool,
    /// What the publisher added, with MQTT 5.
    pub properties: Option<Box<Properties>>,
    /// Whether the broker sent it because of a new subscription, not because it was published now.
    pub is_replay: bool,
    /// What must settle before the message is acknowledged.
    pub ticket: Ticket,
}

/// What a listener made of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// It took charge of the message and its ticket.
    Taken,
    /// There is no room. The message stays unacknowledged, and so must all of QoS 1 behind it; when
    /// all before it are acknowledged and there is room, the connection starts anew.
    Full,
    /// Taken, and the topic filters have changed because of it.
    Resubscribe,
}

/// When the broker shall send retained messages because of a subscription: Retain Handling
/// (MQTT 5, 3.8.3.1). A 3.1.1 broker always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replays {
    /// Never.
    Never,
    /// When the session did not have the subscription, so not at every reconnect.
    OnNewSubscription,
    /// Whenever SUBSCRIBE is sent.
    Always,
}

/// What a connection is for.
pub trait Listener: Send + Sync {
    /// Returns the topic filters to subscribe to now.
    fn topic_filters(&self) -> Vec<String>;

    /// Returns topic filters that an earlier connection of the same session may have left subscribed.
    fn leftover_filters(&self) -> Vec<String>;

    /// Returns topic filters of what the broker need not keep while there is no connection: QoS 0, with what is
    /// retained. It does not matter if the broker refuses them.
    fn passing_filters(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns when retained messages are wanted because of a subscription.
    fn replays(&self) -> Replays;

    /// Takes a message.
    fn hear(&mut self, message: Message) -> Hearing;

    /// Tells that every subscription has been accepted.
    fn subscribed(&mut self);

    /// Tells that the connection has ended: what happens until the next one may not be heard.
    fn interrupted(&mut self) {}

    /// Returns whether it is well to take no message for a moment, as earlier ones are being written.
    fn lags(&self) -> bool;

    /// Waits until it does not lag.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    fn caught_up(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Waits until there is room again, after [`Hearing::Full`].
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
