//! What of one webhook's deliveries is on disk and not in memory.

use std::collections::HashSet;

use super::account::Account;
use super::store::Seq;
use crate::event::Timestamp;

/// The most retries of a webhook in memory.
const RETRIES: usize = 512;

/// What of one webhook's deliveries is on disk and not in memory.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may be so or not, whatever the others are"
)]
pub(super) struct Stock {
    /// Whether the webhook is durable and enabled: only then is anything loaded.
    pub(super) is_served: bool,
    /// Whether its lane has not begun, or is to end, so that nothing is loaded whatever is set.
    pub(super) is_idle: bool,
    /// Whether the lane attempts retries beside fresh deliveries, not behind all of them.
    pub(super) takes_turns: bool,
    /// The last fresh delivery that was put on disk only; none if there is none left.
    pub(super) last_spilled: Option<Seq>,
    /// Fresh deliveries up to this one have been in memory.
    pub(super) loaded: Option<Seq>,
    /// Whether all that is on disk was read and some is not there yet.
    pub(super) awaits_commit: bool,
    /// When the next retry on disk is due.
    pub(super) next_due: Option<Timestamp>,
    /// Retries that were read and are not committed with a new state.
    pub(super) retries: HashSet<Seq>,
    /// What was taken back before it was read, and may still be on disk.
    pub(super) taken_back: HashSet<Seq>,
}

impl Stock {
    /// Notes that the new state of a delivery is on disk, and when it is due, if it is not gone.
    pub(super) fn moved(&mut self, seq: Seq, next: Option<Timestamp>) {
        self.retries.remove(&seq);
        if next.is_none() {
            self.taken_back.remove(&seq);
        }
        self.next_due = self.next_due.into_iter().chain(next).min();
    }

    /// Takes back what waits to be due; returns whether it was not read yet, so that it never will be.
    pub(super) fn take_back(&mut self, seq: Seq) -> bool {
        !self.retries.contains(&seq) && self.taken_back.insert(seq)
    }

    /// Returns what is not to be read, as it was read or is taken back.
    pub(super) fn not_to_read(&self) -> HashSet<Seq> {
        self.retries.union(&self.taken_back).copied().collect()
    }

    /// Notes that a retry was read; returns whether it was not taken back meanwhile.
    pub(super) fn read(&mut self, seq: Seq) -> bool {
        !self.taken_back.contains(&seq) && self.retries.insert(seq)
    }

    /// Notes that a fresh delivery is on disk only. What came before the first of them is in memory,
    /// and may be on disk as well.
    pub(super) fn spill(&mut self, seq: Seq) {
        if self.last_spilled.is_none() {
            self.loaded = Some(Seq(seq.0 - 1));
        }
        self.last_spilled = Some(seq);
    }

    /// Notes what a read of fresh deliveries has brought: the last of them, and whether there are more;
    /// `is_committed` says whether all that was accepted could be read. Returns whether none is left on disk only.
    pub(super) fn was_read(&mut self, last: Option<Seq>, more: bool, is_committed: bool) -> bool {
        self.loaded = last.or(self.loaded);
        if self.loaded >= self.last_spilled || (!more && is_committed) {
            self.last_spilled = None;
        } else {
            self.awaits_commit = !more;
        }
        self.last_spilled.is_none()
    }

    pub(super) fn wants_fresh(&self, account: &Account) -> bool {
        let is_wanted =
            self.is_served && !self.is_idle && self.last_spilled.is_some() && !self.awaits_commit;
        is_wanted && account.is_half_empty() && !account.is_closed()
    }

    /// Returns when the next retry is due, if there is room for more. One that takes turns with fresh
    /// deliveries does not wait for those to leave memory.
    pub(super) fn due(&self, account: &Account) -> Option<Timestamp> {
        let takes_turn = self.takes_turns && account.free_bytes() > 0;
        let has_memory = takes_turn || account.is_half_empty();
        let has_room = self.is_served && !self.is_idle && self.retries.len() < RETRIES / 2;
        self.next_due
            .filter(|_| has_room && has_memory && !account.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Seq = Seq(7);

    #[test]
    fn what_is_held_back_is_read_or_taken_back_and_never_both() {
        let due = Some(Timestamp::from_millis(9));
        let mut stock = Stock::default();
        stock.moved(HELD, due);
        assert!(stock.take_back(HELD));
        assert!(!stock.take_back(HELD), "it was taken back before");
        assert!(stock.not_to_read().contains(&HELD));
        // A read that had begun before has found it all the same.
        assert!(!stock.read(HELD));
        // That it is held back may be on disk before that it is taken back.
        stock.moved(HELD, due);
        assert!(!stock.read(HELD));
        stock.moved(HELD, None);
        assert!(stock.not_to_read().is_empty());

        let mut stock = Stock::default();
        assert!(stock.read(HELD));
        assert!(!stock.take_back(HELD), "it is on its way");
    }
}
