//! What follows from an attempt.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Done, Lane};
use crate::delivery_log::{Ended, Ending};
use crate::dispatch::gather::Parcel;
use crate::dispatch::notice;
use crate::dispatch::turns::Turn;
use crate::event::Timestamp;
use crate::retry::breaker::Admission;
use crate::retry::{Next, OnGone};
use crate::sink::{Class, Failure, Outcome};
use crate::spool::Delivery;
use crate::spool::store::GaveUp;

/// The status code of a receiver that is gone for ever (RFC 9110, 15.5.11).
const GONE: Class = Class::Status(410);

/// The status codes for a request that is too large (RFC 9110, 15.5.14), or that is not as the receiver wants
/// it (15.5.1, 15.5.21), as one of its events may not be.
const OF_THE_CONTENT: [u16; 3] = [413, 400, 422];

/// What an attempt that failed means for all its deliveries alike.
struct Failed<'a> {
    failure: &'a Failure,
    ended: Ended<'a>,
    now: Timestamp,
    /// From 0 to 1: what has failed together is tried again together, as far as schedules allow.
    random: f64,
}

/// Returns whether a rejection may be the fault of one event, or of their number.
fn is_of_the_batch(failure: &Failure) -> bool {
    match failure.class {
        Class::Request | Class::Other => true,
        Class::Status(code) => OF_THE_CONTENT.contains(&code),
        _ => false,
    }
}

impl Lane {
    pub(super) fn finish(&mut self, done: Done) {
        self.count(&done);
        for turn in &done.begun.parcel {
            self.log
                .attempt_ended(&turn.delivery, &done.report.outcome, done.took);
        }
        let change = match &done.report.outcome {
            // Nothing was sent, so nothing is known of the receiver.
            Outcome::Rejected(failure) if failure.class == Class::Request => {
                self.breaker.abandoned(done.begun.attempt);
                None
            }
            Outcome::Delivered | Outcome::Rejected(_) => self.breaker.succeeded(done.begun.attempt),
            Outcome::Retry(failure) => {
                let (now, random) = (Instant::now(), rand::random());
                self.breaker
                    .failed(done.begun.attempt, failure.hold_off(), now, random)
            }
        };
        if let Some(change) = change {
            self.log.breaker_changed(change);
            self.metrics.breaker_open(!self.breaker.is_closed());
        }
        let ended = Ended {
            report: &done.report,
            at: done.at,
            took: done.took,
        };
        match &done.report.outcome {
            Outcome::Delivered => {
                for turn in done.begun.parcel {
                    self.remember(&turn, Ending::Delivered, &ended);
                    self.delivered(turn);
                }
            }
            Outcome::Rejected(failure)
                if is_of_the_batch(failure) && done.begun.parcel.len() > 1 =>
            {
                for turn in &done.begun.parcel {
                    self.remember(turn, Ending::Retry, &ended);
                }
                self.split(done.begun.parcel);
            }
            Outcome::Rejected(failure) | Outcome::Retry(failure) => {
                let failed = Failed {
                    failure,
                    ended,
                    now: Timestamp::now(),
                    random: rand::random(),
                };
                let is_rejected = matches!(done.report.outcome, Outcome::Rejected(_));
                for turn in done.begun.parcel {
                    match (is_rejected, done.begun.is_probe) {
                        (true, _) => self.rejected(turn, &failed),
                        (false, true) => self.probe_failed(turn, &failed),
                        (false, false) => self.failed(turn, &failed),
                    }
                }
            }
        }
    }

    fn remember(&mut self, turn: &Turn, ending: Ending, ended: &Ended<'_>) {
        let delivery = &turn.delivery;
        let number = delivery.failures.saturating_add(1);
        self.recorder
            .record(delivery.event(), number, ending, ended);
    }

    /// Counts an attempt, unless no request could be made: that is none, and costs none of the limit.
    fn count(&mut self, done: &Done) {
        let is_none = matches!(&done.report.outcome, Outcome::Rejected(failure) if failure.class == Class::Request);
        if !is_none {
            self.metrics.ended(&done.report.outcome, done.took);
            return;
        }
        self.metrics.abandoned();
        if let (Some(limit), Some(slot)) = (&mut self.limit, done.begun.slot) {
            limit.give_back(slot);
        }
    }

    /// Has the halves of a batch sent that was rejected, perhaps for one of its events, each for itself; of
    /// one key, one after the other.
    fn split(&mut self, mut parcel: Parcel) {
        if self.gather.is_none() {
            // Since it went, it was configured that each goes by itself.
            return self.take_apart([parcel]);
        }
        let half = parcel.len() / 2;
        let second: Parcel = parcel.drain(half..).collect();
        let keys: HashSet<_> = parcel.iter().filter_map(|turn| turn.key).collect();
        let mut rest = Parcel::new();
        for turn in second {
            if turn.key.is_some_and(|key| keys.contains(&key)) {
                rest.extend(self.turns.put_back(turn));
            } else {
                rest.push(turn);
            }
        }
        let parts = [parcel, rest].into_iter();
        self.parts.extend(parts.filter(|part| !part.is_empty()));
    }

    fn delivered(&mut self, turn: Turn) {
        self.metrics.delivered();
        if let Some(failed_for) = self.record.succeeded(Timestamp::now) {
            self.log.recovered(failed_for);
        }
        turn.delivery.settle();
        self.turns.ended(turn.key);
    }

    fn rejected(&mut self, mut turn: Turn, failed: &Failed<'_>) {
        let Failed { failure, now, .. } = *failed;
        self.remember(&turn, Ending::Rejected, &failed.ended);
        if failure.class != Class::Request {
            self.record.failed(now);
        }
        let may_disable = self.is_durable;
        if failure.class == GONE && self.config.retry.on_gone == OnGone::Disable && may_disable {
            // The event waits for the webhook to be enabled again.
            self.disable(
                "it answered 410, so the receiver is gone for ever".to_owned(),
                now,
            );
            self.put_off(turn, Duration::ZERO, now);
            return;
        }
        turn.delivery.count_failure(now);
        self.give_up(turn, GaveUp::Rejected, failure, now);
    }

    /// The receiver is still down: the delivery has not had its attempt.
    fn probe_failed(&mut self, turn: Turn, failed: &Failed<'_>) {
        let Failed { failure, now, .. } = *failed;
        self.remember(&turn, Ending::Retry, &failed.ended);
        self.note_failure(failure, now);
        self.disable_at_limit(now);
        let wait = match self.breaker.admits(Instant::now()) {
            Admission::Nothing { until: Some(until) } => until.duration_since(Instant::now()),
            Admission::Nothing { until: None } | Admission::All | Admission::Probe => {
                Duration::ZERO
            }
        };
        self.put_off(turn, wait, now);
    }

    fn failed(&mut self, mut turn: Turn, failed: &Failed<'_>) {
        let Failed {
            failure,
            now,
            random,
            ..
        } = *failed;
        self.note_failure(failure, now);
        let delivery = &turn.delivery;
        let failing_for = delivery
            .first_failed
            .map_or(Duration::ZERO, |first| now.since(first));
        let failures = delivery.failures.saturating_add(1);
        let policy = &self.config.retry;
        let next = policy.next(failures, failing_for, failure.retry_after, random);
        let ending = match next {
            Next::After(_) => Ending::Retry,
            Next::GiveUp => Ending::GivenUp,
        };
        self.remember(&turn, ending, &failed.ended);
        turn.delivery.count_failure(now);
        match next {
            Next::After(wait) => {
                self.disable_at_limit(now);
                self.put_off(turn, wait, now);
            }
            Next::GiveUp => self.give_up(turn, GaveUp::Exhausted, failure, now),
        }
    }

    fn note_failure(&mut self, failure: &Failure, now: Timestamp) {
        self.record.failed(now);
        self.log.failing(failure);
    }

    fn put_off(&mut self, turn: Turn, wait: Duration, now: Timestamp) {
        let due = now.after(wait);
        let delivery = self.turns.failed(turn, due);
        if let Some(delivery) = delivery.and_then(|delivery: Delivery| delivery.postpone(due)) {
            let now = Instant::now();
            self.retries
                .put(now.checked_add(wait).unwrap_or(now), delivery);
        }
    }

    fn give_up(&mut self, turn: Turn, why: GaveUp, failure: &Failure, now: Timestamp) {
        let Turn { delivery, key } = turn;
        self.metrics.gave_up(why);
        let is_kept = self.is_durable;
        self.log.gave_up(&delivery, failure, is_kept);
        // An event of which no request can be made says nothing of the receiver.
        if failure.class != Class::Request {
            self.record.gave_up();
        }
        if !notice::is_one(delivery.event()) {
            (self.notify)(notice::delivery_failed(
                &self.config.name,
                &delivery,
                failure,
            ));
        }
        delivery.give_up(why, failure.to_string(), now);
        self.turns.ended(key);
        self.disable_at_limit(now);
    }

    /// Disables the webhook if it has failed for too long. One that is not durable is not: nobody could
    /// enable it again, nor would its events be there.
    fn disable_at_limit(&mut self, now: Timestamp) {
        if !self.is_durable {
            return;
        }
        if let Some(reason) = self.record.verdict(&self.config.failure_limit, now) {
            self.disable(reason, now);
        }
    }

    fn disable(&mut self, reason: String, now: Timestamp) {
        if !self.is_enabled {
            return;
        }
        self.log.disabled(&reason);
        (self.notify)(notice::webhook_disabled(&self.config.name, &reason));
        let state = self.record.disabled(reason, now);
        self.spool.set_state(self.webhook, state);
        self.follow_state();
    }
}
