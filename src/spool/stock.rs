//! What of one webhook's deliveries is on disk and not in memory.

use std::collections::HashSet;

use super::account::Account;
use super::store::Seq;
use crate::event::Timestamp;

/// The most retries of a webhook in memory.
const RETRIES: usize = 512;

/// What of one webhook's deliveries is on disk and not in memory.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// Whether the webhook is durable and enabled: only then is anything loaded.
    pub(super) is_served: bool,
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
}

impl Stock {
    /// Notes when a retry that is on disk is due, if it is not gone.
    pub(super) fn due_at(&mut self, next: Option<Timestamp>) {
        self.next_due = self.next_due.into_iter().chain(next).min();
    }

    /// Notes that a fresh delivery is on disk only. What came before the first of them is in memory,
    /// and may be on disk as well.
    pub(super) fn spill(&mut self, seq: Seq) {
        if self.last_spilled.is_none() {
            self.loaded = Some(Seq(seq.0 - 1));
        }
        self.last_spilled = Some(seq);
    }

    pub(super) fn wants_fresh(&self, account: &Account) -> bool {
        let is_wanted = self.is_served && self.last_spilled.is_some() && !self.awaits_commit;
        is_wanted && account.is_half_empty() && !account.is_closed()
    }

    /// Returns when the next retry is due, if there is room for more. One that takes turns with fresh
    /// deliveries does not wait for those to leave memory.
    pub(super) fn due(&self, account: &Account) -> Option<Timestamp> {
        let takes_turn = self.takes_turns && account.free_bytes() > 0;
        let has_memory = takes_turn || account.is_half_empty();
        let has_room = self.is_served && self.retries.len() < RETRIES / 2;
        self.next_due
            .filter(|_| has_room && has_memory && !account.is_closed())
    }
}
