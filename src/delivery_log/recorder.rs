//! The way into the log, for one webhook's lane.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{AttemptId, Ending};
use super::minutes::Minutes;
use super::queue::Entry as Queued;
use super::ring::{Entry, Ring};
use super::{DeliveryLog, Successes};
use crate::event::{Event, Timestamp, TopicName};
use crate::sink::{Outcome, Report};

/// Failed attempts of one webhook that are written without a pause in between.
const BURST: u32 = 1_000;

/// Beyond that one in so long a time is.
const REFILL: Duration = Duration::from_millis(50);

/// How long the system's clock is not asked again.
const TRUST: Duration = Duration::from_secs(1);

/// What is known of one webhook in memory.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) webhook: Arc<str>,
    pub(super) pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) successes: Ring,
    pub(super) failures: Ring,
    pub(super) minutes: Minutes,
}

impl Book {
    pub(super) fn new(webhook: &str) -> Self {
        Self {
            webhook: webhook.into(),
            pages: Mutex::default(),
        }
    }
}

/// Records the attempts of one webhook. Never waits for the disk.
pub struct Recorder {
    log: DeliveryLog,
    book: Arc<Book>,
    clock: Clock,
    allowance: Allowance,
    /// Attempts that were left out since the last that was not.
    left_out: u32,
}

/// How an attempt ended, for all events of its request.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// What came of it.
    pub report: &'a Report,
    /// When.
    pub at: Instant,
    /// How long it took.
    pub took: Duration,
}

/// Where an attempt is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Memory,
    Disk,
    Nowhere,
}

impl Recorder {
    pub(super) fn new(log: DeliveryLog, book: Arc<Book>) -> Self {
        let now = Instant::now();
        Self {
            log,
            book,
            clock: Clock::new(now),
            allowance: Allowance {
                left: BURST,
                refilled: now,
            },
            left_out: 0,
        }
    }

    /// Records an attempt to deliver an event.
    pub fn record(&mut self, event: &Event, number: u32, ending: Ending, ended: &Ended<'_>) {
        let at = self.clock.time(ended.at);
        let is_delivered = ending == Ending::Delivered;
        let place = self.place(is_delivered, ended.at);
        let failure = match &ended.report.outcome {
            Outcome::Delivered => None,
            Outcome::Retry(failure) | Outcome::Rejected(failure) => Some(failure),
        };
        let response = &ended.report.response;
        let most = self.log.0.config.response_bytes;
        let entry = Entry {
            id: self.log.next_id(at),
            at,
            event: event.id,
            kind: event.kind,
            topic: event.topic().map(TopicName::as_str),
            number,
            ending,
            status: ended.report.status,
            class: failure.map(|failure| failure.class.as_str()),
            detail: failure.map_or("", |failure| &failure.detail),
            latency: ended.took,
            response: &response[..response.len().min(most)],
            left_out: self.left_out,
        };
        let mut pages = self
            .book
            .pages
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pages.minutes.count(at, is_delivered, ended.took);
        if place == Place::Memory {
            let ring = if is_delivered {
                &mut pages.successes
            } else {
                &mut pages.failures
            };
            ring.push(&entry);
        }
        drop(pages);
        let is_heard = self.log.0.tap.takes(at.as_secs());
        if place == Place::Disk || is_heard {
            self.pass_on(&entry, event, (place, is_heard));
        }
    }

    fn place(&mut self, is_delivered: bool, now: Instant) -> Place {
        let shared = &self.log.0;
        let has_disk = shared.queue.is_some();
        match (is_delivered, shared.config.successes) {
            (true, Successes::Off) => Place::Nowhere,
            (true, Successes::Disk) if has_disk => Place::Disk,
            (true, _) => Place::Memory,
            (false, _) if !has_disk => Place::Memory,
            (false, _) if self.allowance.take(now) => Place::Disk,
            (false, _) => {
                self.left_out = self.left_out.saturating_add(1);
                shared.metrics.left_out();
                Place::Nowhere
            }
        }
    }

    /// Hands an attempt to the log's thread, and to those who listen.
    #[cold]
    fn pass_on(&mut self, entry: &Entry<'_>, event: &Event, (place, is_heard): (Place, bool)) {
        let shared = &self.log.0;
        let attempt = entry.to_attempt(&self.book.webhook);
        if is_heard {
            shared.tap.tell(attempt.clone());
        }
        let Some(queue) = shared.queue.as_ref().filter(|_| place == Place::Disk) else {
            return;
        };
        let keeps = shared.config.keep_events && entry.ending == Ending::Delivered;
        // Without a hold on the packet that it came in: the disk may be slow.
        let event = keeps.then(|| Box::new(event.compact()));
        if queue.push(Queued { attempt, event }) {
            self.left_out = 0;
        } else {
            self.left_out = self.left_out.saturating_add(1);
            shared.metrics.not_queued();
        }
    }
}

impl DeliveryLog {
    /// Returns the id of an attempt that ended at a time: a later one than any before.
    fn next_id(&self, at: Timestamp) -> AttemptId {
        let floor = AttemptId::first_at(at).0;
        let last = &self.0.last_id;
        // Once in a millisecond, however many end in it.
        if last.load(Ordering::Relaxed) < floor {
            last.fetch_max(floor, Ordering::Relaxed);
        }
        AttemptId(last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("webhook", &self.book.webhook)
            .finish_non_exhaustive()
    }
}

/// Tells the time of an instant; asks the system's clock once a second, and counts once a millisecond.
#[derive(Debug)]
struct Clock {
    asked: Instant,
    time: Timestamp,
    /// What was told last, which holds until then.
    told: Timestamp,
    until: Instant,
}

impl Clock {
    fn new(now: Instant) -> Self {
        let time = Timestamp::now();
        Self {
            asked: now,
            time,
            told: time,
            until: now,
        }
    }

    fn time(&mut self, instant: Instant) -> Timestamp {
        if instant >= self.until {
            self.count(instant);
        }
        self.told
    }

    fn count(&mut self, instant: Instant) {
        let since = instant.saturating_duration_since(self.asked);
        if since >= TRUST {
            *self = Self::new(instant);
        }
        let since = instant.saturating_duration_since(self.asked);
        let left = 1_000_000 - since.subsec_nanos() % 1_000_000;
        self.told =
            Timestamp::from_millis(self.time.as_millis() + u64::from(since.subsec_millis()));
        self.until = instant + Duration::from_nanos(left.into());
    }
}

/// How many failures may be written, so that a receiver that is down fills no disk.
#[derive(Debug)]
struct Allowance {
    left: u32,
    refilled: Instant,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled);
        if passed >= REFILL {
            let more = passed.as_millis() / REFILL.as_millis();
            self.left = BURST.min(
                self.left
                    .saturating_add(u32::try_from(more).unwrap_or(BURST)),
            );
            self.refilled = now;
        }
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_thinned_out_and_forgiven() {
        let start = Instant::now();
        let mut allowance = Allowance {
            left: BURST,
            refilled: start,
        };
        let mut count = |from_ms: u64, many: u64| {
            let at = |number| {
                start + Duration::from_millis(from_ms) + Duration::from_micros(100 * number)
            };
            (0..many)
                .filter(|&number| allowance.take(at(number)))
                .count()
        };
        // Ten thousand a second: the burst, and twenty a second.
        assert_eq!(count(0, 10_000), 1_000 + 19);
        assert_eq!(count(1_000, 10_000), 20);
        assert_eq!(count(61_000, 10), 10);
    }

    #[test]
    fn time_is_told_by_the_instant() {
        let now = Instant::now();
        let mut clock = Clock::new(now);
        let start = clock.time;
        let check = |clock: &mut Clock, ms, expected| {
            let told = clock.time(now + Duration::from_millis(ms));
            assert_eq!(told.as_millis(), start.as_millis() + expected);
        };
        check(&mut clock, 0, 0);
        check(&mut clock, 999, 999);
        let told = clock.time(now + TRUST);
        assert!(told >= start && told.since(start) < TRUST, "it asks again");
    }
}
