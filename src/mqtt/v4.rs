//! MQTT 3.1.1 by rumqttc.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use rumqttc::mqttbytes::Error as CodecError;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, NetworkOptions,
    Outgoing, Packet, Publish, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
};
use rustls::ClientConfig;

use super::link::{self, LinkEvent, Persistence, Subscribed};
use super::{Cause, Config, Problem};
use crate::credential::{Secret, Watched};
use crate::event::{Reason, TopicName};

/// An attempt at a connection.
pub struct Link {
    client: AsyncClient,
    events: EventLoop,
    connected: bool,
}

impl Link {
    pub(super) fn new(
        config: &Config,
        client_id: &str,
        persistence: Persistence,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Self {
        let options = options(config, client_id, persistence, tls);
        let (client, mut events) = AsyncClient::new(options, link::REQUESTS);
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(config.connect_timeout.as_secs().max(1));
        events.set_network_options(network);
        Self {
            client,
            events,
            connected: false,
        }
    }

    pub(super) async fn poll(&mut self) -> Result<LinkEvent, Problem> {
        match self.events.poll().await {
            Ok(event) => {
                let event = translate(event);
                self.connected |= matches!(event, LinkEvent::Connected { .. });
                Ok(event)
            }
            Err(error) => Err(problem(error, self.connected)),
        }
    }

    pub(super) fn take_received(&mut self) -> Option<LinkEvent> {
        self.events.state.events.pop_front().map(translate)
    }

    pub(super) fn subscribe(&self, filters: &[String]) {
        self.subscribe_at(QoS::AtLeastOnce, filters);
    }

    /// Subscribes at QoS 0.
    pub(super) fn overhear(&self, filters: &[String]) {
        self.subscribe_at(QoS::AtMostOnce, filters);
    }

    fn subscribe_at(&self, qos: QoS, filters: &[String]) {
        let filters = filters
            .iter()
            .map(|filter| SubscribeFilter::new(filter.clone(), qos));
        // It fails only if the event loop is gone, and then there is nothing to subscribe.
        let _ = self.client.try_subscribe_many(filters);
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
            let mut publish = Publish::new("", QoS::AtLeastOnce, "");
            publish.pkid = packet_id;
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
    let max_packet_size = usize::try_from(config.max_packet_size).unwrap_or(usize::MAX);
    options
        .set_transport(link::transport(config, tls))
        .set_keep_alive(config.keep_alive)
        .set_clean_session(persistence == Persistence::None)
        .set_manual_acks(true)
        .set_inflight(link::OUTGOING_INFLIGHT)
        .set_max_packet_size(max_packet_size, max_packet_size);
    if let Some(username) = &config.username {
        let password = config.password.as_ref().map(Watched::last);
        let password = password.as_deref().map(Secret::expose);
        options.set_credentials(username, password.unwrap_or_default());
    }
    options
}

fn translate(event: Event) -> LinkEvent {
    match event {
        Event::Incoming(Packet::ConnAck(connack)) => LinkEvent::Connected {
            session_present: connack.session_present,
        },
        Event::Incoming(Packet::Publish(publish)) => LinkEvent::Publish(link::Publish {
            topic: Some(ByteString::from(publish.topic)),
            payload: publish.payload,
            qos: publish.qos as u8,
            retain: publish.retain,
            packet_id: publish.pkid,
            properties: None,
            subscription: link::Subscription::Unnamed,
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

fn refused(code: SubscribeReasonCode) -> Option<Reason> {
    match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure => Some(Reason::UnspecifiedError),
    }
}

fn problem(error: ConnectionError, connected: bool) -> Problem {
    of_connection(error, connected).where_heard(connected)
}

fn of_connection(error: ConnectionError, connected: bool) -> Problem {
    match error {
        ConnectionError::Io(error) if connected => Problem::new(Cause::Closed, error),
        ConnectionError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Problem::new(Cause::Closed, error)
        }
        ConnectionError::Io(error) => Problem::new(Cause::Unreachable, error),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            Problem::new(Cause::Timeout, "")
        }
        ConnectionError::Tls(error) => Problem::new(Cause::Tls, error),
        ConnectionError::Websocket(error) => Problem::of_websocket(&error),
        ConnectionError::ResponseValidation(error) => Problem::of_websocket(&error),
        ConnectionError::ConnectionRefused(code) => Problem::new(of_connack(code), ""),
        ConnectionError::MqttState(error) => of_state(error),
        error => Problem::new(Cause::Protocol, error),
    }
}

fn of_state(error: StateError) -> Problem {
    match error {
        StateError::ConnectionAborted => Problem::new(Cause::Closed, ""),
        StateError::AwaitPingResp => Problem::new(Cause::Timeout, "no PINGRESP"),
        StateError::Io(error) | StateError::Deserialization(CodecError::Io(error)) => {
            Problem::new(Cause::Closed, error)
        }
        StateError::Deserialization(CodecError::PayloadSizeLimitExceeded(size)) => {
            Problem::new(Cause::PacketTooLarge, format_args!("{size} bytes"))
        }
        error => Problem::new(Cause::Protocol, error),
    }
}

fn of_connack(code: ConnectReturnCode) -> Cause {
    match code {
        ConnectReturnCode::RefusedProtocolVersion => Cause::ProtocolVersion,
        ConnectReturnCode::BadClientId => Cause::Refused(Reason::ClientIdentifierNotValid),
        ConnectReturnCode::ServiceUnavailable => Cause::Refused(Reason::ServerUnavailable),
        ConnectReturnCode::BadUserNamePassword => Cause::Refused(Reason::BadUsernameOrPassword),
        ConnectReturnCode::NotAuthorized => Cause::Refused(Reason::NotAuthorized),
        ConnectReturnCode::Success => Cause::Protocol,
    }
}
