//! Which deliveries may go when those of one key must come in order. Pure: the time comes from
//! outside, and so does what the store has.
//!
//! ```text
//!                       +-> under way -> ended: the next of the line
//! arrival -> line: head |
//!               ^       +-> put off: holds the line until it is back, is gone, or gives way
//!               |
//!               +-- waiting, in memory <-- asked for, a few at a time -- parked, in the store
//! ```
//!
//! For each key, at any time:
//! 1. Only the head's attempts are made, and all that waits is behind the head, in order of numbers.
//! 2. All that is parked is behind all that waits in memory. So while something is, or may be, parked,
//!    what arrives is parked as well, and when the head is put off, so is all that waits.
//! 3. A head that was put off holds its line. If it is due and does not come, the store is asked
//!    whether it is still there: what was dropped holds nobody up.
//! 4. A line ends when nothing of it is left, of which a question that nothing was read by is the proof.
//!
//! In memory wait at most [`WAITING`] deliveries, but for a webhook that is not durable, which parks
//! nothing; its memory is bounded by the spool.

mod line;
mod steps;

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use line::{Head, Line, Parked};

use super::schedule::Schedule;
use crate::event::Timestamp;
use crate::spool::store::{Key, PutOff, Seq};
use crate::spool::{Answer, Found, Question, What};

/// The most arrivals that wait in memory; few in tests, which shall meet the bound.
const WAITING: usize = if cfg!(test) { 4 } else { 1_024 };

/// The most that are read at a time.
const READ: usize = if cfg!(test) { 2 } else { 32 };

/// How many may be in memory for more to be asked for.
const ENOUGH: usize = 2 * WAITING;

/// The most lines for something new to be taken.
const LINES: usize = 65_536;

/// How long a head that is due may stay away before the store is asked for it.
const ABSENCE: Duration = Duration::from_secs(10);

/// Deliveries in order, by key.
#[derive(Debug)]
pub(super) struct Order<T> {
    lines: HashMap<Key, Line<T>>,
    /// Lines without a head in which something waits, each once.
    ready: VecDeque<Key>,
    /// How many wait in memory.
    waiting: usize,
    /// Whether what has to wait for long is parked.
    parks: bool,
    /// Lines of which something parked is wanted, each once.
    wanted: VecDeque<Key>,
    /// Questions for what is parked that were not answered yet.
    asked: usize,
    /// When the heads that were put off are looked after.
    gates: Schedule<(Key, u64)>,
    /// Counts the heads that were put off.
    gate: u64,
    effects: Vec<Effect<T>>,
}

/// What is to be done by somebody else.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect<T> {
    Park(Key, T),
    Ask(Question),
}

/// A delivery that has come.
#[derive(Debug)]
pub(super) struct Arrival<T> {
    pub(super) key: Key,
    pub(super) seq: Seq,
    pub(super) item: T,
    /// Whether it has failed for so long that it has given way.
    pub(super) has_given_way: bool,
    /// Whether it may join others of its key that are about to be sent.
    pub(super) joins: bool,
}

/// What follows from an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<T> {
    /// It is attempted, and its end is to be told.
    Head(T),
    /// It is attempted, and is out of order.
    Aside(T),
    /// It waits.
    Behind,
}

/// A head that is put off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    /// Until when.
    pub(super) due: Timestamp,
    pub(super) due_at: Instant,
    /// When it gives way, if it does.
    pub(super) gives_way_at: Option<Instant>,
}

/// What to do with a delivery that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    PutOff,
    /// Another of the same request holds the line: it waits behind that.
    Behind,
}

impl<T> Order<T> {
    /// Returns an order in which everything may go. `parks` says whether there is a store.
    pub(super) fn new(parks: bool) -> Self {
        Self {
            lines: HashMap::new(),
            ready: VecDeque::new(),
            waiting: 0,
            parks,
            wanted: VecDeque::new(),
            asked: 0,
            gates: Schedule::new(),
            gate: 0,
            effects: Vec::new(),
        }
    }

    /// Returns what is in memory, in no order.
    pub(super) fn into_rest(self) -> impl Iterator<Item = T> {
        let waiting = self.lines.into_values().flat_map(|line| line.waiting);
        waiting.map(|(_, item)| item)
    }

    /// Has a head of an earlier run hold its line.
    pub(super) fn restore(&mut self, put_off: PutOff<Key>, gate: Gate) {
        let seq = put_off.seq;
        if let Some(line) = self.lines.get(&put_off.key)
            && let Head::PutOff { seq: first, .. } = line.head
            && first < seq
        {
            return;
        }
        let line = Line::new(Head::None, seq);
        self.lines.insert(put_off.key, line);
        self.hold(put_off.key, seq, gate);
    }

    /// Returns whether there may be more lines.
    pub(super) fn has_room(&self) -> bool {
        self.lines.len() < LINES
    }

    /// Returns whether something may go.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns how many deliveries wait in memory.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Returns what is to be done; to be called after anything that changes the order.
    pub(super) fn effects(&mut self) -> impl Iterator<Item = Effect<T>> + use<'_, T> {
        self.effects.drain(..)
    }

    /// Finds the place of a delivery.
    pub(super) fn arrive(&mut self, arrival: Arrival<T>) -> Place<T> {
        let (key, seq) = (arrival.key, arrival.seq);
        let Some(line) = self.lines.get_mut(&key) else {
            if arrival.has_given_way {
                return Place::Aside(arrival.item);
            }
            self.lines.insert(key, Line::new(Head::one(seq), seq));
            return Place::Head(arrival.item);
        };
        let is_head = matches!(line.head, Head::PutOff { seq: head, .. } if head == seq);
        if arrival.has_given_way {
            if is_head {
                line.head = Head::None;
                self.advance(key);
            }
            return Place::Aside(arrival.item);
        }
        if is_head {
            line.begin(seq);
            return Place::Head(arrival.item);
        }
        let is_before = match line.head {
            Head::PutOff { seq: head, .. } | Head::UnderWay { first: head, .. } => seq < head,
            Head::None => false,
        };
        if is_before {
            return Place::Aside(arrival.item);
        }
        if let Head::UnderWay { left, .. } = &mut line.head
            && arrival.joins
            && line.waiting.is_empty()
            && line.parked == Parked::Nothing
        {
            *left += 1;
            line.begun = line.begun.max(seq);
            return Place::Head(arrival.item);
        }
        self.put_behind(key, seq, arrival.item);
        Place::Behind
    }

    /// Returns the next that may go.
    pub(super) fn next(&mut self) -> Option<(Key, T)> {
        while let Some(key) = self.ready.pop_front() {
            if let Some(line) = self.lines.get_mut(&key)
                && let Some((seq, item)) = line.waiting.pop_front()
            {
                self.waiting -= 1;
                line.begin(seq);
                self.want(key);
                self.ask();
                return Some((key, item));
            }
        }
        None
    }

    /// Returns the next of a key of which others are about to be sent.
    pub(super) fn join(&mut self, key: Key) -> Option<T> {
        let line = self.lines.get_mut(&key)?;
        let Head::UnderWay { left, .. } = &mut line.head else {
            return None;
        };
        let (seq, item) = line.waiting.pop_front()?;
        *left += 1;
        line.begun = line.begun.max(seq);
        self.waiting -= 1;
        self.want(key);
        self.ask();
        Some(item)
    }

    /// Notes that a delivery has ended for good, or has given way.
    pub(super) fn ended(&mut self, key: Key) {
        self.one_less(key, None);
    }

    /// Notes that an attempt has failed, and will be made again.
    pub(super) fn failed(&mut self, key: Key, seq: Seq, gate: Gate) -> Failed {
        let line = self.lines.get(&key);
        let holds = matches!(
            line.map(|line| &line.head),
            Some(Head::UnderWay {
                failed: Some(_),
                ..
            })
        );
        if holds {
            return Failed::Behind;
        }
        self.one_less(key, Some((seq, gate)));
        Failed::PutOff
    }

    /// Puts a delivery that was under way behind its head: it has not had its attempt, or it was
    /// [told to](Failed::Behind).
    pub(super) fn put_back(&mut self, key: Key, seq: Seq, item: T) {
        if self.lines.contains_key(&key) {
            self.keep(key, seq, item);
            self.one_less(key, None);
        }
    }

    /// Takes in what the store has.
    pub(super) fn answered(&mut self, answer: Answer<(Seq, T)>) {
        let key = answer.question.key;
        match (answer.found, answer.question.what) {
            (Found::Parked(items, has_more), What::Parked { after, .. }) => {
                self.asked -= 1;
                self.read(key, items, has_more, after);
            }
            (Found::PutOff(false), What::PutOff { seq, due }) => {
                let line = self.lines.get_mut(&key);
                if let Some(line) = line
                    && let Head::PutOff {
                        seq: head, gate, ..
                    } = line.head
                    && (head, gate.due) == (seq, due)
                {
                    line.head = Head::None;
                    self.advance(key);
                }
            }
            _ => {}
        }
        self.ask();
    }

    /// Returns when [`wake`](Self::wake) is to be called.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.gates.next_due()
    }

    /// Looks after heads that have been put off for long.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((key, number)) = self.gates.take_due(now) {
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            let Head::PutOff {
                seq,
                gate,
                number: current,
            } = line.head
            else {
                continue;
            };
            if current != number {
                continue;
            }
            if gate.gives_way_at.is_some_and(|at| at <= now) {
                line.head = Head::None;
                self.advance(key);
                continue;
            }
            if self.parks {
                let what = What::PutOff { seq, due: gate.due };
                self.effects.push(Effect::Ask(Question { key, what }));
            }
            self.look_after(key, number, gate, now);
        }
    }
}

#[cfg(test)]
mod tests;
