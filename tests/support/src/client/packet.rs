//! MQTT control packets as bytes: framing, PUBLISH in both directions, SUBSCRIBE and acknowledgements.

use bytes::{Buf, Bytes, BytesMut};

use super::property::{self, Property, binary, split, split_text, variable};

pub(super) const PUBLISH: u8 = 3;
pub(super) const PUBACK: u8 = 4;
pub(super) const PUBREC: u8 = 5;
pub(super) const PUBREL: u8 = 6;
pub(super) const PUBCOMP: u8 = 7;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V31,
    /// MQTT 3.1.1: level 4.
    V311,
    /// MQTT 5: level 5.
    V5,
}

/// A packet as it came off the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Type and flags.
    pub first_byte: u8,
    /// Everything after the remaining length.
    pub body: Bytes,
}

impl Packet {
    /// Returns the packet type, 1 to 15.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.first_byte >> 4
    }

    /// Returns the packet identifier of an acknowledgement, 0 when there is none.
    #[must_use]
    pub fn identifier(&self) -> u16 {
        self.body
            .first_chunk()
            .map_or(0, |bytes| u16::from_be_bytes(*bytes))
    }

    pub(super) fn reason_code(&self) -> u8 {
        self.body.get(2).copied().unwrap_or(0)
    }

    pub(super) fn last_byte(&self) -> u8 {
        *self.body.last().expect("an acknowledgement has a body")
    }

    /// Takes the first packet out of `buffer` once it is complete.
    pub(crate) fn split_from(buffer: &mut BytesMut) -> Option<Self> {
        let mut length = 0;
        for position in 1..=4 {
            let digit = *buffer.get(position)?;
            length |= usize::from(digit & 0x7F) << (7 * (position - 1));
            if digit & 0x80 == 0 {
                let header = position + 1;
                if buffer.len() < header + length {
                    return None;
                }
                let first_byte = buffer[0];
                buffer.advance(header);
                return Some(Self {
                    first_byte,
                    body: buffer.split_to(length).freeze(),
                });
            }
        }
        panic!(
            "expected a packet, its remaining length has more than four bytes: {:02x?}",
            &buffer[..5]
        );
    }
}

/// A message to publish; QoS 0 and not retained unless said otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct Publish {
    topic: String,
    payload: Bytes,
    qos: u8,
    retain: bool,
    properties: Vec<Property>,
}

impl Publish {
    /// Starts with a topic and a payload.
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

    /// Asks the broker to retain the message.
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Adds a property; sent in version 5 only.
    pub fn property(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// Adds a user property; sent in version 5 only.
    pub fn user_property(self, name: &str, value: &str) -> Self {
        self.property(Property::user(name, value))
    }

    /// Sets the content type; sent in version 5 only.
    pub fn content_type(self, value: &str) -> Self {
        self.property(Property::content_type(value))
    }

    /// Sets the topic alias; sent in version 5 only. The topic may then be empty from the second
    /// message on.
    pub fn topic_alias(self, alias: u16) -> Self {
        self.property(Property::topic_alias(alias))
    }

    /// Returns the PUBLISH packet; the identifier is left out at QoS 0.
    #[must_use]
    pub fn encode(&self, version: Version, packet_id: u16) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.topic.len() + self.payload.len() + 16);
        binary(self.topic.as_bytes(), &mut body);
        if self.qos > 0 {
            body.extend(packet_id.to_be_bytes());
        }
        if version == Version::V5 {
            property::encode(&self.properties, &mut body);
        }
        body.extend_from_slice(&self.payload);
        framed(PUBLISH << 4 | self.qos << 1 | u8::from(self.retain), &body)
    }

    pub(super) fn quality(&self) -> u8 {
        self.qos
    }
}

/// A message that the broker sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Topic name; empty when the broker used a topic alias.
    pub topic: String,
    /// Application message.
    pub payload: Bytes,
    /// QoS of this delivery.
    pub qos: u8,
    /// The retain flag of this delivery.
    pub retain: bool,
    /// The DUP flag.
    pub dup: bool,
    /// Packet identifier; 0 at QoS 0.
    pub packet_id: u16,
    /// Version 5 properties in order of arrival.
    pub properties: Vec<Property>,
}

impl Received {
    /// Decodes a PUBLISH.
    ///
    /// # Panics
    /// When it is malformed.
    #[must_use]
    pub fn decode(packet: &Packet, version: Version) -> Self {
        Self::parse(packet, version).unwrap_or_else(|| panic!("expected a PUBLISH, got {packet:?}"))
    }

    /// Returns the values of the user properties called `name`.
    #[must_use]
    pub fn user_property<'a>(&'a self, name: &str) -> Vec<&'a str> {
        let value = |property: &'a Property| match property {
            Property::User(key, value) if key == name => Some(value.as_str()),
            _ => None,
        };
        self.properties.iter().filter_map(value).collect()
    }

    /// Returns the payload as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("expected a payload of UTF-8")
    }

    fn parse(packet: &Packet, version: Version) -> Option<Self> {
        let mut input = &packet.body[..];
        let topic = split_text(&mut input)?;
        let qos = packet.first_byte >> 1 & 3;
        let packet_id = match qos {
            0 => 0,
            _ => u16::from_be_bytes(split(&mut input, 2)?.try_into().ok()?),
        };
        let properties = if version == Version::V5 {
            property::decode(&mut input)?
        } else {
            Vec::new()
        };
        let (retain, dup) = (packet.first_byte & 1 != 0, packet.first_byte & 8 != 0);
        Some(Self {
            topic,
            payload: packet.body.slice_ref(input),
            qos,
            retain,
            dup,
            packet_id,
            properties,
        })
    }
}

/// Returns a packet that carries nothing but an identifier.
pub(super) fn identified(kind: u8, packet_id: u16) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    let [high, low] = packet_id.to_be_bytes();
    vec![kind << 4 | flags, 2, high, low]
}

pub(super) fn subscribe(
    version: Version,
    packet_id: u16,
    topic_filter: &str,
    options: u8,
) -> Vec<u8> {
    let mut body = filter_packet(version, packet_id, topic_filter);
    body.push(options);
    framed(0x82, &body)
}

pub(super) fn unsubscribe(version: Version, packet_id: u16, topic_filter: &str) -> Vec<u8> {
    framed(0xA2, &filter_packet(version, packet_id, topic_filter))
}

pub(super) fn framed(first_byte: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(body.len() + 5);
    packet.push(first_byte);
    variable(
        u32::try_from(body.len()).expect("a packet below 256 MiB"),
        &mut packet,
    );
    packet.extend_from_slice(body);
    packet
}

fn filter_packet(version: Version, packet_id: u16, topic_filter: &str) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        property::encode(&[], &mut body);
    }
    binary(topic_filter.as_bytes(), &mut body);
    body
}
