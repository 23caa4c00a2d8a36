//! Aedes, the broker for Node.js (1.2).
//!
//! | topic | payload | told as |
//! |---|---|---|
//! | `$SYS/<broker>/new/clients` | the client identifier | accepted |
//! | `$SYS/<broker>/disconnect/clients` | the client identifier | disconnected, reason `unknown` |
//! | `$SYS/<broker>/new/subscribes` | `{"clientId":"c","subs":[{"topic":"a/b","qos":1}]}` | subscribed, each |
//! | `$SYS/<broker>/new/unsubscribes` | `{"clientId":"c","subs":["a/b"]}` | unsubscribed, each |
//!
//! Aedes tells no user name, address, protocol version or time, and nothing of refusals.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;

use super::told::About;
use super::{Dialect, Heard, Unreadable};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Reason};

/// Most subscriptions that one message may list. Aedes tells of each packet on its own; what lists
/// more would become a flood of events.
const MAX_SUBSCRIPTIONS: usize = 1_000;

/// Reads what Aedes tells; needs no memory.
#[derive(Debug, Default)]
pub(super) struct Aedes;

impl Dialect for Aedes {
    fn kinds(&self) -> KindSet {
        KindSet::of(&[
            Kind::ClientConnack,
            Kind::ClientConnected,
            Kind::ClientDisconnected,
            Kind::ClientSubscribe,
            Kind::ClientUnsubscribe,
            Kind::SessionSubscribed,
            Kind::SessionUnsubscribed,
        ])
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &["$SYS/+/new/#", "$SYS/+/disconnect/clients"]
    }

    fn setup(&self) -> &'static str {
        ""
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        let mut levels = heard.topic.levels();
        if levels.next() != Some("$SYS") || levels.next().is_none() {
            return Ok(());
        }
        match (levels.next(), levels.next(), levels.next()) {
            (Some("new"), Some("clients"), None) => {
                told.extend(client(heard.payload)?.accepted(Connection::default()));
            }
            (Some("disconnect"), Some("clients"), None) => {
                told.push(client(heard.payload)?.disconnected(Reason::Unknown, None));
            }
            (Some("new"), Some("subscribes"), None) => {
                let (about, subs) = subscriptions(heard.payload)?;
                for sub in subs {
                    let (topic_filter, qos) = sub.parts();
                    told.extend(about.clone().subscribed(topic_filter, qos));
                }
            }
            (Some("new"), Some("unsubscribes"), None) => {
                let (about, subs) = subscriptions(heard.payload)?;
                for sub in subs {
                    told.extend(about.clone().unsubscribed(sub.parts().0));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn client(payload: &Bytes) -> Result<About, Unreadable> {
    let id = ByteString::try_from(payload.clone())
        .map_err(|_| Unreadable("the client identifier is not UTF-8"))?;
    if id.is_empty() {
        return Err(Unreadable("the client identifier is empty"));
    }
    Ok(about(id))
}

fn about(id: ByteString) -> About {
    let client = Client {
        id: Some(id),
        ..Client::default()
    };
    About { time: None, client }
}

fn subscriptions(payload: &Bytes) -> Result<(About, Vec<Sub>), Unreadable> {
    let message: Message = serde_json::from_slice(payload)
        .map_err(|_| Unreadable("not an object with `clientId` and `subs`"))?;
    if message.subs.len() > MAX_SUBSCRIPTIONS {
        return Err(Unreadable("more than 1,000 subscriptions in one message"));
    }
    Ok((about(message.client_id.into()), message.subs))
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "clientId")]
    client_id: String,
    subs: Vec<Sub>,
}

/// A SUBSCRIBE lists objects, an UNSUBSCRIBE names.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sub {
    Name(String),
    Object { topic: String, qos: Option<u8> },
}

impl Sub {
    fn parts(self) -> (ByteString, Option<u8>) {
        match self {
            Self::Name(topic) => (topic.into(), None),
            Self::Object { topic, qos } => (topic.into(), qos),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Timestamp, TopicName};

    fn decode(topic: &'static str, payload: &[u8]) -> Result<Vec<Happening>, Unreadable> {
        let topic = TopicName::try_from(ByteString::from_static(topic)).expect("a topic name");
        let heard = Heard {
            topic: &topic,
            payload: &Bytes::copy_from_slice(payload),
            now: Timestamp::from_millis(0),
        };
        let mut told = Vec::new();
        Aedes.decode(&heard, &mut told).map(|()| told)
    }

    #[test]
    fn what_is_not_about_a_client_tells_nothing() {
        assert_eq!(decode("$SYS/b/heartbeat", b"b"), Ok(Vec::new()));
        assert_eq!(decode("$SYS/b/new/clients/x", b"c"), Ok(Vec::new()));
        assert_eq!(decode("a/b/new/clients", b"c"), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert!(decode("$SYS/b/new/clients", b"\xff").is_err());
        assert!(decode("$SYS/b/disconnect/clients", b"").is_err());
        assert!(decode("$SYS/b/new/subscribes", b"{}").is_err());
    }

    #[test]
    fn each_filter_of_a_packet_is_told() {
        let payload = br#"{"clientId":"c","subs":[{"topic":"a","qos":1},{"topic":"b","qos":0}]}"#;
        let told = decode("$SYS/b/new/subscribes", payload).expect("readable");
        assert_eq!(told.len(), 4);
    }

    #[test]
    fn a_message_lists_a_thousand_subscriptions_at_most() {
        let decode = |kind: &'static str, count: usize| {
            let subs = vec![r#""a/b""#; count].join(",");
            let payload = format!(r#"{{"clientId":"c","subs":[{subs}]}}"#);
            decode(kind, payload.as_bytes())
        };
        for topic in ["$SYS/b/new/subscribes", "$SYS/b/new/unsubscribes"] {
            let told = decode(topic, MAX_SUBSCRIPTIONS).expect("readable");
            assert_eq!(told.len(), 2 * MAX_SUBSCRIPTIONS, "{topic}");
            let refused = Unreadable("more than 1,000 subscriptions in one message");
            assert_eq!(
                decode(topic, MAX_SUBSCRIPTIONS + 1),
                Err(refused),
                "{topic}"
            );
        }
    }
}
