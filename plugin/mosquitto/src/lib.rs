//! mqhook's plugin for Mosquitto 2.0 and 2.1: tells mqhook who published a message.
//!
//! A subscriber cannot see who published what it gets. So the plugin adds a user property to each
//! message that comes from a client: a [seal](mqhook_seal), which mqhook opens with a key that both know.
//!
//! ```text
//! client --PUBLISH--> broker --MESSAGE event--> Plugin: topic wanted? seal it, add the property
//!                       |
//!                       +--PUBLISH with the seal--> mqhook, and whoever else subscribes
//! ```
//!
//! There is no second message, so nothing comes twice, nothing can get lost or out of step, and no
//! queue can fill. Callbacks run on the broker's only thread: none of them waits, and a panic
//! ends in [`ffi`], the only module with unsafe code. What could not be sealed is counted, and told in
//! the log and under [`STATUS_TOPIC`](plugin::STATUS_TOPIC).
//!
//! Mosquitto tells nothing of a will when it publishes it: wills have no seal.

mod events;
#[expect(unsafe_code, reason = "the plugin interface is C")]
mod ffi;
mod filter;
mod json;
mod plugin;
mod settings;
mod status;

#[cfg(test)]
mod tests;
