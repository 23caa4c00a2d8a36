//! Seeing what the broker tells of clients, on its way to their events.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytestring::ByteString;
use tokio::sync::{Notify, mpsc};

use super::Metrics;
use super::presence::Presence;
use super::registrar::{Heard, Queue};
use super::registry::{Observation, Sight, is_about};
use super::witness::Witnesses;
use crate::ack::Ticket;
use crate::dialect::Vital;
use crate::event::{Client, Happening, Timestamp};
use crate::pattern::Pattern;

/// Observations that may wait.
pub(super) const WAITING: usize = 8_192;

/// Longer client identifiers make no devices: MQTT has up to 65,535 bytes, and brokers need not take
/// more than 23.
pub(super) const LONGEST_ID: usize = 1_024;

/// The longest user name or address that is remembered, in bytes; the rest is cut off.
const LONGEST_TEXT: usize = 256;

/// Clients of which it is known when they were seen.
const SEEN: usize = 4_096;

/// Hands what is seen of clients to the registrar.
#[derive(Debug)]
pub struct Observer {
    client_id: Option<Pattern>,
    queue: mpsc::UnboundedSender<Heard>,
    gauge: Arc<Gauge>,
    presence: Arc<Presence>,
    seen: Seen,
    /// Whether the last observation was not taken, for lack of room.
    is_full: bool,
    /// Whether the last that the broker said of itself was not taken, for lack of room.
    has_missed_vital: bool,
    /// Wakes the probe.
    probe: Arc<Notify>,
    metrics: Metrics,
}

/// How many observations wait.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    waiting: AtomicUsize,
    /// Wakes who waits for there to be fewer.
    fewer: Notify,
}

impl Gauge {
    /// Notes that so many wait no more.
    pub(super) fn took(&self, observations: usize) {
        self.waiting.fetch_sub(observations, Ordering::AcqRel);
        self.fewer.notify_waiters();
    }

    /// Notes that one more waits.
    pub(super) fn came(&self) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

pub(super) fn channel(client_id: Option<Pattern>, metrics: Metrics) -> (Observer, Queue) {
    let (queue, heard) = mpsc::unbounded_channel();
    let gauge = Arc::new(Gauge::default());
    let probe = Arc::new(Notify::new());
    let observer = Observer {
        client_id,
        queue,
        gauge: Arc::clone(&gauge),
        presence: Arc::new(Presence::new()),
        seen: Seen::default(),
        is_full: false,
        has_missed_vital: false,
        probe: Arc::clone(&probe),
        metrics,
    };
    let queue = Queue {
        heard,
        gauge,
        probe,
    };
    (observer, queue)
}

impl Observer {
    /// Returns whether there is room for what a message may tell.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.gauge.waiting() < WAITING
    }

    /// Waits until there is plenty of room.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn room(&self) {
        loop {
            let fewer = self.gauge.fewer.notified();
            if self.gauge.waiting() < WAITING / 2 {
                return;
            }
            fewer.await;
        }
    }

    /// Returns what makes the witnesses of other connections.
    #[must_use]
    pub fn witnesses(&self) -> Witnesses {
        Witnesses {
            client_id: self.client_id.clone(),
            queue: self.queue.clone(),
            gauge: Arc::clone(&self.gauge),
            presence: Arc::clone(&self.presence),
            probe: Arc::clone(&self.probe),
        }
    }

    /// Returns what wakes when a probe is wanted.
    #[must_use]
    pub fn probe(&self) -> Arc<Notify> {
        Arc::clone(&self.probe)
    }

    #[cfg(test)]
    pub(super) async fn emptied(&self) {
        while self.gauge.waiting() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Sees what happened to a client. What that changes is on disk before its share of the ticket is
    /// settled.
    pub fn observe(&mut self, happening: &Happening, ticket: &Ticket, now: Timestamp) {
        let Some(sight) = Sight::of(happening) else {
            return;
        };
        let Some(id) = happening.client.id.as_deref() else {
            return;
        };
        if self.client_id.as_ref().is_some_and(|it| !it.matches(id)) {
            return;
        }
        if sight == Sight::Seen && !self.seen.is_news(id, now) {
            return;
        }
        if id.len() > LONGEST_ID || id.is_empty() {
            if sight == Sight::Accepted {
                self.metrics.unregistered();
            }
            return;
        }
        if !ticket.is_awaited() && !self.has_room() {
            // What is known is not any more, once for all that is missed by and by.
            if !std::mem::replace(&mut self.is_full, true) {
                self.interrupted();
            }
            return self.metrics.unobserved();
        }
        self.is_full = false;
        let observation = Observation {
            client: Client {
                id: Some(id.into()),
                username: happening.client.username.as_ref().map(clip),
                address: happening.client.address.as_ref().map(clip),
            },
            sight,
            time: happening.time.unwrap_or(now),
            now,
        };
        self.send(Heard::Observed(observation, ticket.share()));
    }

    /// Notes that something may be missed from here on.
    pub fn interrupted(&mut self) {
        self.seen = Seen::default();
        self.presence.interrupted();
        self.send(Heard::Interrupted);
    }

    /// Notes that the connection has its subscriptions.
    pub fn subscribed(&self) {
        self.presence.observed();
    }

    /// Notes that a probe is heard, that was made at a time: all that the broker had told before has been. It was heard at
    /// this time by the broker's clock, if that tells one.
    pub fn caught_up(&mut self, time: Option<Timestamp>, probed: Instant) {
        self.is_full = false;
        self.seen = Seen::default();
        self.presence.caught_up(time, probed);
        self.send(Heard::CaughtUp(probed, self.presence.certain()));
    }

    /// Sees what the broker says of itself.
    pub fn vital(&mut self, vital: Vital) {
        let has_room = self.has_room();
        let has_missed = std::mem::replace(&mut self.has_missed_vital, !has_room);
        if has_room {
            let own = self.presence.certain();
            self.send(Heard::Vital(vital, own, Timestamp::now()));
        } else if !has_missed {
            self.send(Heard::VitalsMissed);
        }
    }

    /// Notes that the broker tells of a connection of mqhook's own.
    pub fn own_connected(&self, client_id: &str) {
        self.presence.told(client_id);
    }

    /// Notes that the broker tells of the end of a connection of mqhook's own.
    pub fn own_ended(&self, client_id: &str) {
        self.presence.told_end(client_id);
    }

    fn send(&self, heard: Heard) {
        self.gauge.came();
        // The registrar ends with everything; what it does not take is not acknowledged.
        let _ = self.queue.send(heard);
    }
}

/// Returns a copy of a text, cut off where it is too long: a slice would keep the packet that it came in.
pub(super) fn clip(text: &ByteString) -> ByteString {
    let end = text.floor_char_boundary(LONGEST_TEXT);
    text[..end].into()
}

/// When clients were seen last, by the hashes of their identifiers, so that a client that is seen all
/// the time costs nothing; two that share a place cost an observation more.
#[derive(Debug)]
pub(super) struct Seen {
    hasher: RandomState,
    places: Vec<(u64, Timestamp)>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            places: Vec::new(),
        }
    }
}

impl Seen {
    pub(super) fn is_news(&mut self, id: &str, now: Timestamp) -> bool {
        if self.places.is_empty() {
            self.places = vec![(0, Timestamp::from_millis(0)); SEEN];
        }
        let hash = self.hasher.hash_one(id);
        let index = usize::try_from(hash % SEEN as u64).unwrap_or(0);
        let place = &mut self.places[index];
        if place.0 == hash && is_about(now, place.1) {
            return false;
        }
        *place = (hash, now);
        true
    }
}
