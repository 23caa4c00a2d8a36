//! NATS server (2.9), with its system account's advisories imported below `$mqhook`.
//!
//! | topic | told as |
//! |---|---|
//! | `$mqhook/$SYS/ACCOUNT/<account>/CONNECT` | accepted |
//! | `$mqhook/$SYS/ACCOUNT/<account>/DISCONNECT` | disconnected |
//! | `$mqhook/$SYS/SERVER/<server>/CLIENT/AUTH/ERR` | refused |
//!
//! The payload is JSON; only clients that speak MQTT are told. Nothing is told of subscriptions, the
//! protocol version, or the keep alive. A client that takes over is told before the one that it replaces.
//!
//! A leading wildcard matches reserved topics at NATS, against 4.7.2, so that a prefix without `$` would
//! make the advisories published messages, to whoever has a rule for `#`. They must not be: their field
//! `jwt` repeats the client's password. It is not read.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;

use super::told::{About, plausible};
use super::{Dialect, Heard, Unreadable};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Reason, Timestamp};

/// Reads what NATS tells; needs no memory.
#[derive(Debug, Default)]
pub(super) struct Nats;

enum Act {
    Connected,
    Disconnected,
    Refused,
}

impl Dialect for Nats {
    fn kinds(&self) -> KindSet {
        KindSet::of(&[
            Kind::ClientConnack,
            Kind::ClientConnected,
            Kind::ClientDisconnected,
        ])
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &[
            "$mqhook/$SYS/ACCOUNT/+/+",
            "$mqhook/$SYS/SERVER/+/CLIENT/AUTH/ERR",
        ]
    }

    fn setup(&self) -> &'static str {
        "`broker.dialect` must be \"nats\", and the account of the MQTT clients, here DEVICES, must import\n\
         what the system account knows of it:\n\
         \n\
         SYS.exports = [{ stream: \"$SYS.ACCOUNT.DEVICES.*\" }, { stream: \"$SYS.SERVER.*.CLIENT.AUTH.ERR\" }]\n\
         DEVICES.imports = [\n\
         \x20 { stream: { account: SYS, subject: \"$SYS.ACCOUNT.DEVICES.*\" }, prefix: \"$mqhook\" }\n\
         \x20 { stream: { account: SYS, subject: \"$SYS.SERVER.*.CLIENT.AUTH.ERR\" }, prefix: \"$mqhook\" }\n\
         ]\n\
         \n\
         Deny `$mqhook.>` to all users but mqhook's, for publishing and for subscribing: NATS puts the\n\
         clients' passwords into it. The whole file is config/nats-server.conf.\n"
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        let Some(act) = act(heard) else {
            return Ok(());
        };
        let advisory = Advisory::read(heard.payload)?;
        if advisory.client.client_type != "mqtt" {
            return Ok(());
        }
        let connected_at = time(advisory.client.start.as_deref());
        let reason = reason(&advisory.reason);
        let about = advisory.about();
        match act {
            Act::Connected => told.extend(about.accepted(Connection::default())),
            Act::Disconnected => told.push(about.disconnected(reason, connected_at)),
            Act::Refused => told.push(about.refused(reason, Connection::default())),
        }
        Ok(())
    }
}

fn act(heard: &Heard<'_>) -> Option<Act> {
    let rest = heard.topic.as_str().strip_prefix("$mqhook/$SYS/")?;
    let mut levels = rest.split('/');
    let (place, _name) = (levels.next()?, levels.next()?);
    match (place, levels.next()?, levels.next(), levels.next()) {
        ("ACCOUNT", "CONNECT", None, _) => Some(Act::Connected),
        ("ACCOUNT", "DISCONNECT", None, _) => Some(Act::Disconnected),
        ("SERVER", "CLIENT", Some("AUTH"), Some("ERR")) => Some(Act::Refused),
        _ => None,
    }
}

/// Returns the reason of NATS's `reason`, the text of a `ClosedState` (its `server/client.go`).
fn reason(text: &str) -> Reason {
    match text {
        "Duplicate Client ID" => Reason::TakenOver,
        // Also when a client was silent for too long, which is an end of reading like others.
        "Read Error" | "Write Error" | "Stale Connection" => Reason::ConnectionClosed,
        "Authentication Failure" | "Authentication Timeout" | "Missing Account" => {
            Reason::NotAuthorized
        }
        "Authentication Expired" | "Credentials Revoked" => Reason::NotAuthorized,
        "Parse Error" => Reason::MalformedPacket,
        "Protocol Violation" => Reason::ProtocolError,
        "Bad Client Protocol Version" => Reason::UnsupportedProtocolVersion,
        "Maximum Message Payload Exceeded" | "Maximum Control Line Exceeded" => {
            Reason::PacketTooLarge
        }
        "Slow Consumer (Pending Bytes)"
        | "Slow Consumer (Write Deadline)"
        | "Maximum Subscriptions Exceeded"
        | "Maximum Connections Exceeded"
        | "Maximum Account Connections Exceeded" => Reason::QuotaExceeded,
        "Server Shutdown" => Reason::ServerShuttingDown,
        "Kicked" => Reason::AdministrativeAction,
        // "Client Closed" is a DISCONNECT as well as the end of the connection without one.
        _ => Reason::Unknown,
    }
}

/// What is read of an advisory.
#[derive(Deserialize)]
struct Advisory {
    timestamp: Option<String>,
    client: Connected,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Connected {
    start: Option<String>,
    host: Option<String>,
    user: Option<String>,
    #[serde(default)]
    client_type: String,
    client_id: Option<String>,
}

impl Advisory {
    fn read(payload: &Bytes) -> Result<Self, Unreadable> {
        serde_json::from_slice(payload)
            .map_err(|_| Unreadable("not an object with `client` as NATS writes it"))
    }

    fn about(self) -> About {
        let known =
            |text: Option<String>| text.filter(|text| !text.is_empty()).map(ByteString::from);
        About {
            time: time(self.timestamp.as_deref()),
            client: Client {
                id: known(self.client.client_id),
                username: known(self.client.user),
                address: known(self.client.host),
            },
        }
    }
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    plausible(Timestamp::from_rfc3339(text?)?.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TopicName;

    const CONNECT: &str = "$mqhook/$SYS/ACCOUNT/A/CONNECT";

    fn decode(topic: &'static str, payload: &str) -> Result<Vec<Happening>, Unreadable> {
        let topic = TopicName::try_from(ByteString::from_static(topic)).expect("a topic name");
        let heard = Heard {
            topic: &topic,
            payload: &Bytes::copy_from_slice(payload.as_bytes()),
            now: Timestamp::from_millis(0),
        };
        let mut told = Vec::new();
        Nats.decode(&heard, &mut told).map(|()| told)
    }

    #[test]
    fn clients_of_other_protocols_tell_nothing() {
        let nats = r#"{"client":{"client_type":"nats","client_id":"c"}}"#;
        assert_eq!(decode(CONNECT, nats), Ok(Vec::new()));
        let internal = r#"{"client":{"kind":"Leafnode","host":"127.0.0.1"}}"#;
        assert_eq!(decode(CONNECT, internal), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_about_a_client_tells_nothing() {
        let mqtt = r#"{"client":{"client_type":"mqtt","client_id":"c"}}"#;
        for topic in [
            "$mqhook/$SYS/ACCOUNT/A/CONNECT/x",
            "$mqhook/$SYS/ACCOUNT/A/SERVER_CONNS",
            "$mqhook/$SYS/SERVER/N/STATSZ",
            "mqhook/$SYS/ACCOUNT/A/CONNECT",
        ] {
            assert_eq!(decode(topic, mqtt), Ok(Vec::new()), "{topic}");
        }
        assert_eq!(decode(CONNECT, mqtt).expect("readable").len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for payload in ["", "forged", "[]", "{}", r#"{"client":{"client_id":7}}"#] {
            assert!(decode(CONNECT, payload).is_err(), "{payload}");
        }
    }

    #[test]
    fn what_was_not_given_is_not_known() {
        let payload =
            r#"{"timestamp":"soon","client":{"client_type":"mqtt","client_id":"","user":""}}"#;
        let told = decode(CONNECT, payload).expect("readable");
        assert_eq!((&told[0].client, told[0].time), (&Client::default(), None));
    }
}
