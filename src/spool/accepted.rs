//! How far an accepted event has come: when its message may be acknowledged, and what the store
//! has to be told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::store::Seq;
use crate::ack::Ticket;
use crate::rule::WebhookIndex;

/// Webhooks of one event, without an allocation for the usual number.
pub(super) type Webhooks = SmallVec<[WebhookIndex; 2]>;

/// One event that was accepted, shared by its deliveries.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) seq: Seq,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    stage: Stage,
    /// Settled when nothing is at risk any more.
    ticket: Ticket,
    /// Deliveries that are neither settled nor on disk.
    at_risk: usize,
    /// The durable deliveries that are not settled.
    open: Webhooks,
}

/// Where the event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only in memory.
    Memory,
    /// Among the changes that will be committed.
    HandedOver,
    /// On disk.
    Stored,
}

/// Whether the store may know of a delivery that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// It was never told: there is nothing to take back.
    None,
    /// It will know of it.
    Coming,
    /// It knows of it.
    Row,
}

impl Accepted {
    /// Returns an event that is only in memory: `open` are its durable deliveries, `held` the number
    /// of those that are not durable and hold back the acknowledgement all the same.
    pub(super) fn new(seq: Seq, ticket: Ticket, open: Webhooks, held: usize) -> Self {
        let at_risk = open.len() + held;
        let accepted = Self {
            seq,
            progress: Mutex::new(Progress {
                stage: Stage::Memory,
                ticket,
                at_risk,
                open,
            }),
        };
        if at_risk == 0 {
            accepted.lock().acknowledge();
        }
        accepted
    }

    /// Returns an event that was read from the store for one webhook.
    pub(super) fn loaded(seq: Seq, webhook: WebhookIndex) -> Self {
        Self {
            seq,
            progress: Mutex::new(Progress {
                stage: Stage::Stored,
                ticket: Ticket::none(),
                at_risk: 0,
                open: Webhooks::from_slice(&[webhook]),
            }),
        }
    }

    /// Hands the open deliveries over to be committed, once; returns them.
    pub(super) fn hand_over(&self) -> Option<Webhooks> {
        let mut progress = self.lock();
        if progress.stage != Stage::Memory || progress.open.is_empty() {
            return None;
        }
        progress.stage = Stage::HandedOver;
        Some(progress.open.clone())
    }

    /// Notes that what was handed over is on disk; returns the deliveries that are not settled.
    pub(super) fn stored(&self) -> Webhooks {
        let mut progress = self.lock();
        progress.stage = Stage::Stored;
        let open = progress.open.clone();
        progress.safe(open.len());
        open
    }

    /// Returns whether the event is nowhere but in memory, and something waits for it.
    pub(super) fn is_unsaved(&self) -> bool {
        self.is_unsaved_for(|_| true)
    }

    /// Returns whether the event is nowhere but in memory, and one of these webhooks waits for it.
    pub(super) fn is_unsaved_for(&self, is_meant: impl Fn(WebhookIndex) -> bool) -> bool {
        let progress = self.lock();
        progress.stage == Stage::Memory && progress.open.iter().any(|&webhook| is_meant(webhook))
    }

    /// Returns whether the event would be there after a crash: on disk, or from the broker.
    pub(super) fn survives(&self) -> bool {
        let progress = self.lock();
        progress.stage == Stage::Stored || progress.ticket.is_awaited()
    }

    /// Returns whether the event is on disk, or was.
    pub(super) fn is_stored(&self) -> bool {
        self.lock().stage == Stage::Stored
    }

    /// Ends a durable delivery.
    pub(super) fn settle(&self, webhook: WebhookIndex) -> Trace {
        let mut progress = self.lock();
        if let Some(at) = progress.open.iter().position(|&open| open == webhook) {
            progress.open.swap_remove(at);
            if progress.stage != Stage::Stored {
                progress.safe(1);
            }
        }
        match progress.stage {
            Stage::Memory => Trace::None,
            Stage::HandedOver => Trace::Coming,
            Stage::Stored => Trace::Row,
        }
    }

    /// Ends a delivery that is not durable but held back the acknowledgement.
    pub(super) fn settle_held(&self) {
        self.lock().safe(1);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn safe(&mut self, deliveries: usize) {
        self.at_risk -= deliveries;
        if self.at_risk == 0 {
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
        std::mem::replace(&mut self.ticket, Ticket::none()).settle();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::ack::Ledger;

    fn accepted(open: &[WebhookIndex], held: usize) -> (Accepted, Arc<AtomicUsize>) {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&acknowledged);
        let ledger = Ledger::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let open = Webhooks::from_slice(open);
        (
            Accepted::new(Seq(1), ledger.open(1), open, held),
            acknowledged,
        )
    }

    fn check(acknowledged: &AtomicUsize, expected: usize) {
        assert_eq!(acknowledged.load(Ordering::Relaxed), expected);
    }

    #[test]
    fn puback_waits_for_every_delivery_or_its_row() {
        let (accepted, acknowledged) = accepted(&[0, 1], 0);
        assert_eq!(accepted.settle(0), Trace::None);
        check(&acknowledged, 0);
        assert_eq!(accepted.hand_over().as_deref(), Some(&[1][..]));
        check(&acknowledged, 0);
        accepted.stored();
        check(&acknowledged, 1);
        assert_eq!(accepted.settle(1), Trace::Row);
        check(&acknowledged, 1);
    }

    #[test]
    fn what_is_delivered_while_it_is_written_is_acknowledged_once() {
        let (accepted, acknowledged) = accepted(&[0], 0);
        assert!(accepted.hand_over().is_some());
        assert_eq!(accepted.hand_over(), None);
        assert_eq!(accepted.settle(0), Trace::Coming);
        check(&acknowledged, 1);
        accepted.stored();
        check(&acknowledged, 1);
    }

    #[test]
    fn what_is_delivered_in_time_is_never_written() {
        let (accepted, acknowledged) = accepted(&[0], 0);
        assert_eq!(accepted.settle(0), Trace::None);
        check(&acknowledged, 1);
        assert_eq!(accepted.hand_over(), None);
    }

    #[test]
    fn a_held_delivery_is_not_made_safe_by_the_store() {
        let (accepted, acknowledged) = accepted(&[0], 1);
        accepted.hand_over();
        accepted.stored();
        check(&acknowledged, 0);
        accepted.settle_held();
        check(&acknowledged, 1);
    }

    #[test]
    fn nothing_at_risk_is_acknowledged_at_once() {
        let (_accepted, acknowledged) = accepted(&[], 0);
        check(&acknowledged, 1);
    }
}
