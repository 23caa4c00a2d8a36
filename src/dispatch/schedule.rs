//! When to attempt a delivery again. Pure: time and chance come from outside.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// Deliveries that wait for another attempt, the next due first.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    backoff: Backoff,
    waiting: BinaryHeap<Due<T>>,
    /// Counts what was put in, so that what is due at the same time keeps its order.
    added: u64,
}

/// A delivery and the attempts that it has had.
#[derive(Debug)]
pub(super) struct Tried<T> {
    pub(super) delivery: T,
    /// Failed attempts so far.
    pub(super) failures: u32,
}

#[derive(Debug)]
struct Due<T> {
    at: Instant,
    number: u64,
    tried: Tried<T>,
}

impl<T> Schedule<T> {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            waiting: BinaryHeap::new(),
            added: 0,
        }
    }

    /// Puts in a delivery whose attempt has just failed; `random` is from 0 to 1.
    pub(super) fn put(&mut self, mut tried: Tried<T>, now: Instant, random: f64) {
        tried.failures = tried.failures.saturating_add(1);
        self.added += 1;
        self.waiting.push(Due {
            at: now + self.backoff.delay(tried.failures, random),
            number: self.added,
            tried,
        });
    }

    /// Returns when the next delivery is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|due| due.at)
    }

    /// Takes out the next delivery, if it is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Tried<T>> {
        if self.next_due()? > now {
            return None;
        }
        self.waiting.pop().map(|due| due.tried)
    }
}

impl<T> Due<T> {
    fn order(&self) -> (Instant, u64) {
        (self.at, self.number)
    }
}

impl<T> PartialEq for Due<T> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<T> Eq for Due<T> {}

impl<T> PartialOrd for Due<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Due<T> {
    /// The earlier is the greater: a heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.order().cmp(&self.order())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn schedule() -> Schedule<&'static str> {
        Schedule::new(Backoff {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(1),
        })
    }

    fn tried(delivery: &'static str, failures: u32) -> Tried<&'static str> {
        Tried { delivery, failures }
    }

    #[test]
    fn what_is_due_comes_in_order_and_not_before() {
        let (mut schedule, now) = (schedule(), Instant::now());
        schedule.put(tried("late", 2), now, 0.0);
        schedule.put(tried("first", 0), now, 0.0);
        schedule.put(tried("second", 0), now, 0.0);
        assert_eq!(schedule.next_due(), Some(now + Duration::from_secs(1)));
        assert!(schedule.take_due(now).is_none());
        let later = now + Duration::from_secs(4);
        let order = std::iter::from_fn(|| schedule.take_due(later));
        let order: Vec<_> = order
            .map(|tried| (tried.delivery, tried.failures))
            .collect();
        assert_eq!(order, [("first", 1), ("second", 1), ("late", 3)]);
        assert_eq!(schedule.next_due(), None);
    }
}
