//! mqhook turns what happens at an MQTT broker into HTTP requests.
#![allow(missing_docs)]
pub mod ack;
pub mod backoff;
pub mod envelope;
pub mod event;
pub mod http;
pub mod mqtt;
pub mod payload;
pub mod rule;
pub mod sink;
pub mod tls;
