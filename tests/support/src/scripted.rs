//! A broker of which the test plays every packet, for what no real one can be made to do.
//!
//! It accepts connections one at a time, as the test asks for them; others wait in the queue of
//! the listening socket. Only PINGREQ is answered by itself.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::client::{Packet, Publish, Version, packet};
use crate::port::loopback;
use crate::wire::bounded;

const CONNECT: u8 = 1;
const PUBACK: u8 = 4;
const SUBSCRIBE: u8 = 8;
const PINGREQ: u8 = 12;

/// A listening socket.
#[derive(Debug)]
pub struct ScriptedBroker {
    listener: TcpListener,
}

impl ScriptedBroker {
    /// Listens on a loopback port.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind(loopback(0)).await;
        Self {
            listener: listener.expect("bind any loopback port"),
        }
    }

    /// Returns `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.listener.local_addr().expect("the socket is bound");
        format!("mqtt://{address}")
    }

    /// Waits for the next connection and its CONNECT, which is not answered yet.
    pub async fn accept(&self) -> Peer {
        let accepted = bounded("a connection", self.listener.accept()).await;
        let (stream, _) = accepted.expect("a listening socket accepts");
        let mut peer = Peer {
            stream,
            buffer: BytesMut::new(),
            version: Version::V311,
        };
        let connect = peer.expect(CONNECT).await;
        // Behind the protocol's name: its length in two bytes, MQTT, the level.
        if connect.body.get(6) == Some(&5) {
            peer.version = Version::V5;
        }
        peer
    }

    /// Accepts the next connection, its session and its subscriptions.
    pub async fn serve(&self, session_present: bool) -> Peer {
        let mut peer = self.accept().await;
        peer.welcome(session_present).await;
        peer.grant_subscription().await;
        peer
    }
}

/// A client of the scripted broker; dropping it closes the connection.
#[derive(Debug)]
pub struct Peer {
    stream: TcpStream,
    buffer: BytesMut,
    version: Version,
}

impl Peer {
    /// Returns the version that the CONNECT asked for, 3.1.1 or 5.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = bounded("the client to take bytes", self.stream.write_all(bytes)).await;
        sent.expect("expected an open connection to send on");
    }

    /// Accepts the CONNECT.
    pub async fn welcome(&mut self, session_present: bool) {
        let flags = u8::from(session_present);
        match self.version {
            Version::V5 => self.send(&[0x20, 3, flags, 0, 0]).await,
            Version::V31 | Version::V311 => self.send(&[0x20, 2, flags, 0]).await,
        }
    }

    /// Awaits a SUBSCRIBE, grants QoS 1 for each of its topic filters and returns them.
    pub async fn grant_subscription(&mut self) -> Vec<String> {
        let subscribe = self.expect(SUBSCRIBE).await;
        let properties = usize::from(self.version == Version::V5);
        // No client of ours sends properties here, so their length is 0, in one byte.
        let filters = filters(&subscribe.body[2 + properties..]);
        let mut answer = subscribe.body[..2].to_vec();
        answer.extend(std::iter::repeat_n(0, properties));
        answer.extend(std::iter::repeat_n(1, filters.len()));
        self.send(&packet(0x90, &answer)).await;
        filters
    }

    /// Sends a PUBLISH.
    pub async fn publish(&mut self, publish: &Publish, packet_id: u16) {
        let bytes = publish.encode(self.version, packet_id);
        self.send(&bytes).await;
    }

    /// Awaits a PUBACK and returns its packet identifier.
    pub async fn puback(&mut self) -> u16 {
        self.expect(PUBACK).await.identifier()
    }

    /// Returns the next packet, or `None` when the client has closed.
    pub async fn next(&mut self) -> Option<Packet> {
        bounded("a packet or the end of the connection", self.receive()).await
    }

    /// Returns the packet that arrives within a time, if one does.
    pub async fn next_within(&mut self, time: Duration) -> Option<Packet> {
        timeout(time, self.receive()).await.ok().flatten()
    }

    /// Awaits a PINGREQ and answers it.
    ///
    /// # Panics
    /// When another packet comes.
    pub async fn ping(&mut self) {
        let ping = bounded("a PINGREQ", self.receive_any()).await;
        let is_ping = ping.as_ref().is_some_and(|packet| packet.kind() == PINGREQ);
        assert!(is_ping, "expected a PINGREQ, got {ping:?}");
        self.send(&[0xD0, 0]).await;
    }

    /// Awaits a packet of a type.
    ///
    /// # Panics
    /// When another one comes.
    pub async fn expect(&mut self, kind: u8) -> Packet {
        let next = self.next().await;
        let expected = next.clone().filter(|packet| packet.kind() == kind);
        expected.unwrap_or_else(|| panic!("expected a packet of type {kind}, got {next:?}"))
    }

    async fn receive(&mut self) -> Option<Packet> {
        loop {
            let packet = self.receive_any().await?;
            if packet.kind() != PINGREQ {
                return Some(packet);
            }
            self.send(&[0xD0, 0]).await;
        }
    }

    /// Cancel safe: bytes of an incomplete packet stay in the buffer.
    async fn receive_any(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = Packet::split_from(&mut self.buffer) {
                return Some(packet);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// Reads the payload of a SUBSCRIBE.
fn filters(mut payload: &[u8]) -> Vec<String> {
    let mut filters = Vec::new();
    while let Some((length, rest)) = payload.split_first_chunk() {
        let (filter, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        filters.push(String::from_utf8_lossy(filter).into_owned());
        payload = &rest[1..];
    }
    filters
}
