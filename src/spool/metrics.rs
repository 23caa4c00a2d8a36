//! Counts of the spool.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

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
    waiting: Family<Webhook, Gauge>,
    dropped: Family<Dropped, Counter>,
    used: Gauge,
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
        registry.register_with_unit(
            "spool_used",
            "What the spool's database holds",
            Unit::Bytes,
            family.used.clone(),
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
        let full = Dropped {
            webhook: webhook.to_owned(),
            reason: "full",
        };
        Metrics {
            webhook: webhook.to_owned(),
            waiting: self.waiting.get_or_create_owned(&labels),
            full: self.dropped.get_or_create_owned(&full),
            dropped: self.dropped.clone(),
        }
    }

    pub(super) fn used(&self, bytes: u64) {
        self.used.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }
}

/// The metrics of one webhook.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    webhook: String,
    waiting: Gauge,
    full: Counter,
    dropped: Family<Dropped, Counter>,
}

impl Metrics {
    pub(super) fn webhook(&self) -> &str {
        &self.webhook
    }

    pub(super) fn entered(&self) {
        self.waiting.inc();
    }

    pub(super) fn ended(&self) {
        self.waiting.dec();
    }

    /// Counts an event that there was no room for.
    pub(super) fn refused(&self) {
        self.full.inc();
    }

    /// Counts deliveries that were removed from the store.
    pub(super) fn dropped_stored(&self, reason: &'static str, deliveries: u64) {
        let labels = Dropped {
            webhook: self.webhook.clone(),
            reason,
        };
        self.dropped.get_or_create(&labels).inc_by(deliveries);
        self.waiting
            .dec_by(i64::try_from(deliveries).unwrap_or(i64::MAX));
    }

    pub(super) fn set_waiting(&self, deliveries: u64) {
        self.waiting
            .set(i64::try_from(deliveries).unwrap_or(i64::MAX));
    }

    pub(super) fn waiting(&self) -> usize {
        usize::try_from(self.waiting.get()).unwrap_or(0)
    }
}
