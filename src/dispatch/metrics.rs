//! Counts of the lanes.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::sink::Outcome;
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
        family
    }

    /// Shows nothing more of how a webhook is that has gone.
    pub fn forget(&self, webhook: &str) {
        let labels = Webhook {
            webhook: webhook.to_owned(),
        };
        for gauges in [&self.in_flight, &self.enabled, &self.breaker] {
            gauges.remove(&labels);
        }
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
}

impl Metrics {
    pub(super) fn started(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self, outcome: &Outcome, took: Duration) {
        self.in_flight.dec();
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
