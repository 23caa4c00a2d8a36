//! Counts of the spool.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

/// Why events are dropped. All are there from the start, so that the first drop is an increase.
const REASONS: [&str; 5] = ["full", "oldest", "superseded", "too_old", "unreadable"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Webhook {
    webhook: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    webhook: String,
    reason: &'static str,
}

/// The metrics of the spool and of all webhooks in it.
#[derive(Debug, Clone, Default)]
pub struct MetricsFamily {
    waiting: Family<Webhook, Waiting>,
    dropped: Family<Dropped, Counter>,
    dropped_letters: Family<Webhook, Counter>,
    used: Gauge,
    bound: Gauge,
    failures: Counter,
}

impl MetricsFamily {
    /// Returns the metrics, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let family = Self::default();
        registry.register(
            "waiting_deliveries",
            "Deliveries that are accepted and not settled",
            family.waiting.clone(),
        );
        registry.register(
            "dropped_events",
            "Events that were dropped for a webhook, by why",
            family.dropped.clone(),
        );
        registry.register(
            "dropped_dead_letters",
            "Dead letters that were removed as they were too old or too many",
            family.dropped_letters.clone(),
        );
        registry.register_with_unit(
            "spool_used",
            "What the spool's database holds",
            Unit::Bytes,
            family.used.clone(),
        );
        registry.register_with_unit(
            "spool_max",
            "The most that events may take of the disk: spool.max_bytes; 0 for a spool in memory",
            Unit::Bytes,
            family.bound.clone(),
        );
        registry.register(
            "spool_failures",
            "Writes and reads of the spool that failed",
            family.failures.clone(),
        );
        family
    }

    /// Returns the metrics of one webhook.
    pub(super) fn of(&self, webhook: &str) -> Metrics {
        let labels = Webhook {
            webhook: webhook.to_owned(),
        };
        let dropped = REASONS.map(|reason| {
            let webhook = webhook.to_owned();
            self.dropped
                .get_or_create_owned(&Dropped { webhook, reason })
        });
        let [full, ..] = dropped;
        Metrics {
            webhook: webhook.to_owned(),
            waiting: self.waiting.get_or_create_owned(&labels),
            full,
            dropped: self.dropped.clone(),
            dropped_letters: self.dropped_letters.get_or_create_owned(&labels),
        }
    }

    /// Shows nothing more of what waits for a webhook that leaves.
    pub(super) fn left(&self, webhook: &str) {
        let webhook = webhook.to_owned();
        self.waiting.remove(&Webhook { webhook });
    }

    /// Shows nothing more of a webhook that has gone.
    pub(super) fn forget(&self, webhook: &str) {
        self.left(webhook);
        for reason in REASONS {
            let webhook = webhook.to_owned();
            self.dropped.remove(&Dropped { webhook, reason });
        }
        let webhook = webhook.to_owned();
        self.dropped_letters.remove(&Webhook { webhook });
    }

    pub(super) fn used(&self, bytes: u64) {
        self.used.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn bound(&self, bytes: u64) {
        self.bound.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }
}

/// The metrics of one webhook.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    webhook: String,
    pub(super) waiting: Waiting,
    full: Counter,
    dropped: Family<Dropped, Counter>,
    dropped_letters: Counter,
}

impl Metrics {
    pub(super) fn webhook(&self) -> &str {
        &self.webhook
    }

    /// Counts an event that there was no room for.
    pub(super) fn refused(&self) {
        self.full.inc();
    }

    /// Counts dead letters that were removed from the store.
    pub(super) fn dropped_letters(&self, count: u64) {
        self.dropped_letters.inc_by(count);
    }

    /// Counts deliveries that were removed from the store.
    pub(super) fn dropped_stored(&self, reason: &'static str, deliveries: u64) {
        let labels = Dropped {
            webhook: self.webhook.clone(),
            reason,
        };
        self.dropped.get_or_create(&labels).inc_by(deliveries);
    }
}

/// How many deliveries wait: a gauge of what is only in memory and of what the store has.
///
/// Other processes change the store, so it is asked after every commit.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    memory: AtomicI64,
    disk: AtomicI64,
}

impl Waiting {
    /// Notes that a delivery is in memory and not on disk.
    pub(super) fn entered(&self) {
        self.0.memory.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that such a delivery has ended, or is on disk now.
    pub(super) fn left(&self) {
        self.0.memory.fetch_sub(1, Ordering::AcqRel);
    }

    /// Notes how many are on disk.
    pub(super) fn set_on_disk(&self, deliveries: u64) {
        let deliveries = i64::try_from(deliveries).unwrap_or(i64::MAX);
        self.0.disk.store(deliveries, Ordering::Release);
    }

    /// Returns how many are on disk.
    pub(super) fn on_disk(&self) -> usize {
        usize::try_from(self.0.disk.load(Ordering::Acquire)).unwrap_or(0)
    }

    /// Returns how many there are, of both.
    pub(super) fn get(&self) -> usize {
        usize::try_from(self.sum()).unwrap_or(0)
    }

    fn sum(&self) -> i64 {
        self.0.memory.load(Ordering::Acquire) + self.0.disk.load(Ordering::Acquire)
    }
}

impl TypedMetric for Waiting {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for Waiting {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.sum())
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
