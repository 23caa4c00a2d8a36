//! Who published a message, where the broker has mqhook's plugin.

use std::sync::Arc;

use mqhook_seal::{Key, Opener, PROPERTY};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use crate::dialect::plausible;
use crate::event::{Client, Properties, Timestamp};
use crate::mqtt::Message;
use crate::telemetry::Throttle;

/// How often the log may say that a seal is broken.
const BROKEN_LOG_INTERVAL: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    seal: &'static str,
}

/// What came of the seals of messages, shared by all that open them.
#[derive(Debug, Default)]
struct Counts {
    good: Counter,
    broken: Counter,
    none: Counter,
}

/// Reads the seals that the plugin puts on messages, and takes them off.
#[derive(Debug)]
pub struct Publishers {
    opener: Option<Opener>,
    counts: Arc<Counts>,
    broken_log: Throttle,
    /// Whether the log has said that there are seals and no key.
    said: bool,
}

/// What is known of how a message was published.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) client: Client,
    pub(super) time: Option<Timestamp>,
    /// That of the publisher; without a seal that of the delivery is all that is known.
    pub(super) qos: Option<u8>,
    pub(super) protocol_version: Option<u8>,
}

impl Publishers {
    /// Returns one that opens seals with a key, if there is one, with its metric registered.
    pub fn new(key: Option<Key>, registry: &mut Registry) -> Self {
        let mut counts = Counts::default();
        if key.is_some() {
            let family: Family<Labels, Counter> = Family::default();
            registry.register(
                "publishers",
                "Messages, by whether their seal says who published them",
                family.clone(),
            );
            let of = |seal| family.get_or_create_owned(&Labels { seal });
            counts = Counts {
                good: of("good"),
                broken: of("broken"),
                none: of("none"),
            };
        }
        Self::with(key.map(Opener::new), Arc::new(counts))
    }

    /// Returns another one with the same key, for another connection.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::with(self.opener.clone(), Arc::clone(&self.counts))
    }

    fn with(opener: Option<Opener>, counts: Arc<Counts>) -> Self {
        Self {
            opener,
            counts,
            broken_log: Throttle::new(BROKEN_LOG_INTERVAL),
            said: false,
        }
    }

    /// Takes a message's seal off and returns what it says.
    pub(super) fn told(&mut self, message: &mut Message) -> Told {
        let seal = match &mut message.properties {
            Some(properties) if !properties.user.is_empty() => take_seal(properties),
            _ => None,
        };
        let Some(seal) = seal else {
            if self.opener.is_some() {
                self.counts.none.inc();
            }
            return Told::default();
        };
        if message.properties.as_deref() == Some(&Properties::default()) {
            message.properties = None;
        }
        self.open(&seal, message)
    }

    fn open(&mut self, seal: &str, message: &Message) -> Told {
        let Some(opener) = &mut self.opener else {
            if !self.said {
                self.said = true;
                info!(
                    "the broker says who published messages, but `broker.plugin_key_file` is not set"
                );
            }
            return Told::default();
        };
        let sealed = mqhook_seal::Message {
            topic: message.topic.as_str().as_bytes(),
            payload: &message.payload,
        };
        let Ok(publisher) = opener.open(seal, sealed) else {
            self.counts.broken.inc();
            if let Some(held_back) = self.broken_log.pass(Instant::now()) {
                warn!(topic = ?message.topic.as_str(), held_back, "cannot read who published a message: the plugin has another key than `broker.plugin_key_file`, or a client forges");
            }
            return Told::default();
        };
        self.counts.good.inc();
        Told {
            client: Client {
                id: publisher.client_id.map(Into::into),
                username: publisher.username.map(Into::into),
                address: publisher.address.map(Into::into),
            },
            time: plausible(publisher.time_ms),
            qos: Some(publisher.qos),
            protocol_version: Some(publisher.protocol_version).filter(|version| *version != 0),
        }
    }
}

/// Takes out all that have the seal's name, and returns the last: a client may have written others,
/// but the plugin comes after it.
fn take_seal(properties: &mut Properties) -> Option<bytestring::ByteString> {
    let is_seal = |(name, _): &(_, _)| *name == PROPERTY;
    let last = properties.user.iter().rfind(|entry| is_seal(entry))?;
    let seal = last.1.clone();
    properties.user.retain(|entry| !is_seal(entry));
    Some(seal)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use bytestring::ByteString;
    use mqhook_seal::{Publisher, Sealer};

    use super::*;
    use crate::ack::Ticket;
    use crate::event::TopicName;

    const NOW_MS: u64 = 1_795_216_121_685;

    const ALICE: Publisher<'_> = Publisher {
        time_ms: NOW_MS,
        qos: 2,
        protocol_version: 5,
        client_id: Some("dev"),
        username: Some("alice"),
        address: None,
    };

    fn key() -> Key {
        Key::new("0123456789abcdef").expect("it is long enough")
    }

    fn seal(payload: &str) -> String {
        seal_of(ALICE, payload)
    }

    fn seal_of(publisher: Publisher<'_>, payload: &str) -> String {
        let message = mqhook_seal::Message {
            topic: b"t",
            payload: payload.as_bytes(),
        };
        let mut sealer = Sealer::new(&key()).expect("there is randomness");
        sealer.seal(publisher, message).expect("it fits").to_owned()
    }

    fn message(user: &[(&str, &str)]) -> Message {
        let user = user.iter().map(|(name, value)| {
            let (name, value): (ByteString, ByteString) = ((*name).into(), (*value).into());
            (name, value)
        });
        let properties = Properties {
            user: user.collect(),
            ..Properties::default()
        };
        Message {
            topic: TopicName::try_from(ByteString::from_static("t")).expect("it is one"),
            payload: Bytes::from_static(b"on"),
            qos: 1,
            retain: false,
            properties: properties.boxed(),
            is_replay: false,
            ticket: Ticket::none(),
        }
    }

    fn names(message: &Message) -> Vec<&str> {
        let user = message.properties.iter().flat_map(|some| &some.user);
        user.map(|(name, _)| &**name).collect()
    }

    #[test]
    fn the_last_seal_counts_and_all_are_taken_off() {
        let mut publishers = Publishers::new(Some(key()), &mut Registry::default());
        let good = seal("on");
        let stale = seal("off");
        let user = [(PROPERTY, stale.as_str()), ("k", "v"), (PROPERTY, &good)];
        let mut sealed = message(&user);
        let told = publishers.told(&mut sealed);
        assert_eq!(told.client.id.as_deref(), Some("dev"));
        assert_eq!(told.client.username.as_deref(), Some("alice"));
        assert_eq!((told.client.address, told.qos), (None, Some(2)));
        assert_eq!(told.protocol_version, Some(5));
        assert_eq!(told.time, Some(Timestamp::from_millis(NOW_MS)));
        assert_eq!(names(&sealed), ["k"]);

        let mut forged = message(&[(PROPERTY, &good), (PROPERTY, &stale)]);
        assert_eq!(publishers.told(&mut forged), Told::default());
        assert_eq!(forged.properties, None);
        assert_eq!(publishers.counts.broken.get(), 1);
        let mut bare = message(&[]);
        assert_eq!(publishers.another().told(&mut bare), Told::default());
        assert_eq!(publishers.counts.none.get(), 1);
        assert_eq!(publishers.counts.good.get(), 1);
    }

    #[test]
    fn a_broker_without_a_clock_tells_no_time() {
        let mut publishers = Publishers::new(Some(key()), &mut Registry::default());
        let in_1970 = Publisher {
            time_ms: 7,
            ..ALICE
        };
        let told = publishers.told(&mut message(&[(PROPERTY, &seal_of(in_1970, "on"))]));
        assert_eq!((told.client.id.as_deref(), told.time), (Some("dev"), None));
    }

    #[test]
    fn seals_are_taken_off_without_a_key() {
        let mut publishers = Publishers::new(None, &mut Registry::default());
        let mut sealed = message(&[(PROPERTY, &seal("on"))]);
        assert_eq!(publishers.told(&mut sealed), Told::default());
        assert_eq!(sealed.properties, None);
    }
}
