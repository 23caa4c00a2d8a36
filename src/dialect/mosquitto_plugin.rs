//! Mosquitto 2.1 with mqhook's plugin and `plugin_opt_events`: JSON under `$SYS/broker/mqhook/event`.
//!
//! | `event` | told as |
//! |---|---|
//! | `attempt` | asked for a connection |
//! | `connect` | accepted |
//! | `disconnect` | disconnected; refused, if the client is not known to be connected and the reason is one for which a CONNECT is refused |
//! | `subscribe`, `unsubscribe` | subscribed, unsubscribed |
//! | `delivered` | delivered to the client |
//!
//! `reason` is one of MQTT 5's codes from 128 on, and below that an error number of Mosquitto's. The
//! plugin writes what the broker tells it; names in there are data. Made after the headers of 2.1
//! and a broker that plays them, not captured.
//!
//! The broker gives the same reasons for a CONNECT that it refuses and for a client that it drops because
//! its user is gone, so this remembers who is connected. A connection is known again by all that is told
//! of it. A second one may look just the same: an `attempt` directly before says that it was that one
//! which was refused, and without `plugin_opt_connects` it passes for the end of the first.

use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde::Deserialize;

use super::recent::Recent;
use super::told::{About, plausible};
use super::{Dialect, Heard, Name, Unreadable, Vital, vital};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Message, Reason, TopicName};

/// Where the plugin tells.
const TOPIC: &str = "$SYS/broker/mqhook/event";

/// Where the plugin says, retained, whether it does.
const STATUS: &str = "$SYS/broker/mqhook/status";

/// How many connected clients are remembered.
const ONLINE: usize = 262_144;

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
#[derive(Debug)]
pub(super) struct MosquittoPlugin {
    /// The connected clients, each with its connection.
    online: Recent<Fingerprint>,
    /// The CONNECT that was told last, if nothing was told since.
    attempt: Option<Fingerprint>,
    hasher: RandomState,
}

/// Stands for all that the plugin tells of a connection: names may have 64 KiB.
type Fingerprint = u64;

impl Default for MosquittoPlugin {
    fn default() -> Self {
        Self {
            online: Recent::new(ONLINE),
            attempt: None,
            hasher: RandomState::new(),
        }
    }
}

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
         topic read $SYS/broker/mqhook/#\n"
    }

    fn vital_filters(&self) -> &'static [&'static str] {
        &vital::MOSQUITTO
    }

    fn vital(&self, heard: &Heard<'_>) -> Option<Vital> {
        vital::mosquitto(heard)
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
        match json.what {
            What::Disconnect { reason } => told.extend(self.ended(reason, about, connection)),
            what => {
                self.note(&what, &about.client, &connection);
                what.tell(about, connection, told)?;
            }
        }
        Ok(())
    }
}

impl MosquittoPlugin {
    fn fingerprint(&self, client: &Client, connection: &Connection) -> Fingerprint {
        self.hasher.hash_one((
            [&client.id, &client.username, &client.address],
            connection.protocol_version,
            connection.keep_alive,
            connection.clean_start,
        ))
    }

    /// Remembers what says later which connection ended.
    fn note(&mut self, what: &What, client: &Client, connection: &Connection) {
        self.attempt = None;
        match (what, &client.id) {
            (What::Attempt, _) => self.attempt = Some(self.fingerprint(client, connection)),
            (What::Connect, Some(id)) => {
                let fingerprint = self.fingerprint(client, connection);
                self.online.insert(id, fingerprint);
            }
            _ => {}
        }
    }

    fn ended(&mut self, reason: i32, about: About, connection: Connection) -> Option<Happening> {
        let fingerprint = Some(self.fingerprint(&about.client, &connection));
        let was_attempt = self.attempt.take() == fingerprint;
        let id = about.client.id.as_deref();
        let is_online = id.is_some_and(|id| self.online.get(id).copied() == fingerprint);
        match refusal(reason) {
            Some(reason) if was_attempt || !is_online => Some(about.refused(reason, connection)),
            // A connection that never was one: health checks, garbage.
            _ if id.is_none() => None,
            _ => {
                if let Some(id) = id.filter(|_| is_online) {
                    self.online.remove(id);
                }
                Some(about.disconnected(why(reason), None))
            }
        }
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
            // Told by `MosquittoPlugin::ended`.
            Self::Disconnect { .. } => {}
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

/// Returns why a CONNECT was refused, if that is what a number may mean.
fn refusal(number: i32) -> Option<Reason> {
    match number {
        // `MOSQ_ERR_NOMEM`, which a CONNECT that cannot be handled ends with, too.
        1 => Some(Reason::UnspecifiedError),
        // `MOSQ_ERR_AUTH`.
        11 => Some(Reason::NotAuthorized),
        132..=138 | 140 | 159 => Some(why(number)),
        _ => None,
    }
}

/// Returns what a number means: below 128 it is one of `enum mosq_err_t`.
fn why(number: i32) -> Reason {
    match number {
        0 => Reason::Normal,
        2 => Reason::ProtocolError,
        7 | 8 | 14 => Reason::ConnectionClosed,
        11 => Reason::NotAuthorized,
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{Detail, Timestamp};

    /// Plays events of `dev`, each with what else it says, and returns what the last one tells.
    fn play(events: &[(&str, &str)]) -> Vec<Happening> {
        let mut dialect = MosquittoPlugin::default();
        let topic = TopicName::try_from(ByteString::from_static(TOPIC)).expect("it is one");
        let mut last = Vec::new();
        for (user, event) in events {
            last.clear();
            let payload = Bytes::from(format!(
                r#"{{"time_ms":1795216121685,"client_id":"dev","username":{user},"address":"::1","protocol_version":5,"keep_alive":60,"clean_start":true,"event":{event}}}"#
            ));
            let heard = Heard {
                topic: &topic,
                payload: &payload,
                now: Timestamp::from_millis(0),
            };
            dialect.decode(&heard, &mut last).expect("readable");
        }
        last
    }

    const ALICE: &str = r#""alice""#;
    const CONNECT: (&str, &str) = (ALICE, r#""connect""#);
    const ATTEMPT: (&str, &str) = (ALICE, r#""attempt""#);
    const UNAUTHORISED: (&str, &str) = (ALICE, r#""disconnect","reason":11"#);
    const CLOSED: (&str, &str) = (ALICE, r#""disconnect","reason":7"#);

    fn refused(told: &[Happening]) -> Option<&Reason> {
        match &told.first()?.detail {
            Detail::Connection(connection) => connection.refused.as_ref(),
            _ => None,
        }
    }

    #[test]
    fn a_client_that_is_connected_is_disconnected_whatever_the_reason() {
        for reason in [1, 11, 135, 138] {
            let end = format!("\"disconnect\",\"reason\":{reason}");
            let told = play(&[CONNECT, (ALICE, &end)]);
            assert_eq!(told[0].kind, Kind::ClientDisconnected, "{reason}");
        }
        let told = play(&[CONNECT, UNAUTHORISED]);
        let Detail::End(end) = &told[0].detail else {
            panic!("expected an end, got {told:?}");
        };
        assert_eq!(end.reason, Reason::NotAuthorized);
        // An attempt before that was of another.
        let told = play(&[CONNECT, ("null", r#""attempt""#), UNAUTHORISED]);
        assert_eq!(told[0].kind, Kind::ClientDisconnected);
    }

    #[test]
    fn a_client_that_never_was_connected_is_refused() {
        for reason in [1, 11, 132, 133, 135, 138, 140, 159] {
            let end = format!("\"disconnect\",\"reason\":{reason}");
            let told = play(&[(ALICE, &end)]);
            assert_eq!(told[0].kind, Kind::ClientConnack, "{reason}");
            assert!(refused(&told).is_some(), "{reason}");
        }
        assert!(refused(&play(&[CONNECT, CLOSED, UNAUTHORISED])).is_some());
        // It may have connected before mqhook listened.
        assert_eq!(play(&[CLOSED])[0].kind, Kind::ClientDisconnected);
    }

    #[test]
    fn a_refusal_does_not_disconnect_the_client_of_that_name() {
        let stranger = ("null", r#""disconnect","reason":11"#);
        assert!(refused(&play(&[CONNECT, stranger])).is_some());
        assert!(refused(&play(&[CONNECT, ATTEMPT, UNAUTHORISED])).is_some());
        let told = play(&[CONNECT, ATTEMPT, UNAUTHORISED, UNAUTHORISED]);
        assert_eq!(told[0].kind, Kind::ClientDisconnected);
        let told = play(&[CONNECT, stranger, UNAUTHORISED]);
        assert_eq!(told[0].kind, Kind::ClientDisconnected);
    }
}
