//! A raw MQTT client for 3.1, 3.1.1 and 5, written byte by byte so that a test controls every byte.
//!
//! [`Connect`] describes and opens a session, [`Client`] is an open one. Packets that arrive while
//! another answer is awaited are kept: a PUBLISH is acknowledged at once (unless
//! [`Connect::manual_acks`]) and handed out by [`Client::next`] in order of arrival.
//!
//! It does not ping by itself, does not reconnect and does not check what it is told to send, so a
//! test can stay silent past its keep-alive or send nonsense.

mod connect;
mod packet;
mod property;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use self::connect::{Connack, Connect, Will};
use self::packet::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, identified, subscribe, unsubscribe};
pub use self::packet::{Packet, Publish, Received, Version};
pub use self::property::Property;
use crate::port::loopback;
use crate::wire::{PATIENCE, Wire, bounded};

const SUBACK: u8 = 9;
const UNSUBACK: u8 = 11;
const PINGRESP: u8 = 13;
const DISCONNECT: u8 = 14;

/// One connection to a broker; dropping it closes the socket without a DISCONNECT.
pub struct Client {
    wire: Box<dyn Wire>,
    version: Version,
    buffer: BytesMut,
    arrived: VecDeque<Received>,
    last_packet_id: u16,
    acknowledges: bool,
    connack: Option<Connack>,
}

impl Client {
    /// Opens a TCP connection and sends nothing; packets are read as version 3.1.1.
    pub async fn raw(port: u16) -> Self {
        let stream = bounded("a TCP connection", TcpStream::connect(loopback(port))).await;
        Self::over(Box::new(stream.expect("expected the broker to accept")))
    }

    /// Opens a TLS connection as `localhost` and sends nothing.
    pub async fn raw_tls(port: u16, config: Arc<ClientConfig>) -> Self {
        let stream = bounded("a TCP connection", TcpStream::connect(loopback(port))).await;
        let name = ServerName::try_from("localhost").expect("a valid name");
        let handshake = TlsConnector::from(config)
            .connect(name, stream.expect("expected the broker to accept"));
        let stream = bounded("a TLS handshake", handshake).await;
        Self::over(Box::new(
            stream.expect("expected the TLS handshake to succeed"),
        ))
    }

    fn over(wire: Box<dyn Wire>) -> Self {
        wire.socket()
            .set_nodelay(true)
            .expect("a TCP socket has this option");
        Self {
            wire,
            version: Version::V311,
            buffer: BytesMut::new(),
            arrived: VecDeque::new(),
            last_packet_id: 0,
            acknowledges: true,
            connack: None,
        }
    }

    /// Returns the broker's CONNACK, or `None` when the broker closed without one.
    #[must_use]
    pub fn connack(&self) -> Option<&Connack> {
        self.connack.as_ref()
    }

    /// Returns this end's address, as the broker sees and logs it.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.wire.socket().local_addr().expect("a connected socket")
    }

    /// Sends `bytes` as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = bounded("the broker to take bytes", async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        });
        sent.await.expect("expected an open connection to send on");
    }

    /// Publishes and completes the handshake of its QoS; returns the last reason code, 0 at QoS 0
    /// and before version 5.
    pub async fn publish(&mut self, publish: &Publish) -> u8 {
        let id = self.next_packet_id();
        self.send(&publish.encode(self.version, id)).await;
        match publish.quality() {
            0 => 0,
            1 => self.answer(PUBACK, id).await.reason_code(),
            _ => {
                let received = self.answer(PUBREC, id).await.reason_code();
                if received >= 0x80 {
                    return received;
                }
                self.send(&identified(PUBREL, id)).await;
                self.answer(PUBCOMP, id).await.reason_code()
            }
        }
    }

    /// Subscribes and returns the granted QoS or failure code of the SUBACK.
    ///
    /// `options` is the QoS; in version 5 with the flags of section 3.8.3.1 (4 no local, 8 retain as
    /// published, 16 and 32 retain handling).
    pub async fn subscribe(&mut self, topic_filter: &str, options: u8) -> u8 {
        let id = self.next_packet_id();
        self.send(&subscribe(self.version, id, topic_filter, options))
            .await;
        self.answer(SUBACK, id).await.last_byte()
    }

    /// Unsubscribes and returns the reason code, which before version 5 is always 0.
    pub async fn unsubscribe(&mut self, topic_filter: &str) -> u8 {
        let id = self.next_packet_id();
        self.send(&unsubscribe(self.version, id, topic_filter))
            .await;
        let answer = self.answer(UNSUBACK, id).await;
        if self.version == Version::V5 {
            answer.last_byte()
        } else {
            0
        }
    }

    /// Sends a PINGREQ and awaits its answer; whatever was sent before has then been handled.
    pub async fn ping(&mut self) {
        self.send(&[0xC0, 0]).await;
        self.await_packet("a PINGRESP", |packet| packet.kind() == PINGRESP)
            .await;
    }

    /// Returns the next message.
    ///
    /// # Panics
    /// When none arrives within ten seconds.
    pub async fn next(&mut self) -> Received {
        let message = self.next_within(PATIENCE).await;
        message.unwrap_or_else(|| panic!("expected a message within {PATIENCE:?}"))
    }

    /// Returns the next message, or `None` when none arrives in time.
    pub async fn next_within(&mut self, time: Duration) -> Option<Received> {
        timeout(time, self.next_arrival()).await.ok()
    }

    /// Returns the next message that fulfils `condition` and drops those before it.
    ///
    /// # Panics
    /// When none arrives within ten seconds, with the topics of those that did.
    pub async fn next_where(&mut self, condition: impl Fn(&Received) -> bool) -> Received {
        let mut others = Vec::new();
        let search = async {
            loop {
                match self.next_arrival().await {
                    message if condition(&message) => return message,
                    message => others.push(message),
                }
            }
        };
        timeout(PATIENCE, search).await.unwrap_or_else(|_| {
            panic!("expected a certain message within {PATIENCE:?}, got {others:#?}")
        })
    }

    /// Sends the PUBACK or PUBREC of a message received with [`Connect::manual_acks`].
    pub async fn acknowledge(&mut self, message: &Received) {
        match message.qos {
            0 => {}
            1 => self.send(&identified(PUBACK, message.packet_id)).await,
            _ => self.send(&identified(PUBREC, message.packet_id)).await,
        }
    }

    /// Leaves with a DISCONNECT (normal disconnection) and waits until the broker has closed.
    pub async fn disconnect(mut self) {
        self.send(&[0xE0, 0]).await;
        self.close().await;
    }

    /// Leaves with a version 5 DISCONNECT that carries `reason_code`, such as 4 to have the will
    /// published.
    pub async fn disconnect_with(mut self, reason_code: u8) {
        assert_eq!(
            self.version,
            Version::V5,
            "expected version 5 for a reason code"
        );
        self.send(&[0xE0, 1, reason_code]).await;
        self.close().await;
    }

    /// Closes with a FIN but no DISCONNECT, and waits until the broker has closed as well.
    pub async fn close(mut self) {
        // A broker that was faster has already closed; that is what is awaited below.
        let _ = self.wire.shutdown().await;
        self.wait_closed().await;
    }

    /// Breaks the connection with a TCP RST.
    pub fn abort(self) {
        self.wire.reset_on_close();
    }

    /// Waits until the broker has closed the connection; returns the reason code of its version 5
    /// DISCONNECT, if it sent one.
    pub async fn wait_closed(&mut self) -> Option<u8> {
        bounded("the broker to close the connection", async {
            let mut reason = None;
            while let Some(packet) = self.receive().await {
                if packet.kind() == DISCONNECT {
                    reason = Some(packet.body.first().copied().unwrap_or(0));
                }
            }
            reason
        })
        .await
    }

    /// Returns the next packet of any kind, unacknowledged, or `None` when the broker has closed.
    pub async fn next_packet(&mut self) -> Option<Packet> {
        bounded("a packet or the end of the connection", self.receive()).await
    }

    fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = self.last_packet_id.checked_add(1).unwrap_or(1);
        self.last_packet_id
    }

    async fn next_arrival(&mut self) -> Received {
        loop {
            if let Some(message) = self.arrived.pop_front() {
                return message;
            }
            self.receive_and_handle().await;
        }
    }

    async fn answer(&mut self, kind: u8, id: u16) -> Packet {
        let expected = format!("a packet of type {kind} with identifier {id}");
        self.await_packet(&expected, |packet| {
            packet.kind() == kind && packet.identifier() == id
        })
        .await
    }

    async fn await_packet(&mut self, expected: &str, matches: impl Fn(&Packet) -> bool) -> Packet {
        bounded(expected, async {
            loop {
                let packet = self.receive_and_handle().await;
                if matches(&packet) {
                    return packet;
                }
            }
        })
        .await
    }

    /// Reads one packet and does what the protocol asks of a receiver.
    async fn receive_and_handle(&mut self) -> Packet {
        let packet = self
            .receive()
            .await
            .expect("expected an open connection, the broker closed it");
        match packet.kind() {
            PUBLISH => {
                let message = Received::decode(&packet, self.version);
                if self.acknowledges {
                    self.acknowledge(&message).await;
                }
                self.arrived.push_back(message);
            }
            PUBREL => self.send(&identified(PUBCOMP, packet.identifier())).await,
            DISCONNECT => panic!("expected to stay connected, the broker sent {packet:?}"),
            _ => {}
        }
        packet
    }

    /// Reads one packet; the end of the connection is `None` however it came.
    ///
    /// Cancel safe: bytes of an incomplete packet stay in the buffer.
    async fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = Packet::split_from(&mut self.buffer) {
                return Some(packet);
            }
            match self.wire.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// Returns the bytes of a whole packet: first byte, remaining length, body.
#[must_use]
pub fn packet(first_byte: u8, body: &[u8]) -> Bytes {
    packet::framed(first_byte, body).into()
}
