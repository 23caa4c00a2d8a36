//! What the plugin does when the broker calls it.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mqhook_seal::{Message, Publisher, SealError, Sealer};

use crate::ffi::{Level, Peer, Published, log, publish_retained};
use crate::filter::Filter;
use crate::json;
use crate::settings::Settings;
use crate::status::{Counts, Status};

/// Where the plugin says how it is. Mosquitto lets no client publish there, not even by a will.
pub(crate) const STATUS_TOPIC: &CStr = c"$SYS/broker/mqhook/status";

/// The user property's name, as C wants it.
const PROPERTY: &CStr = c"mqhook-publisher";

/// One plugin, as the broker has loaded it; with `per_listener_settings`, one per listener.
pub(crate) struct Plugin {
    /// Those of `mosquitto.conf` when the broker started.
    options: Vec<(String, String)>,
    topics: Vec<Filter>,
    /// Whether each CONNECT gets a line.
    pub(crate) connects: bool,
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
            connects: settings.connects,
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

    /// Adds a seal to a message that a client published.
    pub(crate) fn seal(&mut self, message: &mut Published<'_>) {
        let Some(topic) = message.topic() else { return };
        if !self.topics.iter().any(|filter| filter.matches(topic)) {
            self.counts.passed += 1;
            return;
        }
        match self.try_seal(topic, message) {
            Ok(true) => self.counts.sealed += 1,
            Ok(false) | Err(_) => self.counts.failed += 1,
        }
    }

    /// Returns whether the broker took the property.
    fn try_seal(&mut self, topic: &str, incoming: &mut Published<'_>) -> Result<bool, SealError> {
        let peer = incoming.peer();
        let publisher = Publisher {
            time_ms: now_ms(),
            qos: incoming.qos(),
            protocol_version: peer.protocol_version(),
            client_id: peer.client_id(),
            username: peer.username(),
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

    /// Tells how the plugin is, when it is time.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Some(telling) = self.status.tell(self.counts, now) else {
            return;
        };
        publish_retained(STATUS_TOPIC, telling.json.as_bytes());
        if telling.new_failures > 0 {
            let failures = telling.new_failures;
            log(
                Level::Warning,
                &format!("{failures} more messages went on without saying who published them"),
            );
        }
    }
}

/// Writes a line about a CONNECT that the broker is about to decide on.
pub(crate) fn attempt(peer: &Peer<'_>) {
    let mut line = String::from("connect {\"client_id\":");
    json::string(&mut line, peer.client_id());
    line.push_str(",\"username\":");
    json::string(&mut line, peer.username());
    line.push_str(",\"address\":");
    json::string(&mut line, peer.address());
    let (version, clean) = (peer.protocol_version(), peer.clean_start());
    let keep_alive = peer.keep_alive();
    let _ = write!(
        line,
        ",\"protocol_version\":{version},\"keep_alive\":{keep_alive},\"clean_start\":{clean}}}"
    );
    log(Level::Information, &line);
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
