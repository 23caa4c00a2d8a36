//! What the plugin does when the broker calls it.

use std::ffi::CStr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mqhook_seal::{Message, Publisher, SealError, Sealer};

use crate::events::{self, Happened};
use crate::ffi::{Keep, Level, Peer, Published, log, publish};
use crate::filter::Filter;
use crate::settings::{Settings, Wanted};
use crate::status::{Counts, Status};

/// Where the plugin says how it is. Mosquitto lets no client publish there, not even by a will.
pub(crate) const STATUS_TOPIC: &CStr = c"$SYS/broker/mqhook/status";

/// Where the plugin tells what happens to clients; the same holds there.
const EVENT_TOPIC: &CStr = c"$SYS/broker/mqhook/event";

/// The user property's name, as C wants it.
const PROPERTY: &CStr = c"mqhook-publisher";

/// Stands where a seal belongs and cannot be had. mqhook believes what comes last, so without it that
/// could be a copy that the client itself has put there.
const NO_SEAL: &CStr = c"-";

/// The longest name of a client that a seal tells; longer ones are told as missing. Every subscriber gets
/// the seal, so a name of 64 KiB would cost each of them that much.
const LONGEST_NAME: usize = 1_024;

/// One plugin, as the broker has loaded it; with `per_listener_settings`, one per listener.
pub(crate) struct Plugin {
    /// Those of `mosquitto.conf` when the broker started.
    options: Vec<(String, String)>,
    topics: Vec<Filter>,
    delivered: Vec<Filter>,
    wanted: Wanted,
    sealer: Sealer,
    pub(crate) counts: Counts,
    status: Status,
    /// The text of a seal and a zero, as C wants it.
    value: Vec<u8>,
}

impl Plugin {
    /// Returns the plugin, or all that keeps it from working.
    pub(crate) fn new(options: Vec<(String, String)>) -> Result<Self, Vec<String>> {
        let settings = Settings::read(&options)?;
        let sealer = Sealer::new(&settings.key).map_err(|error| vec![error.to_string()])?;
        Ok(Self {
            options,
            topics: settings.topics,
            delivered: settings.delivered,
            wanted: settings.wanted,
            sealer,
            counts: Counts::default(),
            status: Status::default(),
            value: Vec::new(),
        })
    }

    /// Reads the key again; if something is wrong with it, all stays as it is.
    pub(crate) fn reload(&mut self) {
        match Self::new(self.options.clone()) {
            Ok(new) => {
                self.sealer = new.sealer;
                log(Level::Notice, "read its key again");
            }
            Err(problems) => {
                for problem in problems {
                    log(Level::Error, &format!("goes on as it was: {problem}"));
                }
            }
        }
    }

    /// Adds a seal to a message that a client published; returns whether the message may go on as it is.
    #[must_use]
    pub(crate) fn seal(&mut self, message: &mut Published<'_>) -> bool {
        let topic = message.topic();
        let is_wanted = |topic: &str| self.topics.iter().any(|filter| filter.matches(topic));
        let sealed = match topic {
            Some(topic) if !is_wanted(topic) => {
                self.counts.passed += 1;
                return true;
            }
            Some(topic) => self.try_seal(topic, message).unwrap_or(false),
            None => false,
        };
        if sealed {
            self.counts.sealed += 1;
        } else {
            self.counts.failed += 1;
        }
        sealed
    }

    /// Returns whether the broker took the property.
    fn try_seal(&mut self, topic: &str, incoming: &mut Published<'_>) -> Result<bool, SealError> {
        let peer = incoming.peer();
        let publisher = Publisher {
            time_ms: now_ms(),
            qos: incoming.qos(),
            protocol_version: peer.protocol_version(),
            client_id: peer.client_id().filter(|id| id.len() <= LONGEST_NAME),
            username: peer.username().filter(|name| name.len() <= LONGEST_NAME),
            address: peer.address(),
        };
        let message = Message {
            topic: topic.as_bytes(),
            payload: incoming.payload(),
        };
        let seal = self.sealer.seal(publisher, message)?;
        self.value.clear();
        self.value.extend_from_slice(seal.as_bytes());
        self.value.push(0);
        let value = CStr::from_bytes_with_nul(&self.value);
        Ok(value.is_ok_and(|value| incoming.add_user_property(PROPERTY, value)))
    }

    /// Returns what the broker is to be asked for.
    pub(crate) fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// Notes that the broker does not tell what happens to clients.
    pub(crate) fn without_events(&mut self) {
        self.wanted.events = false;
    }

    /// Tells of a CONNECT that the broker is about to decide on: in the log, unless everything is
    /// told elsewhere.
    pub(crate) fn attempt(&mut self, peer: &Peer<'_>) {
        if self.wanted.events {
            self.tell(peer, Happened::Attempt);
            return;
        }
        log(Level::Information, &events::attempt_line(peer));
    }

    /// Tells what happened to a client.
    pub(crate) fn tell(&mut self, peer: &Peer<'_>, what: Happened<'_>) {
        self.publish_event(&what.json(peer, now_ms()));
    }

    /// Tells of a message on its way to a client, if it is asked for. What the plugin publishes itself is
    /// not: telling of that would never end.
    pub(crate) fn deliver(&mut self, message: &Published<'_>) {
        let Some(topic) = message.topic() else { return };
        let is_own = topic.starts_with("$SYS/");
        if !is_own && self.delivered.iter().any(|filter| filter.matches(topic)) {
            self.publish_event(&events::delivered(message, topic, now_ms()));
        }
    }

    fn publish_event(&mut self, json: &str) {
        if !publish(EVENT_TOPIC, json.as_bytes(), Keep::Queued) {
            self.counts.untold += 1;
        }
    }

    /// Tells how the plugin is, when it is time.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(telling) = self.status.tell(self.counts, self.wanted.events, now) else {
            return;
        };
        publish(STATUS_TOPIC, telling.json.as_bytes(), Keep::Retained);
        if telling.new_failures > 0 {
            let failures = telling.new_failures;
            log(
                Level::Warning,
                &format!("{failures} more messages or events were not told of"),
            );
        }
    }
}

/// Says that nobody knows who published a message.
pub(crate) fn disown(message: &mut Published<'_>) {
    message.add_user_property(PROPERTY, NO_SEAL);
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
