//! mqhook turns what happens at an MQTT broker into HTTP requests.
#![allow(missing_docs)]
pub mod envelope;
pub mod event;
pub mod payload;
pub mod rule;
