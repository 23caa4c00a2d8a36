//! How the disk stands: whether more may be put on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use super::store::{DroppedUpTo, Seq, Space};

/// Bytes that a byte of an event takes at most: in the log, in the database, and beside it.
const WRITTEN: u64 = 3;

/// The state of the disk, as the data path sees it.
#[derive(Debug)]
pub(super) struct Disk {
    /// The most that the database may take, in bytes.
    max_bytes: u64,
    /// The most bytes of events that may wait to be written.
    max_pending: usize,
    used: AtomicU64,
    pending: AtomicUsize,
    is_failing: AtomicBool,
    /// Bytes that the file system has left for more.
    spare: AtomicU64,
    /// Whether it would have any, if the database gave back what it does not use.
    has_space_when_tidy: AtomicBool,
    /// Whether it has plenty.
    has_much_space: AtomicBool,
    /// What was dropped from the store, so that a copy in memory must not be attempted.
    dropped: RwLock<DroppedUpTo>,
    /// Whether anything was: most never drop, and do not look.
    has_dropped: AtomicBool,
    /// Why nothing can be written; none while it can.
    failure: watch::Sender<Option<String>>,
}

impl Disk {
    pub(super) fn new(max_bytes: u64, max_pending: usize) -> Self {
        Self {
            max_bytes,
            max_pending,
            used: AtomicU64::new(0),
            pending: AtomicUsize::new(0),
            is_failing: AtomicBool::new(false),
            spare: AtomicU64::new(u64::MAX),
            has_space_when_tidy: AtomicBool::new(true),
            has_much_space: AtomicBool::new(true),
            dropped: RwLock::default(),
            has_dropped: AtomicBool::new(false),
            failure: watch::Sender::new(None),
        }
    }

    /// Returns whether another event may be put on disk.
    pub(super) fn has_room(&self) -> bool {
        let pending = self.pending.load(Ordering::Acquire);
        let is_full = self.is_full_with(pending as u64);
        !self.is_failing() && !self.is_behind() && !is_full && self.has_space()
    }

    /// Returns whether a tenth is free, so that it is worth to go on after it was full.
    pub(super) fn has_room_again(&self) -> bool {
        let used = self.used.load(Ordering::Acquire);
        let has_much_space = self.has_much_space.load(Ordering::Acquire);
        has_much_space && self.has_room() && used <= self.max_bytes - self.max_bytes / 10
    }

    /// Returns whether more is used than may be, or than leaves the file system any room.
    pub(super) fn lacks_room(&self) -> bool {
        let has_space = self.has_space_when_tidy.load(Ordering::Acquire);
        self.used.load(Ordering::Acquire) > self.max_bytes || !has_space
    }

    /// Returns about how many of so many deliveries are too many.
    pub(super) fn surplus(&self, waiting: u64) -> u64 {
        let used = self.used.load(Ordering::Acquire);
        let bytes = used.saturating_sub(self.max_bytes);
        let share = u128::from(waiting) * u128::from(bytes) / u128::from(used.max(1));
        u64::try_from(share).unwrap_or(u64::MAX) + 1
    }

    /// Returns whether more waits to be written than may.
    pub(super) fn is_behind(&self) -> bool {
        self.pending.load(Ordering::Acquire) > self.max_pending
    }

    /// Returns whether at most half of what may wait to be written does, so that it is worth to go on
    /// after there was more than may.
    pub(super) fn keeps_up(&self) -> bool {
        self.pending.load(Ordering::Acquire) <= self.max_pending / 2
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    pub(super) fn set_pending(&self, bytes: usize) {
        self.pending.store(bytes, Ordering::Release);
    }

    /// Notes how much is used; returns whether it has become less.
    pub(super) fn set_used(&self, bytes: u64) -> bool {
        bytes < self.used.swap(bytes, Ordering::AcqRel)
    }

    /// Returns whether the file system has room, after what waits to be written.
    pub(super) fn has_space(&self) -> bool {
        let pending = self.pending.load(Ordering::Acquire) as u64;
        self.spare.load(Ordering::Acquire) > pending * WRITTEN
    }

    /// Notes how the file system stands; returns whether it has become better.
    pub(super) fn set_space(&self, space: Space) -> bool {
        self.spare.store(space.spare(), Ordering::Release);
        self.has_space_when_tidy
            .store(space.has_room_when_tidy(), Ordering::Release);
        let is_plenty = space.has_plenty();
        let was_plenty = self.has_much_space.swap(is_plenty, Ordering::AcqRel);
        is_plenty && !was_plenty
    }

    /// Notes what was dropped from the store.
    pub(super) fn set_dropped(&self, dropped: DroppedUpTo) {
        *self.dropped.write().unwrap_or_else(PoisonError::into_inner) = dropped;
        let has_dropped = dropped != DroppedUpTo::default();
        self.has_dropped.store(has_dropped, Ordering::Release);
    }

    /// Returns whether an event that was on disk was dropped from there.
    pub(super) fn has_dropped(&self, seq: Seq) -> bool {
        self.has_dropped.load(Ordering::Acquire) && {
            let dropped = self.dropped.read().unwrap_or_else(PoisonError::into_inner);
            dropped.covers(seq)
        }
    }

    pub(super) fn set_failure(&self, failure: Option<String>) {
        self.is_failing.store(failure.is_some(), Ordering::Release);
        self.failure.send_replace(failure);
    }

    /// Returns why nothing can be written, as it changes.
    pub(super) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    fn is_full_with(&self, pending: u64) -> bool {
        self.used.load(Ordering::Acquire) + pending > self.max_bytes
    }
}
