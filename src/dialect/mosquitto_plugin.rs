//! Mosquitto 2.1 with mqhook's plugin and `plugin_opt_events`: JSON under `$SYS/broker/mqhook/event`.
//!
//! | `event` | told as |
//! |---|---|
//! | `attempt` | asked for a connection |
//! | `connect` | accepted |
//! | `disconnect` | refused, if the reason is one for which a CONNECT is refused; otherwise disconnected |
//! | `subscribe`, `unsubscribe` | subscribed, unsubscribed |
//! | `delivered` | delivered to the client |
//!
//! `reason` is one of MQTT 5's codes from 128 on, and below that an error number of Mosquitto's. The
//! plugin writes what the broker tells it; names in there are data. Made after the headers of 2.1
//! and a broker that plays them, not captured.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde::Deserialize;

use super::told::{About, plausible};
use super::{Dialect, Heard, Name, Unreadable};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Message, Reason, TopicName};

/// Where the plugin tells.
const TOPIC: &str = "$SYS/broker/mqhook/event";

/// Where the plugin says, retained, whether it does.
const STATUS: &str = "$SYS/broker/mqhook/status";

/// Returns that the plugin tells, if the message gives that away: without `plugin_opt_events` it does not.
pub(super) fn recognise(heard: &Heard<'_>) -> Option<Name> {
    #[derive(Deserialize)]
    struct Status {
        events: bool,
    }
    let tells = match heard.topic.as_str() {
        TOPIC => true,
        STATUS => serde_json::from_slice(heard.payload).is_ok_and(|status: Status| status.events),
        _ => false,
    };
    tells.then_some(Name::MosquittoPlugin)
}

/// Reads what the plugin tells.
#[derive(Debug, Default)]
pub(super) struct MosquittoPlugin;

impl Dialect for MosquittoPlugin {
    fn kinds(&self) -> KindSet {
        KindSet::of(&[
            Kind::ClientConnect,
            Kind::ClientConnack,
            Kind::ClientConnected,
            Kind::ClientDisconnected,
            Kind::ClientSubscribe,
            Kind::ClientUnsubscribe,
            Kind::SessionSubscribed,
            Kind::SessionUnsubscribed,
            Kind::MessageDelivered,
        ])
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &[TOPIC]
    }

    fn setup(&self) -> &'static str {
        "Mosquitto must be 2.1 or later, and have mqhook's plugin. mosquitto.conf needs, below\n\
         the plugin:\n\
         \n\
         plugin_opt_events true\n\
         \n\
         With an acl_file, mqhook's user needs:\n\
         \n\
         topic read $SYS/broker/mqhook/event\n"
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        if heard.topic.as_str() != TOPIC {
            return Ok(());
        }
        let json: Json = serde_json::from_slice(heard.payload)
            .map_err(|_| Unreadable("not an event of mqhook's plugin"))?;
        let about = About {
            time: plausible(json.time_ms),
            client: Client {
                id: text(json.client_id),
                username: text(json.username),
                address: text(json.address),
            },
        };
        let connection = Connection {
            protocol_version: Some(json.protocol_version).filter(|version| *version != 0),
            keep_alive: Some(json.keep_alive),
            clean_start: Some(json.clean_start),
            refused: None,
        };
        json.what.tell(about, connection, told)
    }
}

#[derive(Deserialize)]
struct Json {
    time_ms: u64,
    client_id: Option<String>,
    username: Option<String>,
    address: Option<String>,
    protocol_version: u8,
    keep_alive: u16,
    clean_start: bool,
    #[serde(flatten)]
    what: What,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum What {
    Attempt,
    Connect,
    Disconnect {
        reason: i32,
    },
    Subscribe {
        topic_filter: String,
        qos: u8,
    },
    Unsubscribe {
        topic_filter: String,
    },
    Delivered {
        topic: String,
        qos: u8,
        retain: bool,
        payload: String,
    },
}

impl What {
    fn tell(
        self,
        about: About,
        connection: Connection,
        told: &mut Vec<Happening>,
    ) -> Result<(), Unreadable> {
        match self {
            Self::Attempt => told.push(about.requested(connection)),
            Self::Connect => told.extend(about.accepted(connection)),
            Self::Disconnect { reason: AUTH } => {
                told.push(about.refused(Reason::NotAuthorized, connection));
            }
            // A connection that never was one: health checks, garbage.
            Self::Disconnect { .. } if about.client.id.is_none() => {}
            Self::Disconnect { reason } => told.push(about.disconnected(why(reason), None)),
            Self::Subscribe { topic_filter, qos } => {
                told.extend(about.subscribed(topic_filter.into(), Some(qos)));
            }
            Self::Unsubscribe { topic_filter } => {
                told.extend(about.unsubscribed(topic_filter.into()));
            }
            Self::Delivered {
                topic,
                qos,
                retain,
                payload,
            } => {
                let topic = TopicName::try_from(ByteString::from(topic))
                    .map_err(|_| Unreadable("a delivered message has no topic name"))?;
                let payload = STANDARD
                    .decode(payload)
                    .map_err(|_| Unreadable("a delivered message's payload is not base64"))?;
                told.push(about.delivered(Message {
                    topic,
                    payload: payload.into(),
                    qos: qos.min(2),
                    retain,
                    protocol_version: connection.protocol_version,
                    properties: None,
                }));
            }
        }
        Ok(())
    }
}

/// Mosquitto's `MOSQ_ERR_AUTH`.
const AUTH: i32 = 11;

/// Returns what a number means: below 128 it is one of `enum mosq_err_t`.
fn why(number: i32) -> Reason {
    match number {
        0 => Reason::Normal,
        2 => Reason::ProtocolError,
        7 | 8 | 14 => Reason::ConnectionClosed,
        18 | 21 | 22 => Reason::MalformedPacket,
        19 => Reason::KeepaliveTimeout,
        24 => Reason::QosNotSupported,
        25 => Reason::PacketTooLarge,
        128.. => u8::try_from(number).map_or(Reason::Unknown, Reason::from_code),
        _ => Reason::Unknown,
    }
}

fn text(text: Option<String>) -> Option<ByteString> {
    text.filter(|text| !text.is_empty()).map(ByteString::from)
}
