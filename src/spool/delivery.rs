//! One event on its way to one webhook.

use std::sync::Arc;

use super::accepted::{Accepted, Trace};
use super::account::{Account, Keeping};
use super::store::{Change, Due, GaveUp, Key, Seq};
use super::{Inner, Spool};
use crate::event::{Event, Timestamp};
use crate::rule::WebhookIndex;

/// One event on its way to one webhook.
///
/// A delivery that is dropped is not settled: the store or the broker still has it.
#[derive(Debug)]
pub struct Delivery {
    event: Arc<Event>,
    accepted: Arc<Accepted>,
    /// Attempts that failed so far.
    pub failures: u32,
    /// When the first of them failed.
    pub first_failed: Option<Timestamp>,
    /// Under which time the store has it, and with how many failed attempts.
    due: Due,
    failures_on_disk: u32,
    hold: Hold,
}

impl Delivery {
    pub(super) fn new(event: Arc<Event>, accepted: Arc<Accepted>, hold: Hold) -> Self {
        Self {
            event,
            accepted,
            failures: 0,
            first_failed: None,
            due: Due::Fresh,
            failures_on_disk: 0,
            hold,
        }
    }

    pub(super) fn loaded(loaded: super::store::Loaded, hold: Hold) -> Self {
        Self {
            accepted: Arc::new(Accepted::loaded(loaded.seq, hold.webhook)),
            event: Arc::new(loaded.event),
            failures: loaded.failures,
            // A probe that failed has put it off and was no attempt.
            first_failed: loaded.first_failed.filter(|_| loaded.failures > 0),
            due: loaded.due,
            failures_on_disk: loaded.failures,
            hold,
        }
    }

    /// Returns whether the store keeps it.
    pub(super) fn is_durable(&self) -> bool {
        matches!(self.keeping(), Keeping::Durable(_))
    }

    /// Returns the event.
    #[must_use]
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// Returns its event's number: later ones have higher numbers, but for replayed dead letters, whose
    /// numbers are the highest.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.accepted.seq
    }

    /// Returns whether the spool has dropped the delivery, and counted it, while it was in the lane's
    /// queue: nothing is to be done with it any more.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.hold.spool.disk.has_dropped(self.accepted.seq)
            && self.is_durable()
            && self.accepted.is_stored()
    }

    /// Returns whether a crash would not lose it, or what keeps it does not outlive one anyway.
    #[must_use]
    pub fn survives(&self) -> bool {
        !self.is_durable() || self.accepted.survives()
    }

    /// Returns whether it had been put off and is due again.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.due != Due::Fresh
    }

    /// Hands the delivery to its lane.
    pub(super) fn send(self) {
        let account = Arc::clone(&self.hold.account);
        account.send(self);
    }

    /// Notes that an attempt failed.
    pub fn count_failure(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.first_failed.get_or_insert(now);
    }

    /// Ends the delivery: the receiver has the event.
    pub fn settle(self) {
        let (spool, webhook, seq) = (&self.hold.spool, self.hold.webhook, self.accepted.seq);
        let account = &self.hold.account;
        let trace = match account.keeping {
            Keeping::Loose => Trace::None,
            Keeping::Held => {
                self.accepted.settle_held();
                Trace::None
            }
            Keeping::Durable(_) => self.accepted.settle(webhook),
        };
        if trace != Trace::Row {
            account.metrics.waiting.left();
        }
        if trace != Trace::None
            && let (Keeping::Durable(key), Some(journal)) = (account.keeping, &spool.journal)
        {
            let change = Change::Settle {
                webhook: key,
                seq,
                due: self.due,
            };
            journal.moved(webhook, seq, None, change);
        }
    }

    /// Ends a delivery of a webhook that has gone and is not durable, and counts it as dropped.
    pub fn discard(self) {
        self.hold.account.metrics.dropped_stored("removed", 1);
        self.settle();
    }

    /// Ends the delivery without success. A durable one is kept as a dead letter.
    /// The event is not acknowledged before that is on disk.
    pub fn give_up(self, why: GaveUp, outcome: String, at: Timestamp) {
        let Keeping::Durable(key) = self.keeping() else {
            return self.settle();
        };
        self.hand_over();
        if let Some(journal) = &self.hold.spool.journal {
            let change = Change::Bury {
                webhook: key,
                seq: self.accepted.seq,
                due: self.due,
                failures: self.failures,
                outcome,
                reason: why,
                at,
            };
            journal.moved(self.hold.webhook, self.accepted.seq, None, change);
        }
    }

    /// Puts the delivery off until `next`. A durable one leaves memory, and comes again by the
    /// lane's queue when it is due; another is given back without a hold on the packet that it
    /// came in.
    #[must_use]
    pub fn postpone(self, next: Timestamp) -> Option<Self> {
        let Keeping::Durable(key) = self.keeping() else {
            return Some(Self {
                event: Arc::new(self.event.compact()),
                ..self
            });
        };
        self.hand_over();
        if let Some(journal) = &self.hold.spool.journal {
            let change = Change::Retry {
                webhook: key,
                seq: self.accepted.seq,
                due: self.due,
                next,
                failures: self.failures,
                first_failed: self.first_failed.unwrap_or(next),
            };
            journal.moved(self.hold.webhook, self.accepted.seq, Some(next), change);
        }
        None
    }

    /// Has the store keep a durable delivery behind others of its key, until it is [asked](super::Spool::ask)
    /// for; it leaves memory. Another is given back.
    #[must_use]
    pub fn park(self, key: Key) -> Option<Self> {
        let Keeping::Durable(webhook) = self.keeping() else {
            return Some(self);
        };
        if self.due == Due::Parked(key) && self.failures == self.failures_on_disk {
            return None;
        }
        self.hand_over();
        if let Some(journal) = &self.hold.spool.journal {
            let change = Change::Park {
                webhook,
                seq: self.accepted.seq,
                due: self.due,
                key,
                failures: self.failures,
                first_failed: self.first_failed,
            };
            journal.moved(self.hold.webhook, self.accepted.seq, None, change);
        }
        None
    }

    /// Ends the delivery, and counts it as dropped: it is not wanted any more.
    pub fn supersede(self) {
        if !self.is_dropped() {
            let account = &self.hold.account;
            account.metrics.dropped_stored("superseded", 1);
        }
        self.settle();
    }

    fn keeping(&self) -> Keeping {
        self.hold.account.keeping
    }

    fn hand_over(&self) {
        if let Some(journal) = &self.hold.spool.journal {
            journal.hand_over(&self.hold.spool, &self.event, &self.accepted);
        }
    }
}

impl Spool {
    /// Ends a durable delivery that was put off until `due`, as [`Delivery::supersede`] does.
    pub fn supersede(&self, webhook: WebhookIndex, seq: Seq, due: Timestamp) {
        let Some(account) = self.0.accounts.of(webhook) else {
            return;
        };
        if !self.0.disk.has_dropped(seq) {
            account.metrics.dropped_stored("superseded", 1);
        }
        if let (Keeping::Durable(key), Some(journal)) = (account.keeping, &self.0.journal) {
            let change = Change::Settle {
                webhook: key,
                seq,
                due: Due::At(due),
            };
            journal.moved(webhook, seq, None, change);
        }
    }

    /// Returns how many bytes of memory a webhook's deliveries may take.
    #[must_use]
    pub fn share(&self, webhook: WebhookIndex) -> usize {
        let account = self.0.accounts.of(webhook);
        account.map_or(0, |account| account.max_bytes())
    }
}

/// Memory of an account, given back when dropped.
#[derive(Debug)]
pub(super) struct Hold {
    spool: Arc<Inner>,
    account: Arc<Account>,
    webhook: WebhookIndex,
    size: usize,
}

impl Hold {
    pub(super) fn new(
        spool: &Arc<Inner>,
        webhook: WebhookIndex,
        account: &Arc<Account>,
        size: usize,
    ) -> Self {
        account.hold(size);
        Self {
            spool: Arc::clone(spool),
            account: Arc::clone(account),
            webhook,
            size,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.account.release(self.size) {
            self.spool.has_changed(&self.account);
        }
    }
}
