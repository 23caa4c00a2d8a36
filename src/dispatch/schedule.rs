//! When deliveries that are kept in memory only are tried again. Pure: the time comes from outside.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tokio::time::Instant;

/// What waits for a time, the next first.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    waiting: BinaryHeap<Due<T>>,
    /// Counts what was put in, so that what is due at the same time keeps its order.
    added: u64,
}

#[derive(Debug)]
struct Due<T> {
    at: Instant,
    number: u64,
    item: T,
}

impl<T> Schedule<T> {
    pub(super) const fn new() -> Self {
        Self {
            waiting: BinaryHeap::new(),
            added: 0,
        }
    }

    /// Puts in what is due at a time.
    pub(super) fn put(&mut self, at: Instant, item: T) {
        self.added += 1;
        self.waiting.push(Due {
            at,
            number: self.added,
            item,
        });
    }

    /// Returns when the next is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|due| due.at)
    }

    /// Returns all that waits, in no order.
    pub(super) fn into_rest(self) -> impl Iterator<Item = T> {
        self.waiting.into_iter().map(|due| due.item)
    }

    /// Takes out the next, if it is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.waiting.pop().map(|due| due.item)
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

    #[test]
    fn what_is_due_comes_in_order_and_not_before() {
        let (mut schedule, now) = (Schedule::new(), Instant::now());
        let in_seconds = |seconds| now + Duration::from_secs(seconds);
        schedule.put(in_seconds(4), "late");
        schedule.put(in_seconds(1), "first");
        schedule.put(in_seconds(1), "second");
        assert_eq!(schedule.next_due(), Some(in_seconds(1)));
        assert!(schedule.take_due(now).is_none());
        let order = std::iter::from_fn(|| schedule.take_due(in_seconds(4)));
        assert_eq!(order.collect::<Vec<_>>(), ["first", "second", "late"]);
        assert_eq!(schedule.next_due(), None);
    }
}
