//! MQTT 5 by rumqttc.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectProperties, ConnectReturnCode, Filter, Packet, Publish, PublishProperties,
    RetainForwardRule, SubscribeProperties, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error as CodecError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError};
use rustls::ClientConfig;

use super::link::{self, LinkEvent, Persistence, Subscribed, Subscription};
use super::{Cause, Config, Problem, Replays};
use crate::credential::{Secret, Watched};
use crate::event::{Properties, Reason, TopicName};

/// An attempt at a connection.
pub struct Link {
    client: AsyncClient,
    events: EventLoop,
    keep_alive: std::time::Duration,
    connected: bool,
    /// Whether the broker knows identifiers of subscriptions.
    identifies: bool,
}

impl Link {
    pub(super) fn new(
        config: &Config,
        client_id: &str,
        persistence: Persistence,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Self {
        let options = options(config, client_id, persistence, tls);
        let (client, events) = AsyncClient::new(options, link::REQUESTS);
        Self {
            client,
            events,
            keep_alive: config.keep_alive,
            connected: false,
            identifies: true,
        }
    }

    pub(super) async fn poll(&mut self) -> Result<LinkEvent, Problem> {
        match self.events.poll().await {
            Ok(event) => {
                if let Event::Incoming(Packet::ConnAck(connack)) = &event {
                    self.identifies = knows_identifiers(connack);
                }
                let event = translate(event);
                if matches!(event, LinkEvent::Connected { .. }) {
                    self.connected = true;
                    self.refuse_zero_keep_alive();
                }
                Ok(event)
            }
            Err(error) => Err(problem(error, self.connected)),
        }
    }

    /// A broker that sets Server Keep Alive to 0 would make rumqttc ping without a pause.
    fn refuse_zero_keep_alive(&mut self) {
        if self.events.options.keep_alive().is_zero() {
            self.events.options.set_keep_alive(self.keep_alive);
        }
    }

    pub(super) fn take_received(&mut self) -> Option<LinkEvent> {
        self.events.state.events.pop_front().map(translate)
    }

    pub(super) fn subscribe(
        &self,
        filters: &[String],
        replays: Replays,
        identifier: Option<usize>,
    ) {
        self.subscribe_at((QoS::AtLeastOnce, true), filters, replays, identifier);
    }

    /// Subscribes at QoS 0, to see what is retained from before.
    pub(super) fn overhear(&self, filters: &[String], replays: Replays) {
        self.subscribe_at((QoS::AtMostOnce, false), filters, replays, None);
    }

    fn subscribe_at(
        &self,
        (qos, preserve_retain): (QoS, bool),
        filters: &[String],
        replays: Replays,
        identifier: Option<usize>,
    ) {
        let retain_forward_rule = match replays {
            Replays::Never => RetainForwardRule::Never,
            Replays::OnNewSubscription => RetainForwardRule::OnNewSubscribe,
            Replays::Always => RetainForwardRule::OnEverySubscribe,
        };
        let filters = filters.iter().map(|filter| Filter {
            path: filter.clone(),
            qos,
            nolocal: false,
            preserve_retain,
            retain_forward_rule: retain_forward_rule.clone(),
        });
        // It fails only if the event loop is gone, and then there is nothing to subscribe.
        let _ = match identifier.filter(|_| self.identifies) {
            None => self.client.try_subscribe_many(filters),
            id => {
                let properties = SubscribeProperties {
                    id,
                    user_properties: Vec::new(),
                };
                self.client
                    .try_subscribe_many_with_properties(filters, properties)
            }
        };
    }

    pub(super) fn unsubscribe(&self, filter: &str) {
        let _ = self.client.try_unsubscribe(filter);
    }

    pub(super) fn publish(&self, topic: &TopicName, payload: Bytes) {
        let topic = topic.as_str();
        let _ = self
            .client
            .try_publish(topic, QoS::AtLeastOnce, false, payload);
    }

    pub(super) fn disconnect(&self) {
        let _ = self.client.try_disconnect();
    }

    pub(super) fn acknowledger(&self) -> impl Fn(u16) + Send + Sync + use<> {
        let client = self.client.clone();
        move |packet_id| {
            let publish = Publish {
                qos: QoS::AtLeastOnce,
                pkid: packet_id,
                ..Publish::default()
            };
            let _ = client.try_ack(&publish);
        }
    }
}

fn options(
    config: &Config,
    client_id: &str,
    persistence: Persistence,
    tls: Option<&Arc<ClientConfig>>,
) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, link::host(config), config.url.port);
    options
        .set_transport(link::transport(config, tls))
        .set_keep_alive(config.keep_alive)
        .set_connection_timeout(config.connect_timeout.as_secs().max(1))
        .set_clean_start(persistence == Persistence::None)
        .set_manual_acks(true)
        .set_outgoing_inflight_upper_limit(link::OUTGOING_INFLIGHT)
        .set_connect_properties(properties(config, persistence));
    if let Some(username) = &config.username {
        let password = config.password.as_ref().map(Watched::last);
        let password = password.as_deref().map(Secret::expose);
        options.set_credentials(username, password.unwrap_or_default());
    }
    options
}

fn properties(config: &Config, persistence: Persistence) -> ConnectProperties {
    let mut properties = ConnectProperties::new();
    properties.receive_maximum = Some(config.receive_maximum);
    properties.max_packet_size = Some(config.max_packet_size);
    if persistence == Persistence::Session {
        let seconds = config.session_expiry.as_secs();
        properties.session_expiry_interval = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
    }
    properties
}

fn translate(event: Event) -> LinkEvent {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => LinkEvent::Connected {
            session_present: connack.session_present,
        },
        Event::Incoming(Packet::Publish(publish)) => LinkEvent::Publish(link::Publish {
            topic: ByteString::try_from(publish.topic).ok(),
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            packet_id: publish.pkid,
            subscription: publish
                .properties
                .as_ref()
                .map_or(Subscription::Unnamed, |it| {
                    Subscription::of(&it.subscription_identifiers)
                }),
            properties: publish.properties.and_then(of_publish),
        }),
        Event::Incoming(Packet::SubAck(suback)) => LinkEvent::Subscribed(Subscribed {
            packet_id: suback.pkid,
            refused: suback.return_codes.into_iter().map(refused).collect(),
        }),
        Event::Incoming(Packet::UnsubAck(unsuback)) => LinkEvent::Unsubscribed(unsuback.pkid),
        Event::Outgoing(Outgoing::Subscribe(packet_id) | Outgoing::Unsubscribe(packet_id)) => {
            LinkEvent::Asked(packet_id)
        }
        Event::Incoming(Packet::PubAck(_)) => LinkEvent::Published,
        Event::Outgoing(Outgoing::PubAck(_)) => LinkEvent::Acknowledged,
        Event::Outgoing(Outgoing::Disconnect) => LinkEvent::Disconnecting,
        Event::Incoming(_) | Event::Outgoing(_) => LinkEvent::Other,
    }
}

/// Returns whether the broker knows identifiers of subscriptions (MQTT 5, 3.2.2.3.12).
fn knows_identifiers(connack: &ConnAck) -> bool {
    let properties = connack.properties.as_ref();
    properties.and_then(|it| it.subscription_identifiers_available) != Some(0)
}

/// Returns what the publisher added to a message; the rest is the broker's and ours.
fn of_publish(properties: PublishProperties) -> Option<Box<Properties>> {
    let user = properties.user_properties.into_iter();
    Properties {
        is_text: properties.payload_format_indicator.map(|byte| byte == 1),
        expiry_s: properties.message_expiry_interval,
        content_type: properties.content_type.map(ByteString::from),
        response_topic: properties.response_topic.map(ByteString::from),
        correlation_data: properties.correlation_data,
        user: user
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
    .boxed()
}

fn refused(code: SubscribeReasonCode) -> Option<Reason> {
    match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::NotAuthorized => Some(Reason::NotAuthorized),
        SubscribeReasonCode::TopicFilterInvalid => Some(Reason::TopicFilterInvalid),
        SubscribeReasonCode::QuotaExceeded => Some(Reason::QuotaExceeded),
        SubscribeReasonCode::SharedSubscriptionsNotSupported => {
            Some(Reason::SharedSubscriptionsNotSupported)
        }
        SubscribeReasonCode::ImplementationSpecific => Some(Reason::ImplementationSpecificError),
        _ => Some(Reason::UnspecifiedError),
    }
}

fn problem(error: ConnectionError, connected: bool) -> Problem {
    of_connection(error, connected).where_heard(connected)
}

fn of_connection(error: ConnectionError, connected: bool) -> Problem {
    match error {
        ConnectionError::Io(error) if connected => Problem::new(Cause::Closed, error),
        ConnectionError::Io(error) => of_io(&error),
        ConnectionError::Timeout(_) => Problem::new(Cause::Timeout, ""),
        ConnectionError::Tls(error) => Problem::new(Cause::Tls, error),
        ConnectionError::Websocket(error) => Problem::of_websocket(&error),
        ConnectionError::ResponseValidation(error) => Problem::of_websocket(&error),
        ConnectionError::ConnectionRefused(code) => Problem::new(of_connack(code), ""),
        ConnectionError::MqttState(error) => of_state(error),
        error => Problem::new(Cause::Protocol, error),
    }
}

fn of_io(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            Problem::new(Cause::Closed, error)
        }
        _ => Problem::new(Cause::Unreachable, error),
    }
}

fn of_state(error: StateError) -> Problem {
    match error {
        StateError::ServerDisconnect {
            reason_code,
            reason_string,
        } => Problem::new(
            Cause::Ended(Reason::from_code(reason_code as u8)),
            reason_string.unwrap_or_default(),
        ),
        StateError::ConnectionAborted => Problem::new(Cause::Closed, ""),
        StateError::AwaitPingResp => Problem::new(Cause::Timeout, "no PINGRESP"),
        StateError::Io(error) | StateError::Deserialization(CodecError::Io(error)) => {
            Problem::new(Cause::Closed, error)
        }
        StateError::Deserialization(CodecError::PayloadSizeLimitExceeded { pkt_size, .. }) => {
            Problem::new(Cause::PacketTooLarge, format_args!("{pkt_size} bytes"))
        }
        error => Problem::new(Cause::Protocol, error),
    }
}

fn of_connack(code: ConnectReturnCode) -> Cause {
    use ConnectReturnCode as Code;
    Cause::Refused(match code {
        Code::RefusedProtocolVersion | Code::UnsupportedProtocolVersion => {
            return Cause::ProtocolVersion;
        }
        Code::BadClientId | Code::ClientIdentifierNotValid => Reason::ClientIdentifierNotValid,
        Code::ServiceUnavailable | Code::ServerUnavailable => Reason::ServerUnavailable,
        Code::BadUserNamePassword => Reason::BadUsernameOrPassword,
        Code::NotAuthorized => Reason::NotAuthorized,
        Code::ServerBusy => Reason::ServerBusy,
        Code::Banned => Reason::Banned,
        Code::BadAuthenticationMethod => Reason::BadAuthenticationMethod,
        Code::PacketTooLarge => Reason::PacketTooLarge,
        Code::QuotaExceeded => Reason::QuotaExceeded,
        Code::UseAnotherServer => Reason::UseAnotherServer,
        Code::ServerMoved => Reason::ServerMoved,
        Code::ConnectionRateExceeded => Reason::ConnectionRateExceeded,
        Code::MalformedPacket => Reason::MalformedPacket,
        Code::ProtocolError => Reason::ProtocolError,
        Code::ImplementationSpecificError => Reason::ImplementationSpecificError,
        _ => Reason::UnspecifiedError,
    })
}
