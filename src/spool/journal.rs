//! The way to the store: the data path puts in what is to be written, and the spool's thread takes
//! out what there is to do.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{oneshot, watch};

use super::Inner;
use super::accepted::Accepted;
use super::agenda::{Agenda, TICK, Work};
use super::batch::Moved;
use super::delivery::Delivery;
use super::parked::Question;
use super::stock::Stock;
use super::store::{Change, Seq, WebhookKey, WebhookState};
use crate::event::{Event, Timestamp};
use crate::rule::WebhookIndex;

/// What is to be told to the store, and the signal that there is something.
#[derive(Debug)]
pub(super) struct Journal {
    state: Mutex<Agenda>,
    wake: Condvar,
}

impl Journal {
    pub(super) fn new(next_seq: Seq, stocks: Vec<Stock>) -> Self {
        Self {
            state: Mutex::new(Agenda::new(next_seq, stocks, Instant::now())),
            wake: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Agenda> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a sequence number and puts the event among those that wait, or at once among the changes
    /// if it is in memory of no lane (`spilled`).
    pub(super) fn accept(
        &self,
        spool: &Inner,
        event: &Arc<Event>,
        spilled: &[WebhookIndex],
        make: impl FnOnce(Seq) -> Arc<Accepted>,
    ) -> Arc<Accepted> {
        let mut state = self.lock();
        let seq = state.take_seq();
        let accepted = make(seq);
        state.accept(spool, event, &accepted, spilled);
        self.notify(state);
        accepted
    }

    /// Hands an event over to be committed, unless it has been.
    pub(super) fn hand_over(&self, spool: &Inner, event: &Arc<Event>, accepted: &Arc<Accepted>) {
        let mut state = self.lock();
        state.hand_over(spool, event, accepted);
        self.notify(state);
    }

    /// Hands an event over and holds up its deliveries until it is on disk.
    pub(super) fn hold_up(
        &self,
        spool: &Inner,
        event: &Arc<Event>,
        accepted: &Arc<Accepted>,
        deliveries: impl IntoIterator<Item = Delivery>,
    ) {
        let mut state = self.lock();
        state.hand_over(spool, event, accepted);
        state.batch.held_up.extend(deliveries);
        self.notify(state);
    }

    /// Notes that a delivery of which the store may know has ended, or is put off until `next`.
    pub(super) fn moved(
        &self,
        webhook: WebhookIndex,
        seq: Seq,
        next: Option<Timestamp>,
        change: Change,
    ) {
        let mut state = self.lock();
        state.batch.moved.push(Moved { webhook, seq, next });
        state.batch.changes.push(change);
        self.notify(state);
    }

    /// Has a question answered when all before it is on disk.
    pub(super) fn ask(&self, webhook: WebhookIndex, question: Question) {
        let mut state = self.lock();
        state.batch.questions.push((webhook, question));
        self.notify(state);
    }

    /// Sets whether a webhook is attempted, here and on disk.
    pub(super) fn set_state(
        &self,
        webhook: WebhookIndex,
        key: WebhookKey,
        seen: &watch::Sender<WebhookState>,
        state: WebhookState,
    ) {
        let mut agenda = self.lock();
        seen.send_replace(state.clone());
        agenda.stocks[webhook].is_served = state.is_enabled();
        agenda.batch.changes.push(Change::State {
            webhook: key,
            state,
        });
        self.notify(agenda);
    }

    /// Wakes the thread, for a lane has room again.
    pub(super) fn has_room(&self) {
        self.rouse(&mut self.lock());
    }

    /// Has everything committed; returns what resolves then.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, flushed) = oneshot::channel();
        let mut state = self.lock();
        state.flushes.push(done);
        self.rouse(&mut state);
        flushed
    }

    /// Has everything committed and the thread end.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closing = true;
        self.rouse(&mut state);
    }

    /// Returns what the thread does next, once there is something.
    pub(super) fn work(&self, spool: &Inner) -> Work {
        let mut state = self.lock();
        loop {
            match state.next(spool, Instant::now(), Timestamp::now()) {
                Work::Sleep(time) => {
                    state.is_asleep = true;
                    let (woken, _) = self
                        .wake
                        .wait_timeout(state, time)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = woken;
                    state.is_asleep = false;
                }
                work => return work,
            }
        }
    }

    /// Sees to it that the thread ticks, and wakes it early for a full batch.
    pub(super) fn notify(&self, mut state: MutexGuard<'_, Agenda>) {
        if state.tick.is_none() {
            state.tick = Some(Instant::now() + TICK);
            self.rouse(&mut state);
        } else if state.batch.is_large() {
            self.rouse(&mut state);
        }
    }

    /// Wakes the thread, if it sleeps until a signal.
    fn rouse(&self, state: &mut Agenda) {
        if std::mem::take(&mut state.is_asleep) {
            self.wake.notify_one();
        }
    }
}
