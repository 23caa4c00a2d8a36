//! mqhook turns what happens at an MQTT broker into HTTP requests.
//!
//! ```text
//! broker --PUBLISH--> mqtt --message--> intake --event--> dispatch --attempt--> http --> receiver
//!                      ^                 |  ^                |   ^
//!                      |          dialect+  +rule      append|   |settle
//!                      +----PUBACK, when every delivery----- spool
//! ```
//!
//! [`mqtt`] keeps connections to the broker. [`intake`] makes events of what comes over them: of
//! messages directly, and of what the broker tells of its clients through a [`dialect`]. The
//! [`rule`]s name the webhooks that an event goes to. [`spool`] holds what is accepted, and
//! [`dispatch`] attempts it, one lane per webhook. [`devices`] remembers which clients there are. [`http`] posts an [`envelope`] around the
//! [`event`], in which a [`payload`] encoding makes text of bytes, and [`sign`]s it. A message is acknowledged
//! ([`ack`]) when all its deliveries have settled.
//!
//! [`app`] builds all of it and runs it; [`cli`] is the program around that. A program that wants
//! the events itself gives [`app::App::with_receivers`] a [`sink`] of its own.
//!
//! A module uses only modules above it in the list below; a test checks that.

pub mod telemetry;
pub mod tap;
pub mod backoff;
pub mod retry;
pub mod causes;
pub mod terminal;
pub mod pattern;
pub mod event;
pub mod dialect;
pub mod rule;
pub mod payload;
pub mod template;
pub mod envelope;
pub mod sink;
pub mod credential;
pub mod sign;
pub mod tls;
pub mod http;
pub mod ack;
pub mod mqtt;
pub mod spool;
pub mod delivery_log;
pub mod dispatch;
pub mod debounce;
pub mod devices;
pub mod intake;
pub mod config;
pub mod catalogue;
pub mod admin;
pub mod app;
pub mod cli;
