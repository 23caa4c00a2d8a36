//! A lane goes by another configuration, finishes, or leaves.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Lane;
use crate::dispatch::gather::{Gather, Parcel};
use crate::dispatch::limit::Limit;
use crate::dispatch::orders::Revision;
use crate::dispatch::schedule::Schedule;
use crate::dispatch::turns::Turns;
use crate::spool::Delivery;

/// For how long a lane that is to finish waits for more: what was accepted before may still be on its way to it.
const LINGER: Duration = Duration::from_millis(100);

impl Lane {
    /// Does what it is told; returns whether it goes on.
    pub(super) fn heed(&mut self, closing: &CancellationToken) -> bool {
        if closing.is_cancelled() || self.orders.leaves() {
            return false;
        }
        if let Some(revision) = self.orders.take_revision() {
            self.revise(revision);
        }
        if self.orders.take_finish() {
            let at = Instant::now() + LINGER;
            self.finishes_at.get_or_insert(at);
        }
        true
    }

    fn revise(&mut self, revision: Revision) {
        let Revision { config, sink } = revision;
        let before = std::mem::replace(&mut self.config, config);
        let (old, new) = (before.shaping, self.config.shaping);
        if sink.is_some() || before.breaker != self.config.breaker {
            // What failed so far says nothing of the receiver as it is now.
            self.breaker.renew(
                self.config.breaker.clone(),
                self.config.retry.retry_after_max,
            );
            self.metrics.breaker_open(false);
        }
        if let Some(sink) = sink {
            self.metrics.watch(&sink);
            std::mem::replace(&mut self.sink, sink).retire();
        }
        if old.rate_limit != new.rate_limit {
            self.limit = new.rate_limit.map(Limit::new);
        }
        if old.sequence.may_become(new.sequence) {
            self.turns.revise(new.sequence);
        } else {
            self.is_changing = true;
        }
        if old.batch != new.batch {
            self.gather_anew();
        }
    }

    /// Sequences as it is configured now all that is in memory, in the order of arrival; there is nothing
    /// elsewhere, as a durable webhook gets another lane for that.
    pub(super) fn sequence_anew(&mut self) {
        self.is_changing = false;
        let spool = self.spool.clone();
        let sequence = self.config.shaping.sequence;
        let turns = Turns::new(sequence, self.webhook, spool, &mut self.queue);
        let before = std::mem::replace(&mut self.turns, turns);
        let retries = std::mem::replace(&mut self.retries, Schedule::new());
        let mut rest: Vec<Delivery> = before.into_rest();
        rest.extend(retries.into_rest());
        let gathered = self.gather.as_mut().map(Gather::take);
        let parcels = self.parts.drain(..).chain(gathered).flatten();
        rest.extend(parcels.map(|turn| turn.delivery));
        rest.sort_by_key(Delivery::seq);
        for delivery in rest {
            let parcel = self.arrive(delivery);
            self.parts.extend(parcel);
        }
    }

    /// Takes apart what was gathered, and gathers as it is configured now.
    fn gather_anew(&mut self) {
        let share = self.spool.share(self.webhook);
        let batch = self.config.shaping.batch;
        let gather = batch.map(|batch| Gather::new(batch.within(share)));
        let before = std::mem::replace(&mut self.gather, gather);
        let mut parcels = std::mem::take(&mut self.parts);
        parcels.extend(before.map(|mut before| before.take()));
        self.take_apart(parcels);
    }

    /// Has the deliveries of parcels go each for itself, those of one key one after the other.
    pub(super) fn take_apart(&mut self, parcels: impl IntoIterator<Item = Parcel>) {
        for turn in parcels.into_iter().flatten() {
            let turn = self.turns.put_back(turn);
            self.parts.extend(turn.map(|turn| Parcel::from_buf([turn])));
        }
    }

    /// Drops what would hold back acknowledgements, or be forgotten without a word.
    pub(super) fn discard_rest(mut self) {
        if self.is_durable {
            return;
        }
        let mut rest: Vec<Delivery> = self.turns.into_rest();
        rest.extend(self.retries.into_rest());
        self.parts
            .extend(self.gather.map(|mut gather| gather.take()));
        rest.extend(self.parts.into_iter().flatten().map(|turn| turn.delivery));
        for delivery in rest {
            delivery.discard();
        }
        self.queue.discard();
    }
}
