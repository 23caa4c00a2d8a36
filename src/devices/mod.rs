//! Devices: which clients there are, and events of their own that tell what becomes of them.
//!
//! ```text
//! lifecycle --Observation--> registrar --known?--> spool (the store's table `devices`)
//!                               |  registry: what follows from it?
//!                               +--row and events, in one transaction--> spool
//! ```
//!
//! A device is a client that was accepted once. [`Observer`] sees what the broker tells of clients and hands
//! it to the [`Registrar`], a task, which asks the store what is remembered, of many at a time, and
//! keeps what was needed last. [`registry`] decides, without I/O, what is new of a device and which
//! events tell it.
//!
//! | heard | the device | told |
//! |---|---|---|
//! | accepted | is not remembered | `on_device_provisioned`, `on_device_status_changed` |
//! | accepted | was not connected when it was heard of last | `on_device_status_changed` |
//! | the connection ended, but not by another one of the client | was not disconnected | `on_device_status_changed` |
//! | refused | was not connected, and was not refused | `on_device_status_changed` |
//! | published a message in this watch | was not connected before the watch | `on_device_status_changed` |
//! | the broker has no connections but ours | was connected before the watch | `on_device_status_changed` |
//! | its session expired; or it was not seen for long; or it was removed | | `on_device_decommissioned` |
//!
//! What happened while nobody listened is not known, so nothing is made up: a device that was connected
//! before is neither told to be gone nor to be back, unless what the broker says of itself proves that
//! ([`reckoning`]). It is remembered under the number of the **watch** in
//! which it was heard of last: a time of listening without a gap. One that was heard of in an
//! earlier watch is shown as `unknown`, and compared with what was told of it last.

mod cache;
mod metrics;
mod observer;
mod presence;
mod reckoning;
mod registrar;
pub mod registry;
mod witness;

use std::time::Duration;

use crate::pattern::Pattern;

pub use metrics::Metrics;
pub use observer::Observer;
pub use registrar::{Registrar, Route};
pub use witness::{Witness, Witnesses};

/// Which clients are remembered, and for how long; the `devices` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether devices are remembered though no rule asks for their events; default no.
    pub enabled: bool,
    /// Whose client identifier makes a device; `None`, the default: anybody's.
    pub client_id: Option<Pattern>,
    /// How long a device is remembered that is not connected and not seen; `None`, the default: for ever.
    pub retire_after: Option<Duration>,
    /// The most devices; further clients are not remembered. Default 1,000,000.
    pub max_devices: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: false,
            client_id: None,
            retire_after: None,
            max_devices: 1_000_000,
        }
    }
}

/// Returns the two ends between which observations wait.
#[must_use]
pub fn channel(config: &Config, metrics: Metrics) -> (Observer, registrar::Queue) {
    observer::channel(config.client_id.clone(), metrics)
}

#[cfg(test)]
mod tests;
