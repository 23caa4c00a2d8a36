//! Counts of the delivery log.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dropped {
    reason: &'static str,
}

/// The metrics of the log.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    rate: Counter,
    queue: Counter,
    disk: Counter,
}

impl Metrics {
    /// Returns the metrics, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let dropped = Family::<Dropped, Counter>::default();
        registry.register(
            "delivery_log_dropped",
            "Attempts that are missing in the delivery log: too many failed (rate), too many waited to be written (queue), \
             or they could not be (disk)",
            dropped.clone(),
        );
        let of = |reason| dropped.get_or_create_owned(&Dropped { reason });
        Self {
            rate: of("rate"),
            queue: of("queue"),
            disk: of("disk"),
        }
    }

    pub(super) fn left_out(&self) {
        self.rate.inc();
    }

    pub(super) fn not_queued(&self) {
        self.queue.inc();
    }

    pub(super) fn not_written(&self, count: usize) {
        self.disk.inc_by(count as u64);
    }

    /// Returns how many are missing for want of time or space.
    pub(super) fn missing(&self) -> u64 {
        self.queue.get() + self.disk.get()
    }
}
