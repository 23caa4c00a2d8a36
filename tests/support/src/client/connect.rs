//! CONNECT with every option, and the CONNACK that answers it.

use std::sync::Arc;

use bytes::Bytes;
use rustls::ClientConfig;

use super::Client;
use super::packet::{Packet, Version, framed};
use super::property::{self, Property, binary};
use crate::wire::bounded;

const CONNACK: u8 = 2;

/// A session to open; clean, with a keep-alive of 60 s and nothing else unless said otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct Connect {
    version: Version,
    client_id: String,
    username: Option<String>,
    password: Option<Bytes>,
    clean: bool,
    keep_alive: u16,
    will: Option<Will>,
    protocol_name: String,
    protocol_level: u8,
    properties: Vec<Property>,
    acknowledges: bool,
}

/// A will: what it publishes, and its version 5 properties.
#[derive(Clone, Debug)]
#[must_use]
pub struct Will {
    topic: String,
    payload: Bytes,
    qos: u8,
    retain: bool,
    properties: Vec<Property>,
}

impl Will {
    /// Starts with a topic and a payload; QoS 0 and not retained.
    pub fn new(topic: &str, payload: impl Into<Bytes>) -> Self {
        let (topic, payload) = (topic.to_owned(), payload.into());
        Self {
            topic,
            payload,
            qos: 0,
            retain: false,
            properties: Vec::new(),
        }
    }

    /// Sets the QoS.
    pub fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    /// Asks the broker to retain the will once published.
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Adds a version 5 property.
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }
}

/// A broker's answer to CONNECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connack {
    /// Whether the broker had kept a session.
    pub session_present: bool,
    /// Return code (3.x) or reason code (5); 0 is success.
    pub code: u8,
    /// Version 5 properties.
    pub properties: Vec<Property>,
    /// The body as it came.
    pub body: Bytes,
}

impl Connect {
    /// Starts with a version, whose protocol name and level are used, and a client identifier.
    pub fn new(version: Version, client_id: &str) -> Self {
        let (protocol_name, protocol_level) = match version {
            Version::V31 => ("MQIsdp", 3),
            Version::V311 => ("MQTT", 4),
            Version::V5 => ("MQTT", 5),
        };
        Self {
            version,
            client_id: client_id.to_owned(),
            username: None,
            password: None,
            clean: true,
            keep_alive: 60,
            will: None,
            protocol_name: protocol_name.to_owned(),
            protocol_level,
            properties: Vec::new(),
            acknowledges: true,
        }
    }

    /// Sets the user name.
    pub fn username(mut self, username: &str) -> Self {
        self.username = Some(username.to_owned());
        self
    }

    /// Sets the password.
    pub fn password(mut self, password: impl Into<Bytes>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Clears the clean session (clean start) flag; version 5 also needs
    /// [`Property::session_expiry`].
    pub fn persistent(mut self) -> Self {
        self.clean = false;
        self
    }

    /// Sets the keep-alive in seconds; 0 turns it off.
    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// Sets the will.
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// Overrides the protocol level, to be refused.
    pub fn protocol_level(mut self, level: u8) -> Self {
        self.protocol_level = level;
        self
    }

    /// Overrides the protocol name, to be refused.
    pub fn protocol_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.protocol_name);
        self
    }

    /// Adds a property; sent in version 5 only.
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// Leaves messages unacknowledged until [`Client::acknowledge`].
    pub fn manual_acks(mut self) -> Self {
        self.acknowledges = false;
        self
    }

    /// Returns the CONNECT packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        binary(self.protocol_name.as_bytes(), &mut body);
        body.extend([self.protocol_level, self.flags()]);
        body.extend(self.keep_alive.to_be_bytes());
        self.encode_properties(&self.properties, &mut body);
        binary(self.client_id.as_bytes(), &mut body);
        if let Some(will) = &self.will {
            self.encode_properties(&will.properties, &mut body);
            binary(will.topic.as_bytes(), &mut body);
            binary(&will.payload, &mut body);
        }
        if let Some(username) = &self.username {
            binary(username.as_bytes(), &mut body);
        }
        if let Some(password) = &self.password {
            binary(password, &mut body);
        }
        framed(0x10, &body)
    }

    /// Opens the session over TCP.
    ///
    /// # Panics
    /// When the broker refuses it.
    pub async fn open(&self, port: u16) -> Client {
        self.accepted(self.attempt(port).await)
    }

    /// Opens the session over TLS.
    ///
    /// # Panics
    /// When the broker refuses it.
    pub async fn open_tls(&self, port: u16, config: Arc<ClientConfig>) -> Client {
        self.accepted(self.over(Client::raw_tls(port, config).await).await)
    }

    /// Sends the CONNECT over TCP; what the broker said is in [`Client::connack`].
    pub async fn attempt(&self, port: u16) -> Client {
        self.over(Client::raw(port).await).await
    }

    /// Sends the CONNECT on an open connection, and waits for the CONNACK or the broker's close.
    pub async fn over(&self, mut client: Client) -> Client {
        client.version = self.version;
        client.acknowledges = self.acknowledges;
        client.send(&self.encode()).await;
        let answer = bounded("a CONNACK or the end of the connection", client.receive()).await;
        client.connack = answer.map(|packet| self.connack(&packet));
        client
    }

    fn accepted(&self, client: Client) -> Client {
        let accepted = client.connack().is_some_and(|connack| connack.code == 0);
        assert!(
            accepted,
            "expected {:?} to be accepted, got {:?}",
            self.client_id,
            client.connack()
        );
        client
    }

    fn connack(&self, packet: &Packet) -> Connack {
        assert_eq!(packet.kind(), CONNACK, "expected a CONNACK, got {packet:?}");
        let [flags, code] = packet.body[..2] else {
            panic!("expected two bytes of CONNACK, got {packet:?}")
        };
        let mut rest = &packet.body[2..];
        let properties = match self.version {
            Version::V5 => property::decode(&mut rest).unwrap_or_default(),
            Version::V31 | Version::V311 => Vec::new(),
        };
        Connack {
            session_present: flags & 1 != 0,
            code,
            properties,
            body: packet.body.clone(),
        }
    }

    fn flags(&self) -> u8 {
        let will = self
            .will
            .as_ref()
            .map_or(0, |will| 4 | will.qos << 3 | u8::from(will.retain) << 5);
        u8::from(self.clean) << 1
            | will
            | u8::from(self.password.is_some()) << 6
            | u8::from(self.username.is_some()) << 7
    }

    fn encode_properties(&self, properties: &[Property], body: &mut Vec<u8>) {
        if self.version == Version::V5 {
            property::encode(properties, body);
        }
    }
}
