//! Seeing who publishes, where the broker's plugin says so, on its way to the events.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::observer::{Gauge, LONGEST_ID, Seen, WAITING, clip};
use super::presence::{Link, Presence};
use super::registrar::Heard;
use super::registry::{Observation, Sight};
use crate::event::{Client, Timestamp};
use crate::pattern::Pattern;

/// Makes the witnesses of connections.
#[derive(Debug, Clone)]
pub struct Witnesses {
    pub(super) client_id: Option<Pattern>,
    pub(super) queue: mpsc::UnboundedSender<Heard>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) presence: Arc<Presence>,
    /// Wakes the probe.
    pub(super) probe: Arc<Notify>,
}

/// Sees who publishes what comes over one connection: whoever does is connected.
///
/// Messages may come long after they were published. One counts only if the plugin says that it was published
/// after the beginning of the watch, by the clock of the broker that tells both; so the end of that connection is
/// still to be told, or was told already. What is later than that clock can be by now does not count, as it was set back.
#[derive(Debug)]
pub struct Witness {
    of: Witnesses,
    link: Arc<Link>,
    seen: Seen,
    /// The watch to which `seen` belongs.
    epoch: u64,
}

impl Witnesses {
    /// Returns the witness of the connection of this client.
    #[must_use]
    pub fn witness(&self, client_id: &str) -> Witness {
        Witness {
            of: self.clone(),
            link: self.presence.link(client_id),
            seen: Seen::default(),
            epoch: 0,
        }
    }
}

impl Witness {
    /// Notes that the connection has its subscriptions; what comes over it counts when a new probe is heard.
    pub fn subscribed(&self) {
        self.of.presence.linked(&self.link);
        self.of.probe.notify_one();
    }

    /// Notes that the connection has ended.
    pub fn interrupted(&self) {
        self.of.presence.unlinked(&self.link);
    }

    /// Sees that a client has published, at this time of the broker's clock.
    pub fn saw(&mut self, client: &Client, time: Timestamp) {
        let Some(id) = client.id.as_deref() else {
            return;
        };
        let Some(epoch) = self.of.presence.epoch_at(time) else {
            return;
        };
        let is_device = self.of.client_id.as_ref().is_none_or(|it| it.matches(id));
        if !is_device || id.len() > LONGEST_ID || self.of.gauge.waiting() >= WAITING {
            return;
        }
        if self.epoch != epoch {
            self.epoch = epoch;
            self.seen = Seen::default();
        }
        let now = Timestamp::now();
        if !self.seen.is_news(id, now) {
            return;
        }
        let observation = Observation {
            client: Client {
                id: Some(id.into()),
                username: client.username.as_ref().map(clip),
                address: client.address.as_ref().map(clip),
            },
            sight: Sight::Present,
            time,
            now,
        };
        self.of.gauge.came();
        // The registrar ends with everything.
        let _ = self.of.queue.send(Heard::Witnessed(observation, epoch));
    }
}
