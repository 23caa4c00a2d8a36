//! Counts of devices.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of devices.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    known: Gauge,
    unregistered: Counter,
    unobserved: Counter,
}

impl Metrics {
    /// Returns the metrics, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "devices",
            "Devices that are remembered",
            metrics.known.clone(),
        );
        registry.register(
            "unregistered_devices",
            "Times that a client connected and was not remembered, as there are too many or its identifier is too long",
            metrics.unregistered.clone(),
        );
        registry.register(
            "unobserved_clients",
            "What was told of clients and is not known of devices, as too much waited",
            metrics.unobserved.clone(),
        );
        metrics
    }

    pub(super) fn known(&self, devices: u64) {
        self.known.set(i64::try_from(devices).unwrap_or(i64::MAX));
    }

    pub(super) fn unregistered(&self) {
        self.unregistered.inc();
    }

    pub(super) fn unobserved(&self) {
        self.unobserved.inc();
    }
}
