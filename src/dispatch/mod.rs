//! Dispatch: from accepted events to attempts.
//!
//! Every webhook has a [`Lane`] of its own: the spool's queues come in, attempts go out, and what
//! came of them goes back to the spool. One webhook never delays another: each has a limit of
//! attempts in flight, a breaker and a record of failures of its own.

mod flights;
mod gather;
mod lane;
mod latest;
mod limit;
mod log;
mod metrics;
mod notice;
mod order;
mod record;
mod schedule;
mod sequence;
mod turns;

use std::sync::Arc;

use crate::event::Happening;
use crate::retry::{self, breaker};

pub use gather::Batch;
pub use lane::Lane;
pub use limit::Rate;
pub use metrics::{Activities, Metrics, MetricsFamily};
pub use sequence::{OrderBy, Sequence};

/// How one webhook's deliveries are attempted.
#[derive(Debug, Clone)]
pub struct Config {
    /// The webhook's name, for logs and metrics.
    pub name: String,
    /// The most attempts at a time; at least 1.
    pub concurrency: usize,
    /// When a delivery is attempted again, and when it is given up.
    pub retry: retry::Policy,
    /// When the webhook is left alone for a while.
    pub breaker: breaker::Config,
    /// When the webhook is disabled.
    pub failure_limit: retry::FailureLimit,
    /// In which order, how many at once and how often.
    pub shaping: Shaping,
}

/// In which order, how many at once and how often a webhook is sent deliveries; by default each as soon
/// as it can be, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shaping {
    /// Which may go before which.
    pub sequence: Sequence,
    /// What goes in one request; none: each by itself.
    pub batch: Option<Batch>,
    /// The most requests in a time; none: as many as there are.
    pub rate_limit: Option<Rate>,
}

/// Tells of what happens to deliveries and webhooks: `on_delivery_failed` and `on_webhook_disabled`.
/// Must not block.
pub type Notify = Arc<dyn Fn(Happening) + Send + Sync>;
