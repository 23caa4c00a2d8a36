//! mqhook turns what happens at an MQTT broker into HTTP requests.
#![allow(missing_docs)]
pub mod event;
