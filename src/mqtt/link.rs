//! One attempt at a connection, in either version of MQTT.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use rustls::ClientConfig;
use tokio::time::Instant;

use super::{Config, Problem, Protocol, Replays, Transport, v4, v5};
use crate::ack::UNDER_WAY;
use crate::event::{Properties, Reason, TopicName};

/// Capacity of the queue of packets that we ask to be sent: as many acknowledgements as a ledger has
/// under way, and some subscriptions. So it is never full.
pub(super) const REQUESTS: usize = UNDER_WAY + 1_024;

/// Packets with a packet identifier that we send at once; rumqttc keeps a slot for each.
pub(super) const OUTGOING_INFLIGHT: u16 = 16;

/// Whether the broker keeps the session when the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It does, for [`Config::session_expiry`].
    Session,
    /// It forgets the client.
    None,
}

/// What happened on a connection.
#[derive(Debug)]
pub enum LinkEvent {
    /// CONNACK: the broker accepted.
    Connected {
        /// Whether the broker kept the session, and its subscriptions.
        session_present: bool,
    },
    /// PUBLISH.
    Publish(Publish),
    /// A SUBSCRIBE or UNSUBSCRIBE went out under this packet identifier.
    Asked(u16),
    /// SUBACK.
    Subscribed(Subscribed),
    /// UNSUBACK, with its packet identifier.
    Unsubscribed(u16),
    /// PUBACK, for a message of ours.
    Published,
    /// PUBACK went out, for a message of the broker's.
    Acknowledged,
    /// DISCONNECT went out.
    Disconnecting,
    /// Anything else.
    Other,
}

/// A PUBLISH as it came; its topic is not checked yet.
#[derive(Debug, Clone)]
pub struct Publish {
    pub(super) topic: Option<ByteString>,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) packet_id: u16,
    pub(super) properties: Option<Box<Properties>>,
    pub(super) subscription: Subscription,
}

/// Over which subscription a message came, as far as the broker says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Subscription {
    /// It has no identifier, or the broker does not know any.
    #[default]
    Unnamed,
    /// The one with this identifier.
    Named(usize),
    /// All that it matches.
    Several,
}

impl Subscription {
    /// Returns what the identifiers of a message say.
    pub(super) fn of(identifiers: &[usize]) -> Self {
        match identifiers {
            [] => Self::Unnamed,
            [one] => Self::Named(*one),
            _ => Self::Several,
        }
    }
}

/// What the broker answered to a SUBSCRIBE.
#[derive(Debug)]
pub struct Subscribed {
    /// The SUBSCRIBE's packet identifier.
    pub packet_id: u16,
    /// Per topic filter, in order, why it was refused; `None` where it was accepted.
    pub refused: Vec<Option<Reason>>,
}

/// A connection, or an attempt at one.
///
/// Once [`poll`](Self::poll) has failed, a link is only good for [`take_received`](Self::take_received).
#[expect(
    clippy::large_enum_variant,
    reason = "there are a handful of links, and none is moved often"
)]
pub enum Link {
    /// MQTT 5.
    V5(v5::Link),
    /// MQTT 3.1.1.
    V4(v4::Link),
}

impl Link {
    /// Prepares a connection, with the password as it is now; polling it connects.
    pub async fn new(
        config: &Config,
        client_id: &str,
        protocol: Protocol,
        persistence: Persistence,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Self {
        if let Some(password) = &config.password {
            password.current(Instant::now()).await;
        }
        match protocol {
            Protocol::V5 => Self::V5(v5::Link::new(config, client_id, persistence, tls)),
            Protocol::V4 => Self::V4(v4::Link::new(config, client_id, persistence, tls)),
        }
    }

    /// Returns the version that is spoken.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::V5(_) => Protocol::V5,
            Self::V4(_) => Protocol::V4,
        }
    }

    /// Waits for what happens next.
    ///
    /// # Errors
    /// The connection failed or ended; the link is of no more use.
    ///
    /// # Cancel safety
    /// No message is lost when the future is dropped and polled anew.
    pub async fn poll(&mut self) -> Result<LinkEvent, Problem> {
        match self {
            Self::V5(link) => link.poll().await,
            Self::V4(link) => link.poll().await,
        }
    }

    /// Returns what came next together with what was [polled](Self::poll) last, or before the connection failed,
    /// if there is more of that.
    pub fn take_received(&mut self) -> Option<LinkEvent> {
        match self {
            Self::V5(link) => link.take_received(),
            Self::V4(link) => link.take_received(),
        }
    }

    /// Connects, and leaves again at once.
    ///
    /// # Errors
    /// The connection failed before DISCONNECT was sent.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connection.
    pub async fn visit(mut self) -> Result<(), Problem> {
        loop {
            match self.poll().await? {
                LinkEvent::Connected { .. } => self.disconnect(),
                LinkEvent::Disconnecting => return Ok(()),
                _ => {}
            }
        }
    }

    /// Asks for SUBSCRIBE at QoS 1 to be sent, with an identifier if there is one and the broker knows those.
    pub fn subscribe(&self, filters: &[String], replays: Replays, identifier: Option<usize>) {
        match self {
            Self::V5(link) => link.subscribe(filters, replays, identifier),
            Self::V4(link) => link.subscribe(filters),
        }
    }

    /// Asks for SUBSCRIBE at QoS 0 to be sent, for what is retained as well.
    pub fn overhear(&self, filters: &[String]) {
        match self {
            Self::V5(link) => link.overhear(filters, Replays::Always),
            Self::V4(link) => link.overhear(filters),
        }
    }

    /// Asks for UNSUBSCRIBE to be sent.
    pub fn unsubscribe(&self, filter: &str) {
        match self {
            Self::V5(link) => link.unsubscribe(filter),
            Self::V4(link) => link.unsubscribe(filter),
        }
    }

    /// Asks for PUBLISH at QoS 1 to be sent.
    pub fn publish(&self, topic: &TopicName, payload: Bytes) {
        match self {
            Self::V5(link) => link.publish(topic, payload),
            Self::V4(link) => link.publish(topic, payload),
        }
    }

    /// Asks for DISCONNECT to be sent behind everything that was asked for before.
    pub fn disconnect(&self) {
        match self {
            Self::V5(link) => link.disconnect(),
            Self::V4(link) => link.disconnect(),
        }
    }

    /// Returns a function that asks for PUBACK to be sent, in the order of its calls.
    pub fn acknowledger(&self) -> Box<dyn Fn(u16) + Send + Sync> {
        match self {
            Self::V5(link) => Box::new(link.acknowledger()),
            Self::V4(link) => Box::new(link.acknowledger()),
        }
    }
}

/// Returns rumqttc's host argument: of a WebSocket it wants the URL, for TLS the name that the
/// certificate shall have. It appends the port to the latter before it looks the address up, and
/// the look-up takes what is behind the last colon for the port, brackets or not.
pub(super) fn host(config: &Config) -> String {
    match config.url.transport {
        Transport::WebSocket | Transport::SecureWebSocket => config.url.request_url(),
        Transport::Tls | Transport::Unix => config.url.host.clone(),
        Transport::Tcp => config.url.bracketed_host(),
    }
}

/// Returns rumqttc's transport.
///
/// Nagle's algorithm stays on: rumqttc writes each PUBACK by itself, and under load the kernel then
/// sends many in one segment, which saves more than a tenth of the CPU. One PUBACK alone is not
/// delayed.
pub(super) fn transport(config: &Config, tls: Option<&Arc<ClientConfig>>) -> rumqttc::Transport {
    use rumqttc::Transport as Rumqttc;
    match (config.url.transport, tls) {
        (Transport::Unix, _) => Rumqttc::unix(),
        (Transport::WebSocket, _) => Rumqttc::ws(),
        (Transport::SecureWebSocket, Some(tls)) => {
            Rumqttc::wss_with_config(rumqttc::TlsConfiguration::Rustls(Arc::clone(tls)))
        }
        (Transport::Tls, Some(tls)) => {
            Rumqttc::tls_with_config(rumqttc::TlsConfiguration::Rustls(Arc::clone(tls)))
        }
        (Transport::SecureWebSocket | Transport::Tls, None) => {
            unreachable!("a connection with TLS is made with its configuration")
        }
        (Transport::Tcp, _) => Rumqttc::tcp(),
    }
}
