//! A lane with its store.

use std::collections::{BTreeMap, VecDeque};

use super::*;

type Batch = Vec<(Item, bool)>;

/// Returns whether one of a key is in a batch whose end is told.
fn has(batch: &Batch, key: Key) -> bool {
    let is_one = |(item, is_told): &(Item, bool)| *is_told && item.key == key;
    batch.iter().any(is_one)
}

/// A lane with its store.
pub(super) struct World {
    order: Order<Item>,
    begun: Instant,
    now: Instant,
    rows: BTreeMap<Seq, (Item, Row)>,
    fresh: VecDeque<Item>,
    due: VecDeque<Item>,
    questions: VecDeque<Question>,
    answers: VecDeque<Answer<(Seq, Item)>>,
    /// What is sent next, and whether the end of each is told.
    gathered: Batch,
    /// Attempts under way.
    under_way: Vec<Batch>,
    last: u64,
    /// All that was ever attempted, for a message.
    log: Vec<String>,
}

impl World {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            order: Order::new(true),
            begun: now,
            now,
            rows: BTreeMap::new(),
            fresh: VecDeque::new(),
            due: VecDeque::new(),
            questions: VecDeque::new(),
            answers: VecDeque::new(),
            gathered: Batch::new(),
            under_way: Vec::new(),
            last: 0,
            log: Vec::new(),
        }
    }

    pub(super) fn perform(&mut self, step: &Step) {
        match step {
            Step::Arrive(key) => self.arrive(*key),
            Step::Take => self.take(),
            Step::Send => self.send(),
            Step::Succeed(_) | Step::Fail(..) | Step::Split(_) if self.under_way.is_empty() => {}
            Step::Succeed(index) => self.end(index.index(self.under_way.len()), None),
            Step::Fail(index, wait) => {
                let wait = Duration::from_secs(*wait);
                self.end(index.index(self.under_way.len()), Some(wait));
            }
            Step::Split(index) => self.split(index.index(self.under_way.len())),
            Step::LookUp => self.look_up(),
            Step::Answer => {
                if let Some(answer) = self.answers.pop_front() {
                    self.order.answered(answer);
                }
            }
            Step::Pass(seconds) => self.now += Duration::from_secs(*seconds),
            Step::Drop(index) => self.drop_row(*index),
            Step::Crash => self.crash(),
        }
        self.follow();
    }

    fn arrive(&mut self, key: u64) {
        self.last += 1;
        let item = Item {
            seq: Seq(self.last),
            key: Key::of(key << 8),
            first_failed: None,
        };
        self.rows.insert(item.seq, (item, Row::Taken(false)));
        self.fresh.push_back(item);
    }

    fn has_given_way(&self, item: &Item) -> bool {
        item.first_failed
            .is_some_and(|at| at + PATIENCE <= self.now)
    }

    /// Loads what is due, and attempts one.
    fn take(&mut self) {
        let now = self.now;
        let is_due = |row: &Row| matches!(row, Row::Due(at) if *at <= now);
        let mut due: Vec<_> = self
            .rows
            .values_mut()
            .filter(|(_, row)| is_due(row))
            .collect();
        due.sort_by_key(|(item, row)| match row {
            Row::Due(at) => (*at, item.seq),
            _ => unreachable!("filtered"),
        });
        for (item, row) in due {
            *row = Row::Taken(true);
            self.due.push_back(*item);
        }
        if self.order.next_wake().is_some_and(|at| at <= now) {
            self.order.wake(now);
        } else if let Some((key, item)) = self.order.next() {
            self.gather(item, true);
            while self.gathered.len() < BATCH
                && let Some(item) = self.order.join(key)
            {
                self.gather(item, true);
            }
        } else if let Some(item) = self.fresh.pop_front().or_else(|| self.due.pop_front()) {
            let arrival = Arrival {
                key: item.key,
                seq: item.seq,
                item,
                has_given_way: self.has_given_way(&item),
                joins: has(&self.gathered, item.key),
            };
            match self.order.arrive(arrival) {
                Place::Head(item) => self.gather(item, true),
                Place::Aside(item) => self.gather(item, false),
                Place::Behind => {}
            }
        }
    }

    /// Gathers one. What there is no more room for it with is sent.
    fn gather(&mut self, item: Item, is_told: bool) {
        if self.gathered.len() == BATCH {
            let is_behind = is_told && has(&self.gathered, item.key);
            self.send();
            if is_behind {
                self.order.put_back(item.key, item.seq, item);
                return;
            }
        }
        self.gathered.push((item, is_told));
    }

    fn send(&mut self) {
        let batch = std::mem::take(&mut self.gathered);
        if !batch.is_empty() {
            self.attempt(batch);
        }
    }

    /// The promise: nothing is attempted while something before it waits that has not given way, but for
    /// what goes before it in the same request.
    fn attempt(&mut self, batch: Batch) {
        let told = |(item, is_told): &(Item, bool)| format!("{:?} {is_told}", item.seq);
        self.log
            .push(batch.iter().map(told).collect::<Vec<_>>().join(", "));
        for (at, (item, _)) in batch.iter().enumerate() {
            let mut under_way = self.under_way.iter().flatten();
            assert!(
                under_way.all(|(other, _)| other.seq != item.seq),
                "{:?} twice: {:?}",
                item.seq,
                self.log
            );
            for (other, row) in self.rows.values() {
                let is_before = other.key == item.key && other.seq < item.seq;
                let goes_before = batch[..at].iter().any(|(one, _)| one.seq == other.seq);
                assert!(
                    !is_before || goes_before || self.has_given_way(other),
                    "{item:?} before {other:?}, {row:?}: {:?}",
                    self.log
                );
            }
        }
        self.under_way.push(batch);
    }

    fn end(&mut self, at: usize, wait: Option<Duration>) {
        for (item, is_told) in self.under_way.swap_remove(at) {
            if let Some(wait) = wait {
                self.fail(item, is_told, wait);
                continue;
            }
            self.rows.remove(&item.seq);
            if is_told {
                self.order.ended(item.key);
            }
        }
    }

    fn fail(&mut self, mut item: Item, is_told: bool, wait: Duration) {
        let first_failed = *item.first_failed.get_or_insert(self.now);
        let gives_way_at = first_failed + PATIENCE;
        if is_told && gives_way_at > self.now {
            let gate = self.gate(self.now + wait, first_failed);
            if self.order.failed(item.key, item.seq, gate) == Failed::Behind {
                self.order.put_back(item.key, item.seq, item);
                return;
            }
        } else if is_told {
            self.order.ended(item.key);
        }
        if self.rows.contains_key(&item.seq) {
            let row = Row::Due(self.now + wait);
            self.rows.insert(item.seq, (item, row));
        }
    }

    /// Attempts the halves, each for itself; of one key, one after the other.
    fn split(&mut self, at: usize) {
        let mut first = self.under_way.swap_remove(at);
        let mut rest = Batch::new();
        for (item, is_told) in first.split_off(first.len() / 2) {
            if is_told && has(&first, item.key) {
                self.order.put_back(item.key, item.seq, item);
            } else {
                rest.push((item, is_told));
            }
        }
        for part in [first, rest] {
            if !part.is_empty() {
                self.attempt(part);
            }
        }
    }

    fn gate(&self, due_at: Instant, first_failed: Instant) -> Gate {
        Gate {
            due: self.time(due_at),
            due_at,
            gives_way_at: Some(first_failed + PATIENCE),
        }
    }

    fn time(&self, at: Instant) -> Timestamp {
        Timestamp::from_millis(0).after(at.duration_since(self.begun))
    }

    fn look_up(&mut self) {
        let Some(question) = self.questions.pop_front() else {
            return;
        };
        let key = question.key;
        let found = match question.what {
            What::PutOff { seq, due } => {
                let found = self.rows.get(&seq);
                // One that is in the queue is still on disk.
                let is_queued = self.due.iter().any(|item| item.seq == seq);
                Found::PutOff(
                    is_queued
                        || found.is_some_and(
                            |(_, row)| matches!(row, Row::Due(at) if self.time(*at) == due),
                        ),
                )
            }
            What::Parked { after, limit } => {
                let parked = self.rows.values_mut().filter(|(item, row)| {
                    item.key == key && *row == Row::Parked && item.seq > after
                });
                let items: Vec<_> = parked
                    .take(limit)
                    .map(|(item, row)| {
                        *row = Row::Taken(false);
                        (item.seq, *item)
                    })
                    .collect();
                let has_more = !items.is_empty();
                Found::Parked(items, has_more)
            }
        };
        self.answers.push_back(Answer { question, found });
    }

    fn drop_row(&mut self, index: Index) {
        let on_disk: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, (_, row))| !matches!(row, Row::Taken(_)))
            .map(|(seq, _)| *seq)
            .collect();
        if !on_disk.is_empty() {
            self.rows.remove(index.get(&on_disk));
        }
    }

    /// What is parked or under way is fresh again, and what was put off is as it was.
    fn crash(&mut self) {
        self.order = Order::new(true);
        self.fresh.clear();
        self.due.clear();
        self.questions.clear();
        self.answers.clear();
        self.gathered.clear();
        self.under_way.clear();
        self.log.push("crash".to_owned());
        let now = self.now;
        for (_, row) in self.rows.values_mut() {
            *row = match *row {
                // Its row is as it was before the attempt.
                Row::Taken(true) => Row::Due(now),
                Row::Due(at) => Row::Due(at),
                Row::Fresh | Row::Taken(false) | Row::Parked => Row::Fresh,
            };
        }
        let rows: Vec<_> = self.rows.values().copied().collect();
        for (item, row) in rows {
            match row {
                Row::Due(at) if !self.has_given_way(&item) => {
                    let put_off = PutOff {
                        key: item.key,
                        seq: item.seq,
                        due: self.time(at),
                        first_failed: None,
                        is_held_back: false,
                    };
                    let first_failed = item.first_failed.expect("it has failed");
                    self.order.restore(put_off, self.gate(at, first_failed));
                }
                Row::Fresh => {
                    self.rows.insert(item.seq, (item, Row::Taken(false)));
                    self.fresh.push_back(item);
                }
                _ => {}
            }
        }
    }

    fn follow(&mut self) {
        let effects: Vec<_> = self.order.effects().collect();
        for effect in effects {
            match effect {
                Effect::Ask(question) => self.questions.push_back(question),
                Effect::Park(_, item) => {
                    if let Some(row) = self.rows.get_mut(&item.seq) {
                        *row = (item, Row::Parked);
                    }
                }
            }
        }
        // What was under way and is behind its head again comes on top.
        let under_way = KEYS * BATCH as u64;
        let most = (ENOUGH + READ) as u64 + under_way;
        assert!(self.order.waiting() as u64 <= most);
    }

    /// Goes on until nothing happens any more: all that was accepted must be delivered.
    pub(super) fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 100_000, "no end: {:?} {:?}", self.rows, self.order);
            self.perform(&Step::Take);
            self.perform(&Step::Send);
            self.perform(&Step::LookUp);
            self.perform(&Step::Answer);
            while !self.under_way.is_empty() {
                self.end(0, None);
                self.follow();
            }
            if self.rows.is_empty() && self.order.lines.is_empty() {
                return;
            }
            self.now += Duration::from_millis(100);
        }
    }
}
