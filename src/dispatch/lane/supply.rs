//! Where the deliveries of the next request come from.
//!
//! Without an order they come by the queues, fresh ones first. With one there are also lines that may go on,
//! and when there is more than may be sent, none of the three keeps the others waiting: each goes
//! first in every third request.

use tokio::time::Instant;

use super::Lane;
use crate::dispatch::gather::Parcel;
use crate::dispatch::turns::Turn;
use crate::spool::Delivery;

/// The most deliveries of a queue that are taken in a row without anything to be sent, so that others have a
/// turn.
const ARRIVALS: usize = 128;

/// Where deliveries come from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// Lines that may go on.
    Lines,
    Fresh,
    Due,
}

/// What has come of one delivery.
enum Drawn {
    Nothing,
    /// It waits, or is gathered.
    Kept,
    Parcel(Parcel),
}

impl From<Option<Parcel>> for Drawn {
    fn from(parcel: Option<Parcel>) -> Self {
        parcel.map_or(Self::Kept, Self::Parcel)
    }
}

impl Lane {
    /// Looks after what waits, whether or not anything can be attempted.
    pub(super) fn tend(&mut self) {
        if self.turns.are_free() {
            return;
        }
        while let Ok(answer) = self.queue.answers.try_recv() {
            self.turns.answered(answer);
        }
        let wake = self.turns.next_wake();
        if wake.is_some_and(|at| at <= Instant::now()) {
            self.turns.wake();
        }
    }

    /// Takes in a delivery that has come; returns what is to be attempted now.
    pub(super) fn arrive(&mut self, delivery: Delivery) -> Option<Parcel> {
        let gather = &self.gather;
        let joins = |key| gather.as_ref().is_some_and(|gather| gather.has(key));
        let turn = self.turns.arrive(delivery, joins)?;
        self.admit(turn)
    }

    /// Returns what can be attempted without anything further.
    pub(super) fn next_parcel(&mut self, is_open: bool) -> Option<Parcel> {
        if self.turns.are_free() && self.gather.is_none() && self.parts.is_empty() {
            let fresh = self
                .takes_fresh(is_open)
                .then(|| self.queue.fresh.try_recv());
            return self.arrive(fresh?.ok()?);
        }
        if let Some(part) = self.parts.pop_front() {
            return Some(part);
        }
        let mut sources = [Source::Lines, Source::Fresh, Source::Due];
        sources.rotate_left(self.first_source);
        // What has come may have made lines go on.
        for source in sources.into_iter().chain([Source::Lines]) {
            if let Some(parcel) = self.draw_from(source, is_open) {
                self.has_sent();
                return Some(parcel);
            }
        }
        let parcel = self.take_ripe(is_open)?;
        self.has_sent();
        Some(parcel)
    }

    /// Has another source go first.
    fn has_sent(&mut self) {
        if !self.turns.are_free() {
            self.first_source = (self.first_source + 1) % 3;
        }
    }

    fn draw_from(&mut self, source: Source, is_open: bool) -> Option<Parcel> {
        let most = match source {
            // There are only so many, and nobody tells of those that are left.
            Source::Lines => usize::MAX,
            Source::Fresh | Source::Due => ARRIVALS,
        };
        for _ in 0..most {
            match self.draw(source, is_open) {
                Drawn::Nothing => return None,
                Drawn::Kept => {}
                Drawn::Parcel(parcel) => return Some(parcel),
            }
        }
        None
    }

    /// Takes one delivery, and what goes with it.
    fn draw(&mut self, source: Source, is_open: bool) -> Drawn {
        let arrived = match source {
            Source::Lines => return self.draw_from_lines(),
            Source::Fresh if self.takes_fresh(is_open) => self.queue.fresh.try_recv().ok(),
            Source::Due if is_open => {
                let due = self.queue.due.try_recv().ok();
                due.or_else(|| self.retries.take_due(Instant::now()))
            }
            Source::Fresh | Source::Due => None,
        };
        arrived.map_or(Drawn::Nothing, |delivery| self.arrive(delivery).into())
    }

    fn draw_from_lines(&mut self) -> Drawn {
        let Some(turn) = self.turns.next() else {
            return Drawn::Nothing;
        };
        let key = turn.key;
        let mut parcel = self.admit(turn);
        while parcel.is_none()
            && let Some(next) = key.and_then(|key| self.turns.join(key))
        {
            parcel = self.admit(next);
        }
        parcel.into()
    }

    /// Returns whether fresh deliveries are taken: in the end only those that would not outlive it.
    pub(super) fn takes_fresh(&self, is_open: bool) -> bool {
        self.turns.have_room() && (is_open || !self.is_durable)
    }

    /// Puts a delivery into a parcel; returns one that is to be sent now.
    fn admit(&mut self, turn: Turn) -> Option<Parcel> {
        let Some(gather) = &mut self.gather else {
            return Some(Parcel::from_buf([turn]));
        };
        let key = turn.key;
        let Some(full) = gather.push(turn, Instant::now()) else {
            return gather.is_full().then(|| gather.take());
        };
        let must_wait = key.is_some() && full.iter().any(|turn| turn.key == key);
        if must_wait {
            // It must not be under way beside others of its key.
            for turn in gather.take() {
                let turn = self.turns.put_back(turn);
                self.parts.extend(turn.map(|turn| Parcel::from_buf([turn])));
            }
        }
        Some(full)
    }

    /// Returns what is gathered, if it is full or has waited for long enough.
    fn take_ripe(&mut self, is_open: bool) -> Option<Parcel> {
        let gather = self.gather.as_mut()?;
        let is_due = gather.due().is_some_and(|due| due <= Instant::now());
        let is_ending = !is_open && (self.is_durable || self.queue.fresh.is_empty());
        let is_ripe = gather.is_full() || is_due || (is_ending && !gather.is_empty());
        is_ripe.then(|| gather.take())
    }
}
