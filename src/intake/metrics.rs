//! Counts of what came in.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::event::Kind;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    kind: &'static str,
}

/// The metrics of the intake.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// By the number of the kind.
    events: [Counter; Kind::ALL.len()],
    unreadable: Counter,
    replays: Counter,
}

impl Metrics {
    /// Returns the metrics, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let events: Family<Labels, Counter> = Family::default();
        registry.register("events", "Events that some webhook wants", events.clone());
        let unreadable = Counter::default();
        registry.register(
            "unreadable_messages",
            "What the broker told of its clients and could not be read",
            unreadable.clone(),
        );
        let replays = Counter::default();
        registry.register(
            "retained_replays",
            "Retained messages that were left out, as they came because of a subscription",
            replays.clone(),
        );
        Self {
            events: Kind::ALL.map(|kind| events.get_or_create_owned(&Labels { kind: kind.name() })),
            unreadable,
            replays,
        }
    }

    /// Counts an event that some webhook wants.
    pub fn event(&self, kind: Kind) {
        self.events[kind as usize].inc();
    }

    /// Returns how many events of each kind some webhook wanted.
    #[must_use]
    pub fn events(&self) -> [(Kind, u64); Kind::ALL.len()] {
        Kind::ALL.map(|kind| (kind, self.events[kind as usize].get()))
    }

    pub(super) fn unreadable(&self) {
        self.unreadable.inc();
    }

    pub(super) fn replay(&self) {
        self.replays.inc();
    }
}
