//! The lane of one webhook: a loop over what can happen to it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::schedule::{Schedule, Tried};
use super::{Config, Metrics};
use crate::sink::{Failure, Outcome, Sink};
use crate::spool::Delivery;
use crate::telemetry::Throttle;

/// How often one lane may say that it gave up an event.
const REJECTED_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The deliveries to one webhook.
pub struct Lane {
    name: String,
    concurrency: usize,
    sink: Arc<dyn Sink>,
    /// What the dispatcher puts in; it is never closed before the lane is told to stop.
    fresh: mpsc::UnboundedReceiver<Delivery>,
    retries: Schedule<Delivery>,
    metrics: Metrics,
    health: Health,
    rejected_log: Throttle,
}

/// Whether the last attempt succeeded; a change is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    Failing { since: Instant },
}

/// An attempt that has ended.
struct Done {
    tried: Tried<Delivery>,
    outcome: Outcome,
    took: Duration,
}

impl Lane {
    pub(super) fn new(
        config: Config,
        sink: Arc<dyn Sink>,
        fresh: mpsc::UnboundedReceiver<Delivery>,
        metrics: Metrics,
    ) -> Self {
        Self {
            name: config.name,
            concurrency: config.concurrency,
            sink,
            fresh,
            retries: Schedule::new(config.retry),
            metrics,
            health: Health::Good,
            rejected_log: Throttle::new(REJECTED_LOG_INTERVAL),
        }
    }

    /// Attempts deliveries, fresh ones before retries, until `closing`; then finishes those that
    /// have not failed yet and returns.
    ///
    /// # Cancel safety
    /// Dropping the future cuts off attempts. What is not settled stays so, and the broker still
    /// has what it keeps.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut attempts = FuturesUnordered::new();
        let closed = closing.cancelled();
        tokio::pin!(closed);
        let mut is_open = true;
        while is_open || !attempts.is_empty() || !self.fresh.is_empty() {
            let is_free = attempts.len() < self.concurrency;
            let due = self.retries.next_due().filter(|_| is_open);
            tokio::select! {
                biased;
                () = &mut closed, if is_open => is_open = false,
                Some(done) = attempts.next(), if !attempts.is_empty() => self.finish(done),
                Some(delivery) = self.fresh.recv(), if is_free => {
                    let tried = Tried { delivery, failures: 0 };
                    attempts.push(self.attempt(tried));
                }
                () = at(due), if is_free && due.is_some() => {
                    let due = self.retries.take_due(Instant::now());
                    attempts.extend(due.map(|tried| self.attempt(tried)));
                }
            }
        }
    }

    fn attempt(&self, tried: Tried<Delivery>) -> impl Future<Output = Done> + use<> {
        let sink = Arc::clone(&self.sink);
        self.metrics.started();
        async move {
            let started = Instant::now();
            let outcome = sink.deliver(&tried.delivery.event).await;
            let took = started.elapsed();
            Done {
                tried,
                outcome,
                took,
            }
        }
    }

    fn finish(&mut self, done: Done) {
        self.metrics.ended(&done.outcome, done.took);
        self.log(&done);
        match done.outcome {
            Outcome::Delivered => {
                self.metrics.delivered();
                done.tried.delivery.settle();
            }
            Outcome::Rejected(_) => {
                self.metrics.rejected();
                done.tried.delivery.settle();
            }
            Outcome::Retry(_) => {
                let mut tried = done.tried;
                if tried.failures == 0 {
                    tried.delivery.event = Arc::new(tried.delivery.event.compact());
                }
                self.retries.put(tried, Instant::now(), rand::random());
            }
        }
    }

    fn log(&mut self, done: &Done) {
        let event = &done.tried.delivery.event;
        let (event_id, kind) = (event.id, event.kind.name());
        let attempt = done.tried.failures + 1;
        let elapsed_ms = u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX);
        let webhook = self.name.as_str();
        debug!(webhook, %event_id, kind, attempt, elapsed_ms, outcome = ?done.outcome, "attempt ended");
        match (&done.outcome, self.health) {
            (Outcome::Delivered, Health::Failing { since }) => {
                let failing_s = since.elapsed().as_secs();
                info!(webhook, failing_s, "webhook takes events again");
                self.health = Health::Good;
            }
            (Outcome::Retry(failure), Health::Good) => {
                warn!(webhook, error = %failure, "webhook does not take events; they wait and are tried again");
                self.health = Health::Failing {
                    since: Instant::now(),
                };
            }
            (Outcome::Rejected(failure), _) => self.log_rejected(done, failure),
            _ => {}
        }
    }

    fn log_rejected(&mut self, done: &Done, failure: &Failure) {
        if let Some(held_back) = self.rejected_log.pass(Instant::now()) {
            let event = &done.tried.delivery.event;
            let (webhook, event_id, kind) = (self.name.as_str(), event.id, event.kind.name());
            warn!(webhook, %event_id, kind, held_back, error = %failure, "webhook rejected an event, which is given up");
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
