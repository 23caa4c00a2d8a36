//! What the spool's thread has to do, and when: decisions over what waits. The time comes from outside.
//!
//! An event waits for one to two [`TICK`]s, and while its lanes get on with what they have for up to
//! [`Flow::TICKS`] of them, so that what is delivered by then is never written. Then it is handed over to
//! the batch, which is committed with the tick or when it is large.

mod unsaved;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use unsaved::{Queue, Unsaved};

use super::Inner;
use super::accepted::Accepted;
use super::batch::{Batch, Moved};
use super::flow::Flow;
use super::stock::Stock;
use super::store::{Change, Seq};
use crate::event::{Event, Timestamp};
use crate::rule::WebhookIndex;

/// How long events and changes are collected.
pub(super) const TICK: Duration = Duration::from_millis(4);

/// How many ticks old an event is when it has been here for a whole tick.
const OLD: u32 = 2;

/// Bytes that what is new of a device takes in memory, about.
const DEVICE: usize = 512;

/// How soon a sweep goes on that did not come to its end.
const SWEEP_ON: Duration = Duration::from_millis(50);

/// How often what is too old is looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// How often it is seen whether another process has changed the database.
const LOOK: Duration = Duration::from_millis(500);

/// What waits, and what is to be done next.
#[derive(Debug)]
pub(super) struct Agenda {
    pub(super) next_seq: Seq,
    unsaved: Queue,
    /// How many ticks there were.
    ticks: u32,
    /// How each webhook's lane gets on.
    pub(super) flows: Vec<Flow>,
    pub(super) batch: Batch,
    /// When the next tick is; none while nothing waits for one.
    pub(super) tick: Option<Instant>,
    /// Whether the batch has waited long enough.
    is_ripe: bool,
    /// Which of reads and commits goes first: they take turns.
    turn: Turn,
    pub(super) stocks: Vec<Stock>,
    sweep: Instant,
    look: Instant,
    /// When a batch whose commit failed is tried again.
    pub(super) failing_until: Option<Instant>,
    /// When something is read again after that has failed. What can be written is, meanwhile.
    pub(super) unreadable_until: Option<Instant>,
    /// For whom was read last: what cannot be read of one must not keep others from it.
    last_read: WebhookIndex,
    pub(super) flushes: Vec<oneshot::Sender<()>>,
    pub(super) is_closing: bool,
    /// Whether the thread sleeps until a signal.
    pub(super) is_asleep: bool,
    /// Bytes of what was handed over and is not on disk.
    pending_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Commit,
    Read,
}

/// What the spool's thread does next.
#[derive(Debug)]
pub(super) enum Work {
    /// Commit this batch; none: the one that failed, again.
    Commit(Option<Batch>),
    /// Read fresh deliveries after the one that was loaded last.
    LoadFresh(WebhookIndex),
    /// Read retries that are due.
    LoadDue(WebhookIndex),
    /// Remove what is too old.
    Sweep,
    /// See whether another process has changed something.
    Look,
    Sleep(Duration),
    Close,
}

impl Agenda {
    /// Returns an agenda on which nothing stands.
    pub(super) fn new(next_seq: Seq, stocks: Vec<Stock>, now: Instant) -> Self {
        Self {
            next_seq,
            unsaved: Queue::default(),
            ticks: 0,
            flows: vec![Flow::default(); stocks.len()],
            batch: Batch::default(),
            tick: None,
            is_ripe: false,
            turn: Turn::Commit,
            stocks,
            sweep: now,
            look: now + LOOK,
            failing_until: None,
            unreadable_until: None,
            last_read: 0,
            flushes: Vec::new(),
            is_closing: false,
            is_asleep: false,
            pending_bytes: 0,
        }
    }

    /// Returns the first event that is not on disk.
    pub(super) fn first_pending(&self) -> Option<Seq> {
        let mut unsaved = self.unsaved.iter().map(|unsaved| &unsaved.accepted);
        let unsaved = unsaved.find(|accepted| accepted.is_unsaved());
        let pending = self.batch.accepted.iter().chain(unsaved);
        pending.map(|accepted| accepted.seq).min()
    }

    pub(super) fn take_seq(&mut self) -> Seq {
        let seq = self.next_seq;
        self.next_seq = Seq(seq.0 + 1);
        seq
    }

    /// Puts in an event that was accepted: at once among the changes if it is in memory of no lane
    /// (`spilled`).
    pub(super) fn accept(
        &mut self,
        spool: &Inner,
        event: &Arc<Event>,
        accepted: &Arc<Accepted>,
        spilled: &[WebhookIndex],
    ) {
        for &webhook in spilled {
            self.stocks[webhook].spill(accepted.seq);
            if let Some(account) = spool.accounts.load().get(webhook) {
                account.set_spilled(true);
            }
        }
        if !spilled.is_empty() {
            self.hand_over(spool, event, accepted);
            return;
        }
        self.unsaved.push(Unsaved {
            event: Arc::clone(event),
            accepted: Arc::clone(accepted),
            tick: self.ticks,
        });
        spool.disk.set_unsaved(self.unsaved.bytes());
    }

    /// Hands an event over to be committed, unless it has been.
    pub(super) fn hand_over(
        &mut self,
        spool: &Inner,
        event: &Arc<Event>,
        accepted: &Arc<Accepted>,
    ) {
        let Some(webhooks) = accepted.hand_over() else {
            return;
        };
        self.pend(spool, event.size());
        self.batch.accepted.push(Arc::clone(accepted));
        self.batch.changes.push(Change::Append {
            seq: accepted.seq,
            accepted: event.id.time(),
            event: Arc::clone(event),
            webhooks: spool.accounts.load().keys(&webhooks),
        });
    }

    /// Has something of devices written, which counts as pending like events.
    pub(super) fn write(&mut self, spool: &Inner, changes: impl IntoIterator<Item = Change>) {
        let before = self.batch.changes.len();
        self.batch.changes.extend(changes);
        self.pend(spool, (self.batch.changes.len() - before) * DEVICE);
    }

    fn pend(&mut self, spool: &Inner, bytes: usize) {
        self.batch.bytes += bytes;
        self.pending_bytes += bytes;
        spool.disk.set_pending(self.pending_bytes);
    }

    /// Notes that the disk takes something, so that it is worth to read again.
    pub(super) fn touched(&mut self) {
        self.unreadable_until = None;
        self.takes_again();
    }

    /// What has come while the disk did not take anything has no tick of its own, and has waited.
    fn takes_again(&mut self) {
        if self.failing_until.take().is_some() {
            self.is_ripe |= !self.batch.is_empty();
        }
    }

    /// Notes that a batch is on disk.
    pub(super) fn committed(&mut self, spool: &Inner, batch: &Batch) {
        self.pending_bytes -= batch.bytes;
        spool.disk.set_pending(self.pending_bytes);
        self.takes_again();
        for &Moved { webhook, seq, next } in &batch.moved {
            self.stocks[webhook].moved(seq, next);
        }
        for stock in &mut self.stocks {
            stock.awaits_commit = false;
        }
    }

    /// Notes what a read of fresh deliveries has brought: the last of them, and whether there are
    /// more on disk. Returns whether none is left on disk only.
    pub(super) fn loaded(&mut self, webhook: WebhookIndex, last: Option<Seq>, more: bool) -> bool {
        let is_committed = self.batch.accepted.is_empty() && self.failing_until.is_none();
        self.stocks[webhook].was_read(last, more, is_committed)
    }

    /// Decides what is next.
    pub(super) fn next(&mut self, spool: &Inner, now: Instant, time: Timestamp) -> Work {
        let is_pressed = self.is_closing || !self.flushes.is_empty();
        if is_pressed || self.tick.is_some_and(|tick| tick <= now) {
            self.age(spool, now, is_pressed);
        }
        if !is_pressed && let Some(chore) = self.chore(now) {
            return chore;
        }
        let load = self.load(spool, time).filter(|_| !is_pressed);
        let commit = self.commit(now, is_pressed);
        if let Some(batch) = commit.filter(|_| self.turn == Turn::Commit || load.is_none()) {
            self.turn = Turn::Read;
            return Work::Commit(batch.then(|| self.take_batch()));
        }
        self.turn = Turn::Commit;
        if let Some(load) = load {
            if let Work::LoadFresh(webhook) | Work::LoadDue(webhook) = load {
                self.last_read = webhook;
            }
            return load;
        }
        if is_pressed {
            for flush in self.flushes.drain(..) {
                // Who waited may have gone.
                let _ = flush.send(());
            }
            if self.is_closing {
                return Work::Close;
            }
        }
        self.sleep(spool, now, time)
    }

    /// Decides whether to commit: the batch, or again (`false`) one that failed, or a small one to see whether
    /// that works.
    fn commit(&self, now: Instant, is_pressed: bool) -> Option<bool> {
        if let Some(until) = self.failing_until {
            return (until <= now).then_some(false);
        }
        let is_ripe = self.is_ripe || is_pressed || self.batch.is_large();
        if is_ripe && !self.batch.is_empty() {
            return Some(true);
        }
        let is_tried = self.unreadable_until.is_some_and(|until| until <= now);
        is_tried.then_some(false)
    }

    fn take_batch(&mut self) -> Batch {
        self.is_ripe = false;
        std::mem::take(&mut self.batch)
    }

    /// Has the sweep go on, as it did not come to its end.
    pub(super) fn sweep_again(&mut self) {
        self.sweep = self.sweep.min(Instant::now() + SWEEP_ON);
    }

    fn chore(&mut self, now: Instant) -> Option<Work> {
        if self.sweep <= now && self.may_read() {
            self.sweep = now + SWEEP;
            return Some(Work::Sweep);
        }
        if self.look <= now && self.may_look() {
            self.look = now + LOOK;
            return Some(Work::Look);
        }
        None
    }

    fn may_read(&self) -> bool {
        self.failing_until.is_none() && self.unreadable_until.is_none()
    }

    /// Returns whether it is worth to look at the disk: while it takes nothing, that may make space.
    fn may_look(&self) -> bool {
        self.failing_until.is_some() || self.unreadable_until.is_none()
    }

    /// Hands over what has been here for long enough; with `all`, everything. While the disk fails,
    /// what is delivered all the same shall not have to be written, so that nothing piles up.
    fn age(&mut self, spool: &Inner, now: Instant, all: bool) {
        if self.failing_until.is_some() {
            self.unsaved.forget_done(spool, true);
            self.tick = (!self.unsaved.is_empty()).then(|| now + LOOK);
            return;
        }
        self.ticks = self.ticks.wrapping_add(1);
        for (webhook, account) in spool.accounts.load().iter() {
            self.flows[webhook].note(account.flow());
        }
        self.hand_over_old(spool, all);
        self.unsaved.forget_done(spool, false);
        self.is_ripe = true;
        self.tick = (!self.unsaved.is_empty()).then(|| now + TICK);
    }

    /// Hands over what waits for a webhook.
    pub(super) fn hand_over_of(&mut self, spool: &Inner, webhook: WebhookIndex) {
        let all = std::mem::take(&mut self.unsaved);
        for unsaved in all.iter() {
            if unsaved.accepted.is_unsaved_for(|open| open == webhook) {
                self.hand_over(spool, &unsaved.event, &unsaved.accepted);
            }
        }
        self.unsaved = all;
    }

    fn hand_over_old(&mut self, spool: &Inner, all: bool) {
        let oldest_first = std::mem::take(&mut self.unsaved);
        let age = if self.flows.iter().all(|flow| flow.gets_on) {
            Flow::TICKS
        } else {
            OLD
        };
        for unsaved in oldest_first.iter() {
            let waited = self.ticks.wrapping_sub(unsaved.tick);
            if waited < age && !all {
                break;
            }
            let is_due = all || waited >= Flow::TICKS;
            let is_stuck = |webhook: WebhookIndex| is_due || !self.flows[webhook].gets_on;
            if unsaved.accepted.is_unsaved_for(is_stuck) {
                self.hand_over(spool, &unsaved.event, &unsaved.accepted);
            }
        }
        self.unsaved = oldest_first;
    }

    fn load(&self, spool: &Inner, time: Timestamp) -> Option<Work> {
        if !self.may_read() {
            // What is delivered could not be taken away, and would be delivered again.
            return None;
        }
        let accounts = spool.accounts.load();
        let later = accounts.iter().filter(|it| it.0 > self.last_read);
        later.chain(accounts.iter()).find_map(|(webhook, account)| {
            let stock = &self.stocks[webhook];
            let is_due = stock.due(account).is_some_and(|due| due <= time);
            let wants_fresh = stock.wants_fresh(account);
            if is_due && (stock.takes_turns || !wants_fresh) {
                Some(Work::LoadDue(webhook))
            } else {
                wants_fresh.then_some(Work::LoadFresh(webhook))
            }
        })
    }

    fn sleep(&self, spool: &Inner, now: Instant, time: Timestamp) -> Work {
        let sweep = Some(self.sweep).filter(|_| self.may_read());
        let look = Some(self.look).filter(|_| self.may_look());
        let tried = self.failing_until.or(self.unreadable_until);
        let times = [look, sweep, self.tick, tried];
        let next = times.into_iter().flatten().min().unwrap_or(now);
        let wait = next.saturating_duration_since(now);
        let accounts = spool.accounts.load();
        let due = accounts
            .iter()
            .filter_map(|(webhook, account)| self.stocks[webhook].due(account))
            .min();
        let due = due.filter(|_| self.may_read());
        let until = |due: Timestamp| due.as_millis().saturating_sub(time.as_millis());
        Work::Sleep(due.map_or(wait, |due| wait.min(Duration::from_millis(until(due)))))
    }
}

#[cfg(test)]
mod tests;
