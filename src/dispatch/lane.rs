//! The lane of one webhook: a loop over what can happen to it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::record::Record;
use super::schedule::Schedule;
use super::{Config, Metrics, Notify, notice};
use crate::event::Timestamp;
use crate::retry::breaker::{Admission, Attempt, Breaker};
use crate::retry::{Next, OnGone};
use crate::rule::WebhookIndex;
use crate::sink::{Class, Failure, Outcome, Sink};
use crate::spool::store::{GaveUp, WebhookState};
use crate::spool::{Delivery, Queue, Spool};

/// The status code of a receiver that is gone for ever (RFC 9110, 15.5.11).
const GONE: Class = Class::Status(410);

/// The deliveries to one webhook.
pub struct Lane {
    config: Config,
    webhook: WebhookIndex,
    sink: Arc<dyn Sink>,
    spool: Spool,
    queue: Queue,
    /// What is put off and kept in memory only.
    retries: Schedule<Delivery>,
    breaker: Breaker,
    record: Record,
    is_enabled: bool,
    notify: Notify,
    metrics: Metrics,
    log: Log,
}

/// Whether deliveries are taken off the queues.
enum Takes {
    Yes,
    /// Not before a time; `None` is not before something else has happened.
    No {
        until: Option<Instant>,
    },
}

/// An attempt that has ended.
struct Done {
    delivery: Delivery,
    attempt: Attempt,
    is_probe: bool,
    outcome: Outcome,
    took: Duration,
}

impl Lane {
    /// Returns the lane of a webhook.
    pub fn new(
        config: Config,
        webhook: WebhookIndex,
        sink: Arc<dyn Sink>,
        (spool, queue): (Spool, Queue),
        metrics: Metrics,
        notify: Notify,
    ) -> Self {
        let breaker = Breaker::new(config.breaker.clone(), config.retry.retry_after_max);
        let state = queue.state.borrow().clone();
        Self {
            log: Log::new(&config.name),
            config,
            webhook,
            sink,
            spool,
            queue,
            retries: Schedule::new(),
            breaker,
            record: Record::of(&state),
            is_enabled: state.is_enabled(),
            notify,
            metrics,
        }
    }

    /// Attempts deliveries, fresh ones before those that were put off, until `closing`; then finishes
    /// those that are under way and, of a webhook that is not durable, those that were not
    /// attempted yet.
    ///
    /// # Cancel safety
    /// Dropping the future cuts off attempts. What is not settled stays so: the store or the broker
    /// still has it.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut attempts = FuturesUnordered::new();
        let closed = closing.cancelled();
        tokio::pin!(closed);
        let mut is_open = true;
        while is_open || !attempts.is_empty() || self.has_more() {
            if self.queue.state.has_changed().unwrap_or(false) {
                self.follow_state();
            }
            let (takes, until) = match self.takes(attempts.len(), is_open) {
                Takes::Yes => (true, None),
                Takes::No { until } => (false, until),
            };
            let due = self.retries.next_due().filter(|_| takes && is_open);
            // One that is busy looks at each turn.
            let may_sleep = is_open && (!self.is_enabled || attempts.is_empty());
            tokio::select! {
                biased;
                () = &mut closed, if is_open => is_open = false,
                Some(done) = attempts.next(), if !attempts.is_empty() => self.finish(done),
                _ = self.queue.state.changed(), if may_sleep => self.follow_state(),
                Some(delivery) = self.queue.fresh.recv(), if takes => {
                    attempts.extend(self.attempt(delivery));
                }
                Some(delivery) = self.queue.due.recv(), if takes && is_open => {
                    attempts.extend(self.attempt(delivery));
                }
                () = at(due), if due.is_some() => {
                    let due = self.retries.take_due(Instant::now());
                    attempts.extend(due.and_then(|delivery| self.attempt(delivery)));
                }
                () = at(until), if until.is_some() => {}
            }
        }
    }

    /// Returns whether something is to be attempted before the end: what would not survive it.
    fn has_more(&self) -> bool {
        let is_volatile = !self.spool.is_durable(self.webhook);
        is_volatile && self.is_enabled && self.breaker.is_closed() && !self.queue.fresh.is_empty()
    }

    fn takes(&self, under_way: usize, is_open: bool) -> Takes {
        let is_ending = !is_open && !self.has_more();
        if is_ending || !self.is_enabled || under_way >= self.config.concurrency {
            return Takes::No { until: None };
        }
        if self.breaker.is_closed() {
            return Takes::Yes;
        }
        match self.breaker.admits(Instant::now()) {
            Admission::All | Admission::Probe => Takes::Yes,
            Admission::Nothing { until } => Takes::No {
                until: until.filter(|_| is_open),
            },
        }
    }

    /// Begins an attempt, if the delivery is still wanted.
    fn attempt(&mut self, delivery: Delivery) -> Option<impl Future<Output = Done> + use<>> {
        if delivery.is_dropped() {
            delivery.settle();
            return None;
        }
        let sink = Arc::clone(&self.sink);
        let is_probe = !self.breaker.is_closed();
        let attempt = self.breaker.started();
        self.metrics.started();
        Some(async move {
            let started = Instant::now();
            let outcome = sink.deliver(delivery.event()).await;
            let took = started.elapsed();
            Done {
                delivery,
                attempt,
                is_probe,
                outcome,
                took,
            }
        })
    }

    fn finish(&mut self, done: Done) {
        self.metrics.ended(&done.outcome, done.took);
        self.log
            .attempt_ended(&done.delivery, &done.outcome, done.took);
        let change = match &done.outcome {
            // Nothing was sent, so nothing is known of the receiver.
            Outcome::Rejected(failure) if failure.class == Class::Request => {
                self.breaker.abandoned(done.attempt);
                None
            }
            Outcome::Delivered | Outcome::Rejected(_) => self.breaker.succeeded(done.attempt),
            Outcome::Retry(failure) => {
                let (now, random) = (Instant::now(), rand::random());
                self.breaker
                    .failed(done.attempt, failure.hold_off(), now, random)
            }
        };
        if let Some(change) = change {
            self.log.breaker_changed(change);
            self.metrics.breaker_open(!self.breaker.is_closed());
        }
        match done.outcome {
            Outcome::Delivered => self.delivered(done.delivery),
            Outcome::Rejected(failure) => self.rejected(done.delivery, &failure),
            Outcome::Retry(failure) if done.is_probe => self.probe_failed(done.delivery, &failure),
            Outcome::Retry(failure) => self.failed(done.delivery, &failure),
        }
    }

    fn delivered(&mut self, delivery: Delivery) {
        self.metrics.delivered();
        if let Some(failed_for) = self.record.succeeded(Timestamp::now) {
            self.log.recovered(failed_for);
        }
        delivery.settle();
    }

    fn rejected(&mut self, mut delivery: Delivery, failure: &Failure) {
        let now = Timestamp::now();
        if failure.class != Class::Request {
            self.note_failure(failure, now);
        }
        let may_disable = self.spool.is_durable(self.webhook);
        if failure.class == GONE && self.config.retry.on_gone == OnGone::Disable && may_disable {
            // The event waits for the webhook to be enabled again.
            self.disable(
                "it answered 410, so the receiver is gone for ever".to_owned(),
                now,
            );
            self.put_off(delivery, Duration::ZERO, now);
            return;
        }
        delivery.count_failure(now);
        self.give_up(delivery, GaveUp::Rejected, failure, now);
    }

    /// The receiver is still down: the delivery has not had its attempt.
    fn probe_failed(&mut self, delivery: Delivery, failure: &Failure) {
        let now = Timestamp::now();
        self.note_failure(failure, now);
        self.disable_at_limit(now);
        let wait = match self.breaker.admits(Instant::now()) {
            Admission::Nothing { until: Some(until) } => until.duration_since(Instant::now()),
            Admission::Nothing { until: None } | Admission::All | Admission::Probe => {
                Duration::ZERO
            }
        };
        self.put_off(delivery, wait, now);
    }

    fn failed(&mut self, mut delivery: Delivery, failure: &Failure) {
        let now = Timestamp::now();
        self.note_failure(failure, now);
        delivery.count_failure(now);
        let failing_for = delivery
            .first_failed
            .map_or(Duration::ZERO, |first| now.since(first));
        let (failures, random) = (delivery.failures, rand::random());
        let policy = &self.config.retry;
        match policy.next(failures, failing_for, failure.retry_after, random) {
            Next::After(wait) => {
                self.disable_at_limit(now);
                self.put_off(delivery, wait, now);
            }
            Next::GiveUp => self.give_up(delivery, GaveUp::Exhausted, failure, now),
        }
    }

    fn note_failure(&mut self, failure: &Failure, now: Timestamp) {
        if self.record.failed(now) {
            self.log.failing(failure);
        }
    }

    fn put_off(&mut self, delivery: Delivery, wait: Duration, now: Timestamp) {
        if let Some(delivery) = delivery.postpone(now.after(wait)) {
            let now = Instant::now();
            self.retries
                .put(now.checked_add(wait).unwrap_or(now), delivery);
        }
    }

    fn give_up(&mut self, delivery: Delivery, why: GaveUp, failure: &Failure, now: Timestamp) {
        self.metrics.gave_up(why);
        let is_kept = self.spool.is_durable(self.webhook);
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
        self.disable_at_limit(now);
    }

    /// Disables the webhook if it has failed for too long. One that is not durable is not: nobody could
    /// enable it again, nor would its events be there.
    fn disable_at_limit(&mut self, now: Timestamp) {
        if !self.spool.is_durable(self.webhook) {
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

    /// Follows what was set here, or by an operator.
    fn follow_state(&mut self) {
        let state: WebhookState = self.queue.state.borrow_and_update().clone();
        let was_enabled = std::mem::replace(&mut self.is_enabled, state.is_enabled());
        self.metrics.enabled(self.is_enabled);
        if !was_enabled && self.is_enabled {
            self.record = Record::default();
            self.log.enabled();
        }
    }
}

/// Waits until a time, or for ever.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
