//! What happens to clients, as JSON; Mosquitto 2.1 tells plugins, 2.0 does not.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ffi::{Peer, Published};
use crate::json;

/// The most bytes of a name in a line of the log, which the broker cuts at 999.
const LINE_NAME: usize = 256;

/// What happened to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happened<'a> {
    /// It asks for a connection.
    Attempt,
    /// It is connected.
    Connect,
    /// Its connection ended, for one of MQTT's reason codes or one of Mosquitto's error numbers.
    Disconnect { reason: i32 },
    /// It subscribes.
    Subscribe { topic_filter: &'a str, qos: u8 },
    /// It subscribes no more.
    Unsubscribe { topic_filter: &'a str },
}

impl Happened<'_> {
    const fn name(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Connect => "connect",
            Self::Disconnect { .. } => "disconnect",
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe { .. } => "unsubscribe",
        }
    }

    /// Returns it as one JSON object.
    pub(crate) fn json(self, peer: &Peer<'_>, time_ms: u64) -> String {
        let mut text = begin(self.name(), time_ms);
        describe(&mut text, peer);
        match self {
            Self::Attempt | Self::Connect => {}
            Self::Disconnect { reason } => {
                let _ = write!(text, ",\"reason\":{reason}");
            }
            Self::Subscribe { topic_filter, qos } => {
                text.push_str(",\"topic_filter\":");
                json::string(&mut text, Some(topic_filter));
                let _ = write!(text, ",\"qos\":{qos}");
            }
            Self::Unsubscribe { topic_filter } => {
                text.push_str(",\"topic_filter\":");
                json::string(&mut text, Some(topic_filter));
            }
        }
        text.push('}');
        text
    }
}

/// Returns a message that is on its way to a client as one JSON object.
pub(crate) fn delivered(message: &Published<'_>, topic: &str, time_ms: u64) -> String {
    let mut text = begin("delivered", time_ms);
    describe(&mut text, &message.peer());
    text.push_str(",\"topic\":");
    json::string(&mut text, Some(topic));
    let (qos, retain) = (message.qos(), message.retain());
    let _ = write!(text, ",\"qos\":{qos},\"retain\":{retain},\"payload\":\"");
    STANDARD.encode_string(message.payload(), &mut text);
    text.push_str("\"}");
    text
}

fn begin(name: &str, time_ms: u64) -> String {
    format!("{{\"event\":\"{name}\",\"time_ms\":{time_ms},")
}

/// Appends the keys of a client.
fn describe(to: &mut String, peer: &Peer<'_>) {
    to.push_str("\"client_id\":");
    json::string(to, peer.client_id());
    to.push_str(",\"username\":");
    json::string(to, peer.username());
    to.push_str(",\"address\":");
    json::string(to, peer.address());
    to.push(',');
    describe_connection(to, peer);
}

/// Returns a CONNECT as a line of the log, which the broker does not cut whatever the client's names are.
pub(crate) fn attempt_line(peer: &Peer<'_>) -> String {
    let mut line = String::from("connect {\"address\":");
    json::short_string(&mut line, peer.address(), LINE_NAME);
    line.push(',');
    describe_connection(&mut line, peer);
    line.push_str(",\"client_id\":");
    json::short_string(&mut line, peer.client_id(), LINE_NAME);
    line.push_str(",\"username\":");
    json::short_string(&mut line, peer.username(), LINE_NAME);
    line.push('}');
    line
}

fn describe_connection(to: &mut String, peer: &Peer<'_>) {
    let (version, clean) = (peer.protocol_version(), peer.clean_start());
    let keep_alive = peer.keep_alive();
    let _ = write!(
        to,
        "\"protocol_version\":{version},\"keep_alive\":{keep_alive},\"clean_start\":{clean}"
    );
}
