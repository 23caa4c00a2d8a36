//! The lane of one webhook: a loop over what can happen to it.
//!
//! ```text
//! queues --> turns: may it go? --> gather, if there are batches --> attempt --> ended
//! ```

mod ended;
mod revised;
mod supply;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::gather::{Gather, Parcel};
use super::limit::{Limit, Slot};
use super::log::Log;
use super::orders::Orders;
use super::record::Record;
use super::schedule::Schedule;
use super::turns::{Turn, Turns};
use super::{Config, Metrics, Notify};
use crate::retry::breaker::{Admission, Attempt, Breaker};
use crate::rule::WebhookIndex;
use crate::sink::{Outcome, Sink};
use crate::spool::store::WebhookState;
use crate::spool::{Delivery, Queue, Spool};

/// The deliveries to one webhook.
pub struct Lane {
    config: Config,
    webhook: WebhookIndex,
    sink: Arc<dyn Sink>,
    spool: Spool,
    queue: Queue,
    turns: Turns,
    /// What is sent in one request; none if each delivery is.
    gather: Option<Gather>,
    /// What goes before all others, as it has been under way: parts of a batch that was too large.
    parts: VecDeque<Parcel>,
    /// Which source of deliveries goes first in the next request.
    first_source: usize,
    limit: Option<Limit>,
    /// What is put off and kept in memory only.
    retries: Schedule<Delivery>,
    breaker: Breaker,
    record: Record,
    is_enabled: bool,
    /// Whether its deliveries survive the end of the process.
    is_durable: bool,
    /// Whether deliveries are to be sequenced otherwise, when nothing is under way any more.
    is_changing: bool,
    /// What others tell it.
    orders: Orders,
    notify: Notify,
    metrics: Metrics,
    log: Log,
}

/// Whether deliveries are attempted.
enum Takes {
    Yes,
    /// Not before a time; `None` is not before something else has happened.
    No {
        until: Option<Instant>,
    },
}

/// An attempt that has ended.
struct Done {
    parcel: Parcel,
    /// What it has got of the limit.
    slot: Option<Slot>,
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
        (spool, mut queue): (Spool, Queue),
        metrics: Metrics,
        notify: Notify,
    ) -> Self {
        let breaker = Breaker::new(config.breaker.clone(), config.retry.retry_after_max);
        let state = queue.state.borrow().clone();
        let shaping = &config.shaping;
        let share = spool.share(webhook);
        let is_durable = spool.is_durable(webhook);
        Self {
            log: Log::new(&config.name),
            turns: Turns::new(shaping.sequence, webhook, spool.clone(), &mut queue),
            gather: shaping.batch.map(|batch| Gather::new(batch.within(share))),
            parts: VecDeque::new(),
            first_source: 0,
            limit: shaping.rate_limit.map(Limit::new),
            config,
            webhook,
            sink,
            spool,
            queue,
            retries: Schedule::new(),
            breaker,
            record: Record::of(&state),
            is_enabled: state.is_enabled(),
            is_durable,
            is_changing: false,
            orders: Orders::default(),
            notify,
            metrics,
        }
    }

    /// Returns what tells the lane something while it runs.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Attempts deliveries, fresh ones before those that were put off, until `closing`; then finishes
    /// those that are under way and, of a webhook that is not durable, those that were not
    /// attempted yet. Ends likewise when it is [told to leave](Orders::leave).
    ///
    /// # Cancel safety
    /// Dropping the future cuts off attempts. What is not settled stays so: the store or the broker
    /// still has it.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut attempts = FuturesUnordered::new();
        let called = self.orders.attention(&closing).cancelled_owned();
        tokio::pin!(called);
        let mut is_open = true;
        while is_open || !attempts.is_empty() || self.has_more() {
            if self.queue.state.has_changed().unwrap_or(false) {
                self.follow_state();
            }
            if self.is_changing && attempts.is_empty() {
                self.sequence_anew();
            }
            self.tend();
            let mut takes = self.takes(attempts.len(), is_open);
            while matches!(takes, Takes::Yes)
                && let Some(parcel) = self.next_parcel(is_open)
            {
                attempts.extend(self.attempt(parcel));
                takes = self.takes(attempts.len(), is_open);
            }
            let (takes, until) = match takes {
                Takes::Yes => (true, None),
                Takes::No { until } => (false, until),
            };
            let takes_any = takes || self.looks_ahead(is_open);
            let takes_fresh = takes_any && self.takes_fresh(is_open);
            let takes_due = takes_any && is_open;
            let due = self.retries.next_due().filter(|_| takes_due);
            let wake = self.next_wake(takes);
            // One that is busy looks at each turn.
            let may_sleep = is_open && (!self.is_enabled || attempts.is_empty());
            tokio::select! {
                biased;
                Some(done) = attempts.next(), if !attempts.is_empty() => self.finish(done),
                () = &mut called, if is_open => {
                    is_open = self.heed(&closing);
                    called.set(self.orders.attention(&closing).cancelled_owned());
                }
                _ = self.queue.state.changed(), if may_sleep => self.follow_state(),
                Some(answer) = self.queue.answers.recv(), if !self.turns.are_free() => self.turns.answered(answer),
                Some(delivery) = self.queue.fresh.recv(), if takes_fresh => {
                    let parcel = self.arrive(delivery);
                    attempts.extend(parcel.and_then(|parcel| self.attempt(parcel)));
                }
                Some(delivery) = self.queue.due.recv(), if takes_due => {
                    let parcel = self.arrive(delivery);
                    attempts.extend(parcel.and_then(|parcel| self.attempt(parcel)));
                }
                () = at(due), if due.is_some() => {
                    let due = self.retries.take_due(Instant::now());
                    let parcel = due.and_then(|delivery| self.arrive(delivery));
                    attempts.extend(parcel.and_then(|parcel| self.attempt(parcel)));
                }
                () = at(wake), if wake.is_some() => {}
                () = at(until), if until.is_some() => {}
            }
        }
        drop(attempts);
        if self.orders.leaves() {
            self.discard_rest();
        }
    }

    /// Returns whether something is to be attempted before the end: what would not survive it, and what
    /// was on the point of being sent.
    fn has_more(&self) -> bool {
        let has_gathered = self
            .gather
            .as_ref()
            .is_some_and(|gather| !gather.is_empty());
        let is_volatile = !self.is_durable;
        // What is on disk need not wait for the limit.
        let is_next = is_volatile || self.limited_until().is_none();
        let has_begun = is_next && (has_gathered || !self.parts.is_empty());
        let would_be_lost = is_volatile && (!self.queue.fresh.is_empty() || self.turns.have_next());
        self.is_enabled && self.breaker.is_closed() && (has_begun || would_be_lost)
    }

    fn takes(&self, under_way: usize, is_open: bool) -> Takes {
        let is_ending = !is_open && !self.has_more();
        let may_take = self.is_enabled && !self.is_changing;
        if is_ending || !may_take || under_way >= self.config.concurrency {
            return Takes::No { until: None };
        }
        if let Some(until) = self.limited_until() {
            return Takes::No { until: Some(until) };
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

    /// Returns until when nothing may be attempted, so that there are not too many requests.
    fn limited_until(&self) -> Option<Instant> {
        self.limit.as_ref()?.until(Instant::now())
    }

    /// Returns whether deliveries are wanted though none can be attempted.
    fn looks_ahead(&self, is_open: bool) -> bool {
        self.turns.look_ahead() && self.is_enabled && !self.is_changing && is_open
    }

    /// Returns when there is something to do that no queue tells of. What is gathered waits until
    /// something can be attempted (`takes`).
    fn next_wake(&self, takes: bool) -> Option<Instant> {
        let gathered = self.gather.as_ref().and_then(Gather::due);
        let gathered = gathered.filter(|_| takes);
        self.turns.next_wake().into_iter().chain(gathered).min()
    }

    /// Begins an attempt with those deliveries that are still wanted.
    fn attempt(&mut self, mut parcel: Parcel) -> Option<impl Future<Output = Done> + use<>> {
        if parcel.iter().any(|turn| turn.delivery.is_dropped()) {
            parcel = self.without_dropped(parcel);
            if parcel.is_empty() {
                return None;
            }
        }
        let limit = self.limit.as_mut();
        let slot = limit.map(|limit| limit.begin(Instant::now()));
        let sink = Arc::clone(&self.sink);
        let is_probe = !self.breaker.is_closed();
        let attempt = self.breaker.started();
        self.metrics.started();
        Some(async move {
            let started = Instant::now();
            let outcome = match parcel.as_slice() {
                [one] => {
                    sink.deliver(std::slice::from_ref(one.delivery.event()))
                        .await
                }
                many => {
                    let event = |turn: &Turn| Arc::clone(turn.delivery.event());
                    let events: Vec<_> = many.iter().map(event).collect();
                    sink.deliver(&events).await
                }
            };
            let took = started.elapsed();
            Done {
                parcel,
                slot,
                attempt,
                is_probe,
                outcome,
                took,
            }
        })
    }

    fn without_dropped(&mut self, parcel: Parcel) -> Parcel {
        let mut wanted = Parcel::new();
        for turn in parcel {
            if turn.delivery.is_dropped() {
                turn.delivery.settle();
                self.turns.ended(turn.key);
            } else {
                wanted.push(turn);
            }
        }
        wanted
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
