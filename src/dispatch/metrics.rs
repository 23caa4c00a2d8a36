//! Counts of the lanes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use crate::sink::{Class, Outcome, Sink};
use crate::spool::store::GaveUp;

/// Upper bounds of the attempt latency's buckets, in seconds.
const LATENCY_BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    webhook: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    webhook: String,
    outcome: &'static str,
}

/// The metrics of all lanes.
#[derive(Debug, Clone)]
pub struct MetricsFamily {
    deliveries: Family<Ended, Counter>,
    attempts: Family<Ended, Counter>,
    latency: Family<Webhook, Histogram, fn() -> Histogram>,
    in_flight: Family<Webhook, Gauge>,
    enabled: Family<Webhook, Gauge>,
    breaker: Family<Webhook, Gauge>,
    connections: Family<Webhook, Open>,
    pool_size: Family<Webhook, Gauge>,
    activities: Activities,
}

/// How many attempts of each webhook have ended that nobody has counted yet, by name.
#[derive(Debug, Clone, Default)]
pub struct Activities(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Activities {
    fn of(&self, webhook: &str) -> Arc<AtomicU64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(webhook.to_owned()).or_default())
    }

    /// Returns those that have ended since the last call, by webhook.
    #[must_use]
    pub fn take(&self) -> Vec<(String, u64)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let take = |(name, count): (&String, &Arc<AtomicU64>)| {
            let count = count.swap(0, Ordering::Relaxed);
            (count > 0).then(|| (name.clone(), count))
        };
        let taken = all.iter().filter_map(take).collect();
        // Those without a lane count nothing any more.
        all.retain(|_, count| Arc::strong_count(count) > 1 || count.load(Ordering::Relaxed) > 0);
        taken
    }

    /// Gives back what could not be counted.
    pub fn put_back(&self, attempts: &[(String, u64)]) {
        for (webhook, count) in attempts {
            self.of(webhook).fetch_add(*count, Ordering::Relaxed);
        }
    }
}

impl MetricsFamily {
    /// Returns the metrics, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let latency: fn() -> Histogram = || Histogram::new(LATENCY_BUCKETS);
        let family = Self {
            deliveries: Family::default(),
            attempts: Family::default(),
            latency: Family::new_with_constructor(latency),
            in_flight: Family::default(),
            enabled: Family::default(),
            breaker: Family::default(),
            connections: Family::default(),
            pool_size: Family::default(),
            activities: Activities::default(),
        };
        registry.register(
            "deliveries",
            "Deliveries that ended, by how",
            family.deliveries.clone(),
        );
        registry.register(
            "attempts",
            "Attempts that ended, by what came of them",
            family.attempts.clone(),
        );
        registry.register_with_unit(
            "attempt_duration",
            "How long attempts took",
            Unit::Seconds,
            family.latency.clone(),
        );
        registry.register(
            "attempts_in_flight",
            "Attempts under way",
            family.in_flight.clone(),
        );
        registry.register(
            "webhook_enabled",
            "1 while a webhook is attempted, 0 while it is disabled",
            family.enabled.clone(),
        );
        registry.register(
            "breaker_open",
            "1 while a webhook is left alone but for probes",
            family.breaker.clone(),
        );
        registry.register(
            "pool_connections",
            "Connections to a receiver that are open or being made, idle ones included",
            family.connections.clone(),
        );
        registry.register(
            "pool_size",
            "The most connections to a receiver, and requests in flight",
            family.pool_size.clone(),
        );
        family
    }

    /// Returns how many attempts have ended, which is not lost with the program if somebody counts them.
    #[must_use]
    pub fn activities(&self) -> Activities {
        self.activities.clone()
    }

    /// Shows nothing more of how a webhook is that leaves.
    pub fn left(&self, webhook: &str) {
        let labels = Webhook {
            webhook: webhook.to_owned(),
        };
        for gauges in [
            &self.in_flight,
            &self.enabled,
            &self.breaker,
            &self.pool_size,
        ] {
            gauges.remove(&labels);
        }
        self.connections.remove(&labels);
    }

    /// Shows nothing more of a webhook that has gone: otherwise there would be more with every name that there ever was.
    /// One that takes its name later begins at 0.
    pub fn forget(&self, webhook: &str) {
        self.left(webhook);
        let ended = |outcome| Ended {
            webhook: webhook.to_owned(),
            outcome,
        };
        for outcome in ["delivered", "rejected", "exhausted"] {
            self.deliveries.remove(&ended(outcome));
        }
        let classes = Class::WORDS.into_iter().map(Class::as_str);
        for outcome in classes.chain(["delivered"]) {
            self.attempts.remove(&ended(outcome));
        }
        self.latency.remove(&Webhook {
            webhook: webhook.to_owned(),
        });
    }

    /// Returns the metrics of one webhook's lane.
    #[must_use]
    pub fn of(&self, webhook: &str) -> Metrics {
        let labels = Webhook {
            webhook: webhook.to_owned(),
        };
        let ended = |outcome| Ended {
            webhook: webhook.to_owned(),
            outcome,
        };
        let enabled = self.enabled.get_or_create_owned(&labels);
        enabled.set(1);
        Metrics {
            webhook: webhook.to_owned(),
            delivered: self.deliveries.get_or_create_owned(&ended("delivered")),
            rejected: self.deliveries.get_or_create_owned(&ended("rejected")),
            exhausted: self.deliveries.get_or_create_owned(&ended("exhausted")),
            succeeded: self.attempts.get_or_create_owned(&ended("delivered")),
            attempts: self.attempts.clone(),
            latency: self.latency.get_or_create_owned(&labels),
            in_flight: self.in_flight.get_or_create_owned(&labels),
            breaker: self.breaker.get_or_create_owned(&labels),
            connections: self.connections.get_or_create_owned(&labels),
            pool_size: self.pool_size.get_or_create_owned(&labels),
            activity: self.activities.of(webhook),
            enabled,
        }
    }
}

/// The metrics of one webhook's lane.
#[derive(Debug, Clone)]
pub struct Metrics {
    webhook: String,
    delivered: Counter,
    rejected: Counter,
    exhausted: Counter,
    succeeded: Counter,
    attempts: Family<Ended, Counter>,
    latency: Histogram,
    in_flight: Gauge,
    enabled: Gauge,
    breaker: Gauge,
    connections: Open,
    pool_size: Gauge,
    activity: Arc<AtomicU64>,
}

impl Metrics {
    /// Has the connections of a sink counted for as long as there is the sink.
    pub(super) fn watch(&self, sink: &Arc<dyn Sink>) {
        let most = sink.connections().map_or(0, |connections| connections.most);
        self.pool_size.set(i64::try_from(most).unwrap_or(i64::MAX));
        self.connections.watch(sink);
    }

    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self, outcome: &Outcome, took: Duration) {
        self.in_flight.dec();
        self.activity.fetch_add(1, Ordering::Relaxed);
        self.latency.observe(took.as_secs_f64());
        match outcome {
            Outcome::Delivered => self.succeeded.inc(),
            Outcome::Retry(failure) | Outcome::Rejected(failure) => {
                let labels = Ended {
                    webhook: self.webhook.clone(),
                    outcome: failure.class.as_str(),
                };
                self.attempts.get_or_create(&labels).inc()
            }
        };
    }

    /// Notes that nothing was attempted.
    pub(super) fn abandoned(&self) {
        self.in_flight.dec();
    }

    pub(super) fn delivered(&self) {
        self.delivered.inc();
    }

    pub(super) fn gave_up(&self, why: GaveUp) {
        match why {
            GaveUp::Rejected => self.rejected.inc(),
            GaveUp::Exhausted => self.exhausted.inc(),
        };
    }

    pub(super) fn enabled(&self, is_enabled: bool) {
        self.enabled.set(i64::from(is_enabled));
    }

    pub(super) fn breaker_open(&self, is_open: bool) {
        self.breaker.set(i64::from(is_open));
    }
}

/// How many connections a sink has: a gauge that asks it.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<Option<Weak<dyn Sink>>>>);

impl Open {
    fn watch(&self, sink: &Arc<dyn Sink>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(sink));
    }

    fn count(&self) -> usize {
        let sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sink = sink.as_ref().and_then(Weak::upgrade);
        let connections = sink.and_then(|sink| sink.connections());
        connections.map_or(0, |connections| connections.open)
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Open").field(&self.count()).finish()
    }
}

impl TypedMetric for Open {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for Open {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let open = i64::try_from(self.count()).unwrap_or(i64::MAX);
        encoder.encode_gauge(&open)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Failure;

    #[test]
    fn of_a_webhook_that_has_gone_nothing_is_left() {
        let mut registry = Registry::default();
        let family = MetricsFamily::new(&mut registry);
        let (gone, stays) = (family.of("gone"), family.of("stays"));
        for class in Class::WORDS {
            for metrics in [&gone, &stays] {
                metrics.started();
                metrics.ended(&Outcome::Retry(Failure::from(class)), Duration::ZERO);
            }
        }
        family.forget("gone");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("metrics");
        let lines = |name: &str| text.lines().filter(|line| line.contains(name)).count();
        assert_eq!(lines("\"gone\""), 0, "{text}");
        assert!(lines("\"stays\"") > Class::WORDS.len(), "{text}");
        // What is counted is not lost with the lane, and is not kept for ever.
        drop(gone);
        let attempts = u64::try_from(Class::WORDS.len()).expect("they are few");
        let activities = family.activities();
        assert_eq!(activities.take().len(), 2);
        activities.put_back(&[("gone".to_owned(), attempts)]);
        assert_eq!(activities.take(), [("gone".to_owned(), attempts)]);
        assert_eq!(activities.0.lock().expect("no panic").len(), 1);
    }
}
