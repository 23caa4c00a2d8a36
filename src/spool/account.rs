//! What one webhook holds: its share of the memory, and the queues to its lane.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::warn;

use super::delivery::Delivery;
use super::metrics::Metrics;
use super::parked::Answer;
use super::store::{WebhookKey, WebhookState};
use super::{Queue, WINDOW};
use crate::rule::WebhookIndex;
use crate::telemetry::Throttle;

/// So many deliveries in memory are a queue that lasts, not just a burst. Less may keep the buffers of the
/// packets that they came in, of 8 KiB each if every one came alone.
const BEHIND: usize = 1_024;

/// How often a webhook may say that events are dropped.
const REFUSED_INTERVAL: Duration = Duration::from_mins(1);

/// One webhook's account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) keeping: Keeping,
    /// Whether its deliveries must come in order.
    pub(super) is_ordered: bool,
    /// Whether the webhook has gone, and its lane is about to end.
    is_leaving: AtomicBool,
    /// Who takes its place then.
    heir: OnceLock<WebhookIndex>,
    pub(super) metrics: Metrics,
    /// Whether the webhook is enabled; the lane follows.
    pub(super) state: watch::Sender<WebhookState>,
    /// Whether deliveries wait on disk only, so that later ones must, too.
    is_spilled: AtomicBool,
    /// The most bytes in memory.
    max_bytes: AtomicUsize,
    bytes: AtomicUsize,
    deliveries: AtomicUsize,
    /// How many deliveries have left memory.
    released: AtomicU64,
    refused_log: Mutex<Throttle>,
    dropped_log: Mutex<SmallVec<[Dropped; 1]>>,
    fresh: mpsc::UnboundedSender<Delivery>,
    due: mpsc::UnboundedSender<Delivery>,
    answers: mpsc::UnboundedSender<Answer>,
}

/// What was dropped for one reason, and not said yet.
#[derive(Debug)]
struct Dropped {
    reason: &'static str,
    count: u64,
    throttle: Throttle,
}

impl Dropped {
    const fn new(reason: &'static str) -> Self {
        Self {
            reason,
            count: 0,
            throttle: Throttle::new(REFUSED_INTERVAL),
        }
    }
}

/// How a webhook's deliveries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// In the store, under this key.
    Durable(WebhookKey),
    /// In memory, and by the broker until they are delivered.
    Held,
    /// In memory only: a crash loses them.
    Loose,
}

impl Account {
    /// Returns an empty account, and the other ends of its queues.
    pub(super) fn new(keeping: Keeping, max_bytes: usize, metrics: Metrics) -> (Self, Queue) {
        let (fresh, fresh_queue) = mpsc::unbounded_channel();
        let (due, due_queue) = mpsc::unbounded_channel();
        let (answers, answer_queue) = mpsc::unbounded_channel();
        let (state, state_seen) = watch::channel(WebhookState::default());
        let account = Self {
            keeping,
            is_ordered: false,
            is_leaving: AtomicBool::new(false),
            heir: OnceLock::new(),
            metrics,
            state,
            is_spilled: AtomicBool::new(false),
            max_bytes: AtomicUsize::new(max_bytes),
            bytes: AtomicUsize::new(0),
            deliveries: AtomicUsize::new(0),
            released: AtomicU64::new(0),
            refused_log: Mutex::new(Throttle::new(REFUSED_INTERVAL)),
            dropped_log: Mutex::default(),
            fresh,
            due,
            answers,
        };
        let queue = Queue {
            fresh: fresh_queue,
            due: due_queue,
            answers: answer_queue,
            state: state_seen,
            put_off: Vec::new(),
        };
        (account, queue)
    }

    /// Returns whether an event of this many bytes may be held in memory. One that is larger than
    /// the whole share may when it is alone.
    pub(super) fn has_memory(&self, size: usize) -> bool {
        let bytes = self.bytes.load(Ordering::Acquire);
        let has_bytes = bytes == 0 || bytes + size <= self.max_bytes();
        has_bytes && (self.keeping == Keeping::Held || self.deliveries() < WINDOW)
    }

    /// Returns whether nothing that comes in now would wait for long.
    pub(super) fn is_idle(&self) -> bool {
        self.deliveries() < BEHIND
    }

    /// Returns whether the lane keeps up, so that little waits for it: in memory at most this many bytes, and on
    /// disk only at most this many deliveries.
    pub(super) fn keeps_up(&self, bytes: usize, few: usize) -> bool {
        let on_disk = self.metrics.waiting.on_disk();
        self.bytes.load(Ordering::Acquire) <= bytes && on_disk <= self.deliveries() + few
    }

    /// Returns how many deliveries are in memory, and how many have left it so far.
    pub(super) fn flow(&self) -> (u64, u64) {
        let released = self.released.load(Ordering::Acquire);
        (self.deliveries() as u64, released)
    }

    pub(super) const fn is_durable(&self) -> bool {
        matches!(self.keeping, Keeping::Durable(_))
    }

    /// Returns under which key the store has its deliveries, if it does.
    pub(super) const fn key(&self) -> Option<WebhookKey> {
        match self.keeping {
            Keeping::Durable(key) => Some(key),
            Keeping::Held | Keeping::Loose => None,
        }
    }

    /// Returns the most bytes in memory.
    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes.load(Ordering::Relaxed)
    }

    /// Sets the most bytes in memory; what is there stays.
    pub(super) fn set_max_bytes(&self, bytes: usize) {
        self.max_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Notes that the webhook is about to leave, and who takes its place if somebody does.
    pub(super) fn set_leaving(&self, heir: Option<WebhookIndex>) {
        self.is_leaving.store(true, Ordering::Release);
        if let Some(heir) = heir {
            self.heir.get_or_init(|| heir);
        }
    }

    /// Returns who takes its place.
    pub(super) fn heir(&self) -> Option<WebhookIndex> {
        self.heir.get().copied()
    }

    /// Returns whether at least half of the share is free.
    pub(super) fn is_half_empty(&self) -> bool {
        self.bytes.load(Ordering::Acquire) <= self.max_bytes() / 2
            && self.deliveries() <= WINDOW / 2
    }

    /// Returns how many bytes of the share are free.
    pub(super) fn free_bytes(&self) -> usize {
        let bytes = self.bytes.load(Ordering::Acquire);
        self.max_bytes().saturating_sub(bytes)
    }

    pub(super) fn is_spilled(&self) -> bool {
        self.is_spilled.load(Ordering::Acquire)
    }

    pub(super) fn set_spilled(&self, is_spilled: bool) {
        self.is_spilled.store(is_spilled, Ordering::Release);
    }

    pub(super) fn hold(&self, size: usize) {
        self.bytes.fetch_add(size, Ordering::AcqRel);
        self.deliveries.fetch_add(1, Ordering::AcqRel);
    }

    /// Gives back what was held; returns whether half of the share has just become free.
    pub(super) fn release(&self, size: usize) -> bool {
        let was_half_empty = self.is_half_empty();
        self.bytes.fetch_sub(size, Ordering::AcqRel);
        self.deliveries.fetch_sub(1, Ordering::AcqRel);
        self.released.fetch_add(1, Ordering::AcqRel);
        !was_half_empty && self.is_half_empty()
    }

    /// Drops an event for lack of room.
    pub(super) fn refuse(&self) {
        self.metrics.refused();
        let mut log = self
            .refused_log
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(held_back) = log.pass(Instant::now()) {
            let webhook = self.metrics.webhook();
            warn!(webhook, held_back, "no room for an event, which is dropped");
        }
    }

    /// Counts deliveries that were dropped from the store, and says how many since it was said last.
    pub(super) fn dropped(&self, reason: &'static str, count: u64) {
        self.metrics.dropped_stored(reason, count);
        let log = self.dropped_log.lock();
        let mut log = log.unwrap_or_else(PoisonError::into_inner);
        let at = log.iter().position(|it| it.reason == reason);
        let at = at.unwrap_or_else(|| {
            log.push(Dropped::new(reason));
            log.len() - 1
        });
        let dropped = &mut log[at];
        dropped.count += count;
        if dropped.throttle.pass(Instant::now()).is_some() {
            let webhook = self.metrics.webhook();
            let count = std::mem::take(&mut dropped.count);
            warn!(webhook, count, reason, "dropped events that waited");
        }
    }

    /// Returns whether the lane has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.fresh.is_closed()
    }

    /// Hands a delivery to the lane. A lane that has ended leaves it unsettled, as it should be; but what nobody
    /// will take any more must not hold back an acknowledgement.
    pub(super) fn send(&self, delivery: Delivery) {
        let queue = if delivery.is_retry() {
            &self.due
        } else {
            &self.fresh
        };
        if let Err(mpsc::error::SendError(delivery)) = queue.send(delivery)
            && self.is_leaving()
            && !delivery.is_durable()
        {
            delivery.discard();
        }
    }

    /// Answers what the lane has asked.
    pub(super) fn answer(&self, answer: Answer) {
        // A lane that has ended asks nothing more.
        let _ = self.answers.send(answer);
    }

    pub(super) fn holds_any(&self) -> bool {
        self.deliveries() > 0
    }

    fn deliveries(&self) -> usize {
        self.deliveries.load(Ordering::Acquire)
    }
}
