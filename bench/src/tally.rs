//! What the receiver knows of the requests it got: a pure count, no I/O.
//!
//! An *inversion* is a request whose sequence number is lower than one seen before on the same topic;
//! a second arrival of a number is a *duplicate* and never an inversion.

use serde::{Deserialize, Serialize};

use crate::{histogram::Histogram, payload::Stamp};

/// Counts the requests of one run.
pub struct Tally {
    seen: Vec<u64>,
    messages: u64,
    /// Highest sequence number so far, plus one, per topic.
    next: Vec<u64>,
    latency: Histogram,
    report: Report,
}

/// The result of one run, as the receiver saw it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// All requests with a stamp that belongs to the run.
    pub total: u64,
    /// Different sequence numbers.
    pub distinct: u64,
    /// Requests whose sequence number had come before.
    pub duplicates: u64,
    /// Requests that came after a later one of the same topic.
    pub inversions: u64,
    /// Requests without a stamp, or with a number outside the run.
    pub foreign: u64,
    /// `CLOCK_MONOTONIC` of the first request of the run, in nanoseconds; 0 while there is none.
    pub first_ns: u64,
    /// `CLOCK_MONOTONIC` of the last new sequence number, in nanoseconds.
    pub last_ns: u64,
    /// Median of publish to request, in nanoseconds.
    pub p50_ns: u64,
    /// 99th percentile of publish to request, in nanoseconds.
    pub p99_ns: u64,
}

impl Tally {
    /// Returns an empty count for sequence numbers below `messages`, dealt to `topics` topics in turn.
    pub fn new(messages: u64, topics: u64) -> Self {
        let words = usize::try_from(messages.div_ceil(64)).expect("a run fits into memory");
        let topics = usize::try_from(topics.max(1)).expect("a run fits into memory");
        Self {
            seen: vec![0; words],
            messages,
            next: vec![0; topics],
            latency: Histogram::new(),
            report: Report::default(),
        }
    }

    /// Counts one request that arrived at `now_ns`.
    pub fn count(&mut self, stamp: Option<Stamp>, now_ns: u64) {
        let Some(stamp) = stamp.filter(|stamp| stamp.sequence < self.messages) else {
            self.report.foreign += 1;
            return;
        };
        self.report.total += 1;
        if self.report.first_ns == 0 {
            self.report.first_ns = now_ns;
        }
        if self.mark(stamp.sequence) {
            self.report.distinct += 1;
            self.report.last_ns = now_ns;
            self.latency
                .record(now_ns.saturating_sub(stamp.published_ns));
            self.order(stamp.sequence);
        } else {
            self.report.duplicates += 1;
        }
    }

    /// Returns how many different messages have come so far.
    pub fn distinct(&self) -> u64 {
        self.report.distinct
    }

    /// Returns the counts so far.
    pub fn report(&self) -> Report {
        Report {
            p50_ns: self.latency.quantile(0.50),
            p99_ns: self.latency.quantile(0.99),
            ..self.report.clone()
        }
    }

    fn order(&mut self, sequence: u64) {
        let topics = self.next.len() as u64;
        let topic = usize::try_from(sequence % topics).expect("below the number of topics");
        if sequence < self.next[topic] {
            self.report.inversions += 1;
        } else {
            self.next[topic] = sequence + 1;
        }
    }

    /// Returns whether the number is new.
    fn mark(&mut self, sequence: u64) -> bool {
        let word = usize::try_from(sequence / 64).expect("below the number of messages");
        let bit = 1 << (sequence % 64);
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topics: u64, sequences: &[u64], expected: (u64, u64, u64, u64)) {
        let mut tally = Tally::new(100, topics);
        for &sequence in sequences {
            let published_ns = 5;
            let stamp = Stamp {
                sequence,
                published_ns,
            };
            tally.count(Some(stamp), 10);
        }
        let Report {
            distinct,
            duplicates,
            inversions,
            foreign,
            ..
        } = tally.report();
        let found = (distinct, duplicates, inversions, foreign);
        assert_eq!(found, expected, "{topics} topics, {sequences:?}");
    }

    #[test]
    fn duplicates_and_inversions_are_told_apart() {
        check(1, &[0, 1, 2, 3], (4, 0, 0, 0));
        check(1, &[0, 2, 1, 3], (4, 0, 1, 0));
        check(1, &[0, 1, 0, 2], (3, 1, 0, 0));
        check(1, &[3, 0, 1, 2], (4, 0, 3, 0));
    }

    #[test]
    fn order_is_per_topic() {
        check(2, &[1, 0, 3, 2], (4, 0, 0, 0));
        check(2, &[2, 0], (2, 0, 1, 0));
    }

    #[test]
    fn number_outside_the_run_is_foreign() {
        check(1, &[100, 7], (1, 0, 0, 1));
    }
}
