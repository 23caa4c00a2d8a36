//! The bounds of the spool: what is measured, what is dropped to keep to them.

use std::time::{Duration, Instant};

use tracing::warn;

use super::Keeper;
use super::clock::before;
use crate::event::Timestamp;
use crate::spool::OnFull;
use crate::spool::journal::Journal;
use crate::spool::store::{self, Dropped, Seq, Space};

/// Rows that one transaction of a sweep removes.
const SWEPT: usize = 1_000;

/// Dead letters that one transaction of a sweep removes.
const TRIMMED: usize = 1_000;

impl Keeper {
    /// Looks how much is on disk. What fails here is not worth a word: the next commit shows it.
    pub(in crate::spool) fn measure(&mut self) {
        for (key, deliveries) in self.store.waiting().unwrap_or_default() {
            if let Some((_, account)) = self.spool.accounts.load().with_key(key) {
                account.metrics.waiting.set_on_disk(deliveries);
            }
        }
        if let Ok(used) = self.store.used_bytes() {
            self.spool.metrics.used(used);
            if self.spool.disk.set_used(used) {
                self.spool.wake_waiting();
            }
        }
        self.measure_space(Space::has_room);
    }

    /// Looks how much the file system has left; what the log takes can be given back, if there is not enough without.
    pub(super) fn measure_space(&mut self, is_enough: fn(&Space) -> bool) {
        let Ok(mut space) = self.store.space() else {
            return;
        };
        if !is_enough(&space) && space.log > 0 && self.store.checkpoint().is_ok() {
            space = self.store.space().unwrap_or(space);
        }
        let had_room = self.spool.disk.has_space();
        if self.spool.disk.set_space(space) {
            self.spool.wake_waiting();
        }
        if had_room
            && !space.has_room()
            && self.full_log.pass(tokio::time::Instant::now()).is_some()
        {
            let (free_bytes, reserve_bytes) = (space.available, space.reserve);
            warn!(
                free_bytes,
                reserve_bytes,
                "the spool's file system is nearly full; nothing more is put there until there is space"
            );
        }
    }

    /// Drops the oldest if that is how the spool keeps to its size.
    pub(super) fn make_room(&mut self, journal: &Journal) -> Result<(), store::Error> {
        while self.config.on_full == OnFull::DropOldest && self.spool.disk.lacks_room() {
            let dropped = self.store.drop_oldest(self.surplus())?;
            if dropped.is_empty() {
                break;
            }
            self.dropped(journal, &dropped, "oldest");
        }
        if !self.spool.disk.has_space() {
            // A sweep gives back what is not in use.
            journal.lock().sweep_again();
        }
        Ok(())
    }

    /// Returns about how many deliveries too many there are, if they are of equal size; at least 1.
    fn surplus(&self) -> usize {
        let waiting = self.spool.accounts.load().waiting(|_| true);
        let surplus = self.spool.disk.surplus(waiting as u64);
        usize::try_from(surplus).unwrap_or(SWEPT).clamp(1, SWEPT)
    }

    /// Removes what is too old, and dead letters that are too many, and gives space back.
    pub(super) fn sweep(&mut self, journal: &Journal) -> Result<(), store::Error> {
        let now = self.clock.now(Instant::now(), Timestamp::now());
        let expired = self.store.expire(before(now, self.config.max_age), SWEPT)?;
        if !expired.is_empty() {
            self.dropped(journal, &expired, "too_old");
        }
        let letters = &self.config.dead_letters;
        let trimmed = self.store.trim_dead_letters(
            letters.max_bytes,
            before(now, letters.max_age),
            TRIMMED,
        )?;
        self.dropped_letters(&trimmed);
        let rows = |dropped: &Dropped| dropped.iter().map(|(_, count)| *count).sum::<u64>();
        let is_cut_off = rows(&expired) >= SWEPT as u64 || rows(&trimmed) >= TRIMMED as u64;
        if is_cut_off || self.store.tidy()? {
            journal.lock().sweep_again();
        }
        self.measure();
        Ok(())
    }

    /// Returns the time before which things are older than this.
    pub(in crate::spool) fn before(&mut self, age: Duration) -> Timestamp {
        before(self.clock.now(Instant::now(), Timestamp::now()), age)
    }

    /// Counts dead letters that were removed.
    fn dropped_letters(&self, dropped: &Dropped) {
        for &(key, count) in dropped {
            if let Some((_, account)) = self.spool.accounts.load().with_key(key) {
                let metrics = &account.metrics;
                metrics.dropped_letters(count);
                let webhook = metrics.webhook();
                warn!(
                    webhook,
                    count,
                    "removed the oldest dead letters; there are too many, or they are too old"
                );
            }
        }
    }

    /// Counts what was dropped, and has the lanes leave alone what they have of it.
    pub(super) fn dropped(&mut self, journal: &Journal, dropped: &Dropped, reason: &'static str) {
        self.measure();
        let mut up_to = self.store.take_dropped_up_to();
        if let Some(first) = journal.lock().first_pending() {
            // It was not on disk, so it was not dropped, whatever came after it.
            up_to.accepted = up_to.accepted.map(|last| last.min(Seq(first.0 - 1)));
        }
        self.dropped_up_to.merge(up_to);
        self.spool.disk.set_dropped(self.dropped_up_to);
        for &(key, count) in dropped {
            let accounts = self.spool.accounts.load();
            let Some((_, account)) = accounts.with_key(key) else {
                self.dropped_of_nobody += count;
                if self.dropped_log.pass(tokio::time::Instant::now()).is_some() {
                    let count = std::mem::take(&mut self.dropped_of_nobody);
                    warn!(
                        count,
                        reason,
                        "dropped events that waited for a webhook that is not configured any more"
                    );
                }
                continue;
            };
            account.dropped(reason, count);
        }
    }
}
