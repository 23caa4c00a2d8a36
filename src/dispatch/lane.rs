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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::flights::Flights;
use super::gather::{Gather, Parcel};
use super::limit::{Limit, Slot};
use super::log::Log;
use super::orders::Orders;
use super::record::Record;
use super::schedule::Schedule;
use super::turns::Turns;
use super::{Config, Metrics, Notify};
use crate::delivery_log::Recorder;
use crate::retry::breaker::{Admission, Attempt, Breaker};
use crate::rule::WebhookIndex;
use crate::sink::{Report, Sink};
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
    /// When it ends, if it has nothing by then; none if it does not end for lack of deliveries.
    finishes_at: Option<Instant>,
    /// Room for those that end together.
    ended: Vec<Done>,
    /// What others tell it.
    orders: Orders,
    notify: Notify,
    metrics: Metrics,
    /// Remembers attempts.
    recorder: Recorder,
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

/// An attempt that is under way.
struct Begun {
    parcel: Parcel,
    /// What it has got of the limit.
    slot: Option<Slot>,
    attempt: Attempt,
    is_probe: bool,
    at: Instant,
}

/// An attempt that has ended.
struct Done {
    begun: Begun,
    report: Report,
    at: Instant,
    took: Duration,
}

impl Begun {
    fn end(self, report: Report, at: Instant) -> Done {
        Done {
            took: at.duration_since(self.at),
            begun: self,
            report,
            at,
        }
    }
}

impl Lane {
    /// Returns the lane of a webhook.
    pub fn new(
        config: Config,
        webhook: WebhookIndex,
        sink: Arc<dyn Sink>,
        (spool, mut queue): (Spool, Queue),
        (metrics, recorder): (Metrics, Recorder),
        notify: Notify,
    ) -> Self {
        let breaker = Breaker::new(config.breaker.clone(), config.retry.retry_after_max);
        let state = queue.state.borrow().clone();
        let shaping = &config.shaping;
        let share = spool.share(webhook);
        let is_durable = spool.is_durable(webhook);
        metrics.watch(&sink);
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
            finishes_at: None,
            ended: Vec::new(),
            orders: Orders::default(),
            notify,
            metrics,
            recorder,
        }
    }

    /// Returns what tells the lane something while it runs.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// Attempts deliveries, fresh ones before those that were put off, until `closing`; then finishes
    /// those that are under way and, of a webhook that is not durable, those that were not
    /// attempted yet. Ends likewise when it is [told to leave](Orders::leave), and when it is
    /// [told to finish](Orders::finish) and has.
    ///
    /// # Cancel safety
    /// Dropping the future cuts off attempts. What is not settled stays so: the store or the broker
    /// still has it.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut attempts = Flights::new();
        let called = self.orders.attention(&closing).cancelled_owned();
        tokio::pin!(called);
        let mut is_open = true;
        while (is_open && !self.has_finished()) || !attempts.is_empty() || self.has_more() {
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
                self.attempt(parcel, &mut attempts);
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
                Some((begun, report)) = attempts.next(), if !attempts.is_empty() => {
                    let first = begun.end(report, Instant::now());
                    self.finish_all(first, &mut attempts);
                }
                () = &mut called, if is_open => {
                    is_open = self.heed(&closing);
                    called.set(self.orders.attention(&closing).cancelled_owned());
                }
                _ = self.queue.state.changed(), if may_sleep => self.follow_state(),
                Some(answer) = self.queue.answers.recv(), if !self.turns.are_free() => self.turns.answered(answer),
                Some(delivery) = self.queue.fresh.recv(), if takes_fresh => {
                    if let Some(parcel) = self.arrive(delivery) {
                        self.attempt(parcel, &mut attempts);
                    }
                }
                Some(delivery) = self.queue.due.recv(), if takes_due => {
                    if let Some(parcel) = self.arrive(delivery) {
                        self.attempt(parcel, &mut attempts);
                    }
                }
                () = at(due), if due.is_some() => {
                    let due = self.retries.take_due(Instant::now());
                    if let Some(parcel) = due.and_then(|delivery| self.arrive(delivery)) {
                        self.attempt(parcel, &mut attempts);
                    }
                }
                () = at(wake), if wake.is_some() => {}
                () = at(until), if until.is_some() => {}
            }
        }
        drop(attempts);
        // One that ends while it is open has finished, and nobody takes what has come since.
        if is_open || self.orders.leaves() {
            self.discard_rest();
        }
    }

    /// Finishes what has ended, one after the other: while that is done its code stays in the processor's
    /// cache, and so does afterwards that which begins attempts.
    fn finish_all(&mut self, first: Done, attempts: &mut Flights<Begun, Report>) {
        let (mut all, at) = (std::mem::take(&mut self.ended), first.at);
        all.push(first);
        all.extend(
            attempts
                .ended()
                .map(|(begun, report)| begun.end(report, at)),
        );
        for done in all.drain(..) {
            self.finish(done);
        }
        self.ended = all;
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
        let finish = self.finishes_at.filter(|at| *at > Instant::now());
        let wakes = self.turns.next_wake().into_iter();
        wakes.chain(gathered).chain(finish).min()
    }

    /// Returns whether it was told to finish, and has.
    fn has_finished(&self) -> bool {
        let may_end = self.finishes_at.is_some_and(|at| at <= Instant::now());
        may_end && !self.spool.holds(self.webhook)
    }

    /// Begins an attempt with those deliveries that are still wanted.
    fn attempt(&mut self, mut parcel: Parcel, attempts: &mut Flights<Begun, Report>) {
        if parcel.iter().any(|turn| turn.delivery.is_dropped()) {
            parcel = self.without_dropped(parcel);
            if parcel.is_empty() {
                return;
            }
        }
        let limit = self.limit.as_mut();
        let slot = limit.map(|limit| limit.begin(Instant::now()));
        let events = parcel.iter().map(|turn| Arc::clone(turn.delivery.event()));
        let report = Arc::clone(&self.sink).deliver(events.collect());
        let begun = Begun {
            slot,
            is_probe: !self.breaker.is_closed(),
            attempt: self.breaker.started(),
            at: Instant::now(),
            parcel,
        };
        self.metrics.started();
        attempts.begin(report, begun);
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
