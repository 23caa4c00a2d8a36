//! Counts of the connections to the broker.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The label of all these metrics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    /// What the connection is for: `messages`, `lifecycle` or a share group's.
    connection: String,
}

/// The metrics of all connections.
#[derive(Debug, Clone, Default)]
pub struct MetricsFamily {
    up: Family<Labels, Gauge>,
    connects: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    malformed: Family<Labels, Counter>,
    left: Family<Labels, Counter>,
}

impl MetricsFamily {
    /// Returns the metrics, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let family = Self::default();
        let registry = registry.sub_registry_with_prefix("broker");
        registry.register(
            "up",
            "Whether everything is subscribed to at the broker",
            family.up.clone(),
        );
        registry.register(
            "connects",
            "Connections that got all their subscriptions",
            family.connects.clone(),
        );
        registry.register(
            "connection_failures",
            "Connections and attempts that failed",
            family.failures.clone(),
        );
        registry.register(
            "malformed_messages",
            "Messages whose topic is not one, left out",
            family.malformed.clone(),
        );
        registry.register(
            "untaken_messages",
            "QoS 0 messages left out while shutting down",
            family.left.clone(),
        );
        family
    }

    /// Returns the metrics of one connection.
    #[must_use]
    pub fn of(&self, connection: &str) -> Metrics {
        let labels = Labels {
            connection: connection.to_owned(),
        };
        Metrics {
            up: self.up.get_or_create_owned(&labels),
            connects: self.connects.get_or_create_owned(&labels),
            failures: self.failures.get_or_create_owned(&labels),
            malformed: self.malformed.get_or_create_owned(&labels),
            left: self.left.get_or_create_owned(&labels),
        }
    }
}

/// The metrics of one connection.
#[derive(Debug, Clone)]
pub struct Metrics {
    up: Gauge,
    connects: Counter,
    failures: Counter,
    malformed: Counter,
    left: Counter,
}

impl Metrics {
    /// Notes that everything is subscribed to, over a connection that is new or not.
    pub(super) fn subscribed(&self, is_new: bool) {
        self.up.set(1);
        self.connects.inc_by(u64::from(is_new));
    }

    pub(super) fn failed(&self) {
        self.up.set(0);
        self.failures.inc();
    }

    pub(super) fn ended(&self) {
        self.up.set(0);
    }

    pub(super) fn malformed(&self) {
        self.malformed.inc();
    }

    /// Counts a message that was not taken; with QoS 1 the broker still has it.
    pub(super) fn left(&self, qos: u8) {
        if qos == 0 {
            self.left.inc();
        }
    }
}
