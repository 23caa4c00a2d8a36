//! Which deliveries may go when only the newest of a topic is wanted. Pure: the time comes from outside.
//!
//! Of each topic one attempt is under way at a time, and at most one delivery waits: a newer one takes the
//! place of an older one. One that is put off comes back in vain when a newer one has been here. What
//! has come back, or was dropped meanwhile, is forgotten: the latter an hour after it was due.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use super::schedule::Schedule;
use crate::spool::store::{Key, Seq};

/// For how long one that is due may stay away before it is forgotten.
const ABSENCE: Duration = Duration::from_hours(1);

/// The newest deliveries, by topic.
#[derive(Debug)]
pub(super) struct Latest<T> {
    topics: HashMap<Key, Topic<T>>,
    /// Topics of which one may go, each once.
    ready: VecDeque<Key>,
    /// When topics are looked at of which something is away.
    returns: Schedule<Key>,
}

#[derive(Debug)]
struct Topic<T> {
    newest: Seq,
    waiting: Option<T>,
    is_under_way: bool,
    /// How many are put off, and when they are forgotten.
    away: usize,
    away_until: Instant,
}

impl<T> Latest<T> {
    pub(super) fn new() -> Self {
        Self {
            topics: HashMap::new(),
            ready: VecDeque::new(),
            returns: Schedule::new(),
        }
    }

    /// Notes that an earlier run has put off a delivery.
    pub(super) fn restore(&mut self, key: Key, seq: Seq, due: Instant) {
        let topic = self.topics.entry(key).or_insert_with(|| Topic::new(due));
        topic.newest = topic.newest.max(seq);
        self.put_off(key, due);
    }

    /// Takes in a delivery; returns the one that is not wanted any more, if one is not.
    pub(super) fn arrive(&mut self, key: Key, seq: Seq, item: T, now: Instant) -> Option<T> {
        let topic = self.topics.entry(key).or_insert_with(|| Topic::new(now));
        if seq <= topic.newest {
            topic.away = topic.away.saturating_sub(1);
        }
        if seq < topic.newest {
            self.forget(key);
            return Some(item);
        }
        topic.newest = seq;
        let older = topic.waiting.replace(item);
        if older.is_none() && !topic.is_under_way {
            self.ready.push_back(key);
        }
        older
    }

    /// Returns whether something may go.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns the next that may go.
    pub(super) fn next(&mut self) -> Option<(Key, T)> {
        let key = self.ready.pop_front()?;
        let topic = self.topics.get_mut(&key)?;
        topic.is_under_way = true;
        Some((key, topic.waiting.take()?))
    }

    /// Notes that a delivery has ended for good.
    pub(super) fn ended(&mut self, key: Key) {
        if let Some(topic) = self.topics.get_mut(&key) {
            topic.is_under_way = false;
            if topic.waiting.is_some() {
                self.ready.push_back(key);
            }
        }
        self.forget(key);
    }

    /// Notes that an attempt has failed; returns whether it is to be made again, at this time.
    pub(super) fn failed(&mut self, key: Key, seq: Seq, due: Instant) -> bool {
        let topic = self.topics.get(&key);
        let is_newest = topic.is_none_or(|topic| seq >= topic.newest);
        if is_newest {
            self.put_off(key, due);
        }
        self.ended(key);
        is_newest
    }

    /// Returns when [`wake`](Self::wake) is to be called.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.returns.next_due()
    }

    /// Forgets what does not come back.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some(key) = self.returns.take_due(now) {
            if let Some(topic) = self.topics.get_mut(&key)
                && topic.away_until <= now
            {
                topic.away = 0;
            }
            self.forget(key);
        }
    }

    fn put_off(&mut self, key: Key, due: Instant) {
        if let Some(topic) = self.topics.get_mut(&key) {
            topic.away += 1;
            topic.away_until = topic.away_until.max(due + ABSENCE);
            self.returns.put(topic.away_until, key);
        }
    }

    fn forget(&mut self, key: Key) {
        let is_over =
            |topic: &Topic<T>| topic.away == 0 && topic.waiting.is_none() && !topic.is_under_way;
        if self.topics.get(&key).is_some_and(is_over) {
            self.topics.remove(&key);
        }
    }
}

impl<T> Topic<T> {
    const fn new(now: Instant) -> Self {
        Self {
            newest: Seq(0),
            waiting: None,
            is_under_way: false,
            away: 0,
            away_until: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Key = Key::of(2);

    fn arrive(latest: &mut Latest<u64>, number: u64) -> Option<u64> {
        latest.arrive(A, Seq(number), number, Instant::now())
    }

    #[test]
    fn a_newer_one_takes_the_place_of_what_waits() {
        let mut latest = Latest::new();
        assert_eq!(arrive(&mut latest, 1), None);
        assert_eq!(latest.next(), Some((A, 1)));
        assert_eq!(arrive(&mut latest, 2), None);
        assert_eq!(arrive(&mut latest, 3), Some(2));
        assert_eq!(latest.next(), None, "one is under way");
        latest.ended(A);
        assert_eq!(latest.next(), Some((A, 3)));
        latest.ended(A);
        assert!(latest.topics.is_empty());
    }

    #[test]
    fn a_retry_is_made_only_of_the_newest() {
        let (mut latest, now) = (Latest::new(), Instant::now());
        arrive(&mut latest, 1);
        latest.next();
        assert!(latest.failed(A, Seq(1), now));
        assert_eq!(arrive(&mut latest, 2), None);
        assert_eq!(
            latest.next(),
            Some((A, 2)),
            "it does not wait for the older"
        );
        latest.ended(A);
        assert_eq!(arrive(&mut latest, 1), Some(1), "it is too late");
        assert!(latest.topics.is_empty());
        arrive(&mut latest, 3);
        latest.next();
        arrive(&mut latest, 4);
        assert!(!latest.failed(A, Seq(3), now), "a newer one waits");
        assert_eq!(latest.next(), Some((A, 4)));
    }

    #[test]
    fn what_never_comes_back_is_forgotten() {
        let (mut latest, now) = (Latest::new(), Instant::now());
        arrive(&mut latest, 1);
        latest.next();
        assert!(latest.failed(A, Seq(1), now));
        let wake = latest.next_wake().expect("something is away");
        latest.wake(wake);
        assert!(latest.topics.is_empty());
    }

    /// Deliveries of one topic, wherever they are.
    #[derive(Default)]
    struct World {
        last: u64,
        begun: u64,
        under_way: Option<u64>,
        away: Vec<u64>,
        ended: u64,
    }

    impl World {
        fn arrive(&mut self, latest: &mut Latest<u64>, number: u64) {
            self.ended += u64::from(arrive(latest, number).is_some());
        }

        fn step(&mut self, latest: &mut Latest<u64>, step: u8) {
            match step {
                0 | 1 => {
                    self.last += 1;
                    self.arrive(latest, self.last);
                }
                2 => {
                    if let Some(number) = self.away.pop() {
                        self.arrive(latest, number);
                    }
                }
                3 => {
                    if let Some((_, number)) = latest.next() {
                        assert!(number >= self.begun && self.under_way.is_none());
                        (self.begun, self.under_way) = (number, Some(number));
                    }
                }
                _ => {
                    if let Some(number) = self.under_way.take() {
                        self.end(latest, number, step == 4);
                    }
                }
            }
        }

        fn end(&mut self, latest: &mut Latest<u64>, number: u64, has_failed: bool) {
            if has_failed && latest.failed(A, Seq(number), Instant::now()) {
                self.away.push(number);
                return;
            }
            self.ended += 1;
            if !has_failed {
                latest.ended(A);
            }
        }
    }

    proptest! {
        #[test]
        fn what_goes_is_newer_than_all_that_went_and_the_newest_goes_last(
            steps in proptest::collection::vec(0..6_u8, 1..60),
        ) {
            let (mut latest, mut world) = (Latest::new(), World::default());
            for step in &steps {
                world.step(&mut latest, *step);
            }
            for step in [5, 2, 3].repeat(steps.len() + 2) {
                world.step(&mut latest, step);
            }
            prop_assert!(latest.topics.is_empty(), "{latest:?}");
            prop_assert_eq!(world.begun, world.last, "the newest is delivered");
            prop_assert_eq!(world.ended, world.last);
        }
    }
}
