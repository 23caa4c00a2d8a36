//! Intake: from what the broker sends to accepted events.
//!
//! Two listeners on connections of their own. [`Messages`] makes each PUBLISH an event and asks
//! the rules where it goes. [`Lifecycle`] hears what the broker tells of its clients, through a
//! dialect that it finds out if it must. [`Probe`] tests that the broker tells at all.
//! [`Publishers`] learns who published a message, if the broker has mqhook's plugin.
//! What mqhook's own connections cause makes no events.

mod hearsay;
mod lifecycle;
mod messages;
mod metrics;
mod own;
mod probe;
mod publishers;

pub use hearsay::Hearsay;
pub use lifecycle::Lifecycle;
pub use messages::Messages;
pub use metrics::Metrics;
pub use own::OwnClients;
pub use probe::Probe;
pub use publishers::Publishers;
