//! Deliveries that are gathered for one request. Pure: the time comes from outside.

use std::num::NonZeroUsize;
use std::time::Duration;

use hashbrown::HashSet;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::turns::Turn;
use crate::spool::store::Key;

/// How much is sent in one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The most events; default 100.
    pub max_events: NonZeroUsize,
    /// The most bytes of events, about; one event is sent even if it has more. Default 1 MiB.
    pub max_bytes: usize,
    /// The longest that an event waits for others while it could be sent; default 100 ms.
    pub max_wait: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            max_events: const { NonZeroUsize::new(100).expect("it is not zero") },
            max_bytes: 1 << 20,
            max_wait: Duration::from_millis(100),
        }
    }
}

impl Batch {
    /// Returns the batch for a webhook whose deliveries have so much memory: half of it may be gathered,
    /// as more would not come in to fill it.
    pub(super) fn within(self, memory: usize) -> Self {
        Self {
            max_bytes: self.max_bytes.min(memory / 2),
            ..self
        }
    }
}

/// The deliveries of one request, in order; at least one.
pub(super) type Parcel = SmallVec<[Turn; 1]>;

/// Gathers a parcel.
#[derive(Debug)]
pub(super) struct Gather {
    batch: Batch,
    parcel: Parcel,
    bytes: usize,
    keys: HashSet<Key>,
    /// When it is sent however little it has.
    due: Instant,
}

impl Gather {
    pub(super) fn new(batch: Batch) -> Self {
        Self {
            batch,
            parcel: Parcel::new(),
            bytes: 0,
            keys: HashSet::new(),
            due: Instant::now(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcel.is_empty()
    }

    /// Returns whether others of the key are among the gathered.
    pub(super) fn has(&self, key: Key) -> bool {
        self.keys.contains(&key)
    }

    /// Returns when what is gathered is to be sent, if anything is.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.is_empty()).then_some(self.due)
    }

    /// Adds a delivery; returns what there is no more room for it with.
    pub(super) fn push(&mut self, turn: Turn, now: Instant) -> Option<Parcel> {
        let size = turn.delivery.event().size();
        let is_too_much = !self.is_empty() && self.bytes + size > self.batch.max_bytes;
        let full = is_too_much.then(|| self.take());
        if self.is_empty() {
            self.due = now + self.batch.max_wait;
        }
        self.bytes += size;
        self.keys.extend(turn.key);
        self.parcel.push(turn);
        full
    }

    /// Returns whether nothing more is to be waited for.
    pub(super) fn is_full(&self) -> bool {
        let is_full = self.parcel.len() >= self.batch.max_events.get();
        !self.is_empty() && (is_full || self.bytes >= self.batch.max_bytes)
    }

    pub(super) fn take(&mut self) -> Parcel {
        self.bytes = 0;
        self.keys.clear();
        std::mem::take(&mut self.parcel)
    }
}
