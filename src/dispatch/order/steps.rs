//! How a line goes on.

use tokio::time::Instant;

use super::line::{Head, Parked};
use super::{ABSENCE, ENOUGH, Effect, Gate, Order, READ, WAITING};
use crate::spool::store::{Key, Seq};
use crate::spool::{Question, What};

impl<T> Order<T> {
    pub(super) fn look_after(&mut self, key: Key, number: u64, gate: Gate, from: Instant) {
        let absent = self.parks.then(|| from + ABSENCE);
        let at = absent.into_iter().chain(gate.gives_way_at).min();
        if let Some(at) = at {
            self.gates.put(at, (key, number));
        }
    }

    pub(super) fn put_behind(&mut self, key: Key, seq: Seq, item: T) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        let is_before_others = line.waiting.back().is_some_and(|(last, _)| seq < *last);
        let is_held = matches!(line.head, Head::PutOff { .. });
        let must_park = is_held || line.parked != Parked::Nothing || self.waiting >= WAITING;
        if !self.parks || is_before_others || !must_park {
            self.keep(key, seq, item);
            return;
        }
        line.has_parked();
        self.effects.push(Effect::Park(key, item));
    }

    /// Has a delivery wait in memory.
    pub(super) fn keep(&mut self, key: Key, seq: Seq, item: T) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        let at = line.waiting.partition_point(|(other, _)| *other < seq);
        line.waiting.insert(at, (seq, item));
        self.waiting += 1;
        if matches!(line.head, Head::None) && line.waiting.len() == 1 {
            self.ready.push_back(key);
        }
    }

    pub(super) fn one_less(&mut self, key: Key, has_failed: Option<(Seq, Gate)>) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        let Head::UnderWay { left, failed, .. } = &mut line.head else {
            return;
        };
        *left -= 1;
        *failed = failed.or(has_failed);
        if *left > 0 {
            return;
        }
        let failed = *failed;
        line.head = Head::None;
        match failed {
            Some((seq, gate)) => self.hold(key, seq, gate),
            None => self.advance(key),
        }
    }

    /// Has a head that is put off hold its line.
    pub(super) fn hold(&mut self, key: Key, seq: Seq, gate: Gate) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        self.gate += 1;
        let number = self.gate;
        line.head = Head::PutOff { seq, gate, number };
        // All that was attempted with it, or behind it, is behind it again.
        line.begun = seq;
        if self.parks && !line.waiting.is_empty() {
            self.waiting -= line.waiting.len();
            line.has_parked();
            let parked = line.waiting.drain(..);
            let parked = parked.map(|(_, item)| Effect::Park(key, item));
            self.effects.extend(parked);
        }
        self.look_after(key, number, gate, gate.due_at);
        // There may be memory now for what others want.
        self.ask();
    }

    /// Goes on with a line that has no head.
    pub(super) fn advance(&mut self, key: Key) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        if !line.waiting.is_empty() {
            self.ready.push_back(key);
        } else if line.parked == Parked::Nothing {
            self.lines.remove(&key);
        } else {
            self.want(key);
            self.ask();
        }
    }

    /// Wants what is parked of a line in which nothing else waits.
    pub(super) fn want(&mut self, key: Key) {
        if let Some(line) = self.lines.get_mut(&key)
            && line.waiting.is_empty()
            && line.parked == Parked::Some
        {
            line.parked = Parked::Wanted;
            self.wanted.push_back(key);
        }
    }

    /// Asks for what is wanted, as far as there is memory.
    pub(super) fn ask(&mut self) {
        while self.waiting + self.asked * READ < ENOUGH
            && let Some(key) = self.wanted.pop_front()
        {
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            if matches!(line.head, Head::PutOff { .. }) || !line.waiting.is_empty() {
                // It is wanted again when it is its turn.
                line.parked = Parked::Some;
                continue;
            }
            line.parked = Parked::Asked;
            self.asked += 1;
            let after = match line.head {
                Head::None => Seq(0),
                _ => line.begun,
            };
            let limit = READ;
            let what = What::Parked { after, limit };
            self.effects.push(Effect::Ask(Question { key, what }));
        }
    }

    /// Takes in what was parked behind `after`. Nothing is left if all was asked for and nothing has come.
    pub(super) fn read(&mut self, key: Key, items: Vec<(Seq, T)>, has_more: bool, after: Seq) {
        let Some(line) = self.lines.get_mut(&key) else {
            return;
        };
        let is_all = after == Seq(0);
        let is_empty = items.is_empty() && !has_more;
        let is_last = is_empty && is_all && line.parked == Parked::Asked;
        line.parked = if is_last {
            Parked::Nothing
        } else {
            Parked::Some
        };
        let is_held = matches!(line.head, Head::PutOff { .. });
        let is_headless = matches!(line.head, Head::None);
        // When it was asked, more had begun: what is behind its head again comes before these.
        let is_outdated = after > line.begun;
        if is_held || is_outdated {
            // They are parked as they were.
            let parked = items.into_iter().map(|(_, item)| Effect::Park(key, item));
            self.effects.extend(parked);
            if is_headless && line.waiting.is_empty() {
                self.advance(key);
            } else if !is_held {
                self.want(key);
            }
            return;
        }
        if items.is_empty() && is_headless && line.waiting.is_empty() {
            self.advance(key);
        }
        for (seq, item) in items {
            self.keep(key, seq, item);
        }
    }
}
