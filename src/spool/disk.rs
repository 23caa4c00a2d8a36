//! How the disk stands: whether more may be put on it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;

use super::store::{DroppedUpTo, Seq, Space};

/// Bytes that a byte of an event takes at most: in the log, in the database, and beside it.
const WRITTEN: u64 = 3;

/// Bytes that a byte of an event takes at most in the database alone: one that is a little larger than half a
/// page has the page for itself.
const STORED: u64 = 2;

/// This part of what the database may take is left to webhooks that keep up.
const KEPT: u64 = 16;

/// This part of that may be in memory of one of them.
const LITTLE: u64 = 4;

/// This part of the file system's reserve may be, too, even if somebody else has used up the rest.
const LEAST: u64 = 8;

/// The state of the disk, as the data path sees it.
#[derive(Debug)]
pub(super) struct Disk {
    /// The most that the database may take, in bytes.
    max_bytes: u64,
    /// The most bytes of events that may wait to be written.
    max_pending: usize,
    used: AtomicU64,
    pending: AtomicUsize,
    /// Bytes of events that are only in memory, and may have to be written.
    unsaved: AtomicUsize,
    is_failing: AtomicBool,
    /// Bytes that the file system has left for more, and for what is of webhooks that keep up.
    spare: AtomicU64,
    spare_when_little: AtomicU64,
    /// Bytes that shall be left of it.
    reserve: AtomicU64,
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
            unsaved: AtomicUsize::new(0),
            is_failing: AtomicBool::new(false),
            spare: AtomicU64::new(u64::MAX),
            spare_when_little: AtomicU64::new(u64::MAX),
            reserve: AtomicU64::new(u64::MAX),
            has_space_when_tidy: AtomicBool::new(true),
            has_much_space: AtomicBool::new(true),
            dropped: RwLock::default(),
            has_dropped: AtomicBool::new(false),
            failure: watch::Sender::new(None),
        }
    }

    /// Returns whether another event may be put on disk.
    pub(super) fn has_room(&self) -> bool {
        !self.is_failing() && !self.is_behind() && self.fits()
    }

    /// Returns whether there is so much room that it is worth to go on after there was none.
    pub(super) fn has_room_again(&self) -> bool {
        self.has_room() && self.fits_again()
    }

    /// Returns whether another event would find its place, now or when it must be written, behind all that is
    /// only in memory.
    pub(super) fn fits(&self) -> bool {
        self.fits_behind(self.coming())
    }

    fn fits_behind(&self, coming: u64) -> bool {
        let spare = self.spare.load(Ordering::Acquire);
        self.has(coming, self.for_backlog(), spare)
    }

    /// Returns whether one would of a webhook that keeps up, for which a backlog leaves some room.
    pub(super) fn fits_little(&self) -> bool {
        self.fits_into(self.spare_when_little.load(Ordering::Acquire))
    }

    /// Returns whether one would that is most likely never written, whoever has filled the file system.
    pub(super) fn fits_unwritten(&self) -> bool {
        self.fits_into(self.reserve.load(Ordering::Acquire) / LEAST)
    }

    fn fits_into(&self, spare: u64) -> bool {
        self.has(self.coming(), self.max_bytes, spare)
    }

    /// Returns whether so many bytes of events fit below the most that the database may take, and into what the file
    /// system can spare.
    fn has(&self, coming: u64, most: u64, spare: u64) -> bool {
        let used = self.used.load(Ordering::Acquire) + coming * STORED;
        used <= most && spare > coming * WRITTEN
    }

    /// Returns whether a tenth is free, so that it is worth to go on after it was full.
    pub(super) fn fits_again(&self) -> bool {
        self.has_much() && self.fits()
    }

    fn has_much(&self) -> bool {
        let used = self.used.load(Ordering::Acquire);
        let has_much_space = self.has_much_space.load(Ordering::Acquire);
        has_much_space && used <= self.max_bytes - self.max_bytes / 10
    }

    /// Returns the most bytes in memory of a webhook that keeps up.
    pub(super) fn little(&self) -> usize {
        let of_space = self.reserve.load(Ordering::Acquire) / LEAST;
        let bytes = self.max_bytes / KEPT / LITTLE;
        usize::try_from(bytes.min(of_space)).unwrap_or(usize::MAX)
    }

    /// Returns whether more is used than may be, or than leaves the file system any room.
    pub(super) fn lacks_room(&self) -> bool {
        let has_space = self.has_space_when_tidy.load(Ordering::Acquire);
        self.used_soon() > self.for_backlog() || !has_space
    }

    /// Returns about how many of so many deliveries are too many.
    pub(super) fn surplus(&self, waiting: u64) -> u64 {
        let used = self.used_soon();
        let bytes = used.saturating_sub(self.for_backlog());
        let share = u128::from(waiting) * u128::from(bytes) / u128::from(used.max(1));
        u64::try_from(share).unwrap_or(u64::MAX) + 1
    }

    /// Returns whether more waits to be written than may.
    pub(super) fn is_behind(&self) -> bool {
        self.pending.load(Ordering::Acquire) > self.max_pending
    }

    /// Returns whether at most half of what may wait to be written does, so that it is worth to go on
    /// after there was more than may; and whether twice of what is in memory would fit, if it is not the disk that
    /// has hardly room.
    pub(super) fn keeps_up(&self) -> bool {
        let is_little = self.pending.load(Ordering::Acquire) <= self.max_pending / 2;
        is_little && (self.fits_behind(2 * self.coming()) || !self.has_much())
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    pub(super) fn set_pending(&self, bytes: usize) {
        self.pending.store(bytes, Ordering::Release);
    }

    /// Notes how many bytes are only in memory; returns whether they have become less.
    pub(super) fn set_unsaved(&self, bytes: usize) -> bool {
        bytes < self.unsaved.swap(bytes, Ordering::AcqRel)
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
        let little = space.spare_when_little();
        self.reserve.store(space.reserve, Ordering::Release);
        self.spare.store(space.spare(), Ordering::Release);
        self.spare_when_little.store(little, Ordering::Release);
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

    /// Returns how many bytes of events may have to be written that are not.
    fn coming(&self) -> u64 {
        let pending = self.pending.load(Ordering::Acquire);
        let unsaved = self.unsaved.load(Ordering::Acquire);
        (pending + unsaved) as u64
    }

    /// Returns how much will be used when all is written that is to be.
    fn used_soon(&self) -> u64 {
        let pending = self.pending.load(Ordering::Acquire) as u64;
        self.used.load(Ordering::Acquire) + pending * STORED
    }

    /// Returns the most that what waits may take, whoever keeps up or not.
    fn for_backlog(&self) -> u64 {
        self.max_bytes - self.max_bytes / KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Checks who has room: a backlog, one that keeps up, one that most likely writes nothing.
    fn check(disk: &Disk, expected: [bool; 3]) {
        let found = [disk.fits(), disk.fits_little(), disk.fits_unwritten()];
        assert_eq!(found, expected, "{disk:?}");
    }

    #[test]
    fn what_is_in_memory_must_fit_and_a_backlog_leaves_some_room() {
        let disk = Disk::new(16 * MIB, usize::MAX);
        check(&disk, [true; 3]);
        disk.set_unsaved(7 << 20);
        check(&disk, [true; 3]);
        disk.set_pending(1 << 20);
        check(&disk, [false, true, true]);
        disk.set_pending(2 << 20);
        check(&disk, [false; 3]);
        disk.set_unsaved(0);
        disk.set_pending(0);
        disk.set_used(15 * MIB + 1);
        check(&disk, [false, true, true]);
        assert!(disk.lacks_room() && disk.surplus(100) == 1);
        disk.set_used(16 * MIB + 1);
        check(&disk, [false; 3]);
    }

    #[test]
    fn a_file_system_that_is_nearly_full_has_room_for_what_is_never_written() {
        let disk = Disk::new(u64::MAX / 2, usize::MAX);
        let set = |available| {
            let (unused, log, reserve) = (0, MIB, 16 * MIB);
            disk.set_space(Space {
                available,
                unused,
                log,
                reserve,
            });
        };
        set(29 * MIB);
        check(&disk, [true; 3]);
        disk.set_unsaved(2 << 20);
        check(&disk, [false, true, false]);
        disk.set_unsaved(0);
        set(25 * MIB);
        check(&disk, [false, true, true]);
        set(17 * MIB);
        check(&disk, [false, false, true]);
    }
}
