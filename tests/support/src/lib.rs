//! Real things for the tests, the bench and the demo of mqhook to run against.
//!
//! ```no_run
//! use support::{client::{Connect, Publish, Version}, mosquitto::Mosquitto, port, receiver::{Behaviour, Receiver}};
//! # async fn example(bin: &str) {
//! let broker = Mosquitto::builder().log_topics().start();
//! let receiver = Receiver::start();
//! receiver.answer_in_turn([Behaviour::Status(503), Behaviour::Status(204)]);
//! let admin = port::free_port();
//! let config = format!("# .. {} .. {} .. {admin}", broker.url(), receiver.url());
//! let mut sidecar = support::sidecar::Sidecar::start(bin, &config, "toml");
//! sidecar.wait_ready(admin).await;
//! let mut client = Connect::new(Version::V5, "dev 1").open(broker.port()).await;
//! client.publish(&Publish::new("a/b", "21.5").qos(1)).await;
//! assert_eq!(receiver.wait_for(2).await.len(), 2);
//! # }
//! ```
//!
//! Every wait is bounded by ten seconds and panics with what it expected. Nothing sleeps where a
//! condition can be awaited. What a value starts (processes, ports, files) ends when it is dropped.
//! The modules know nothing of mqhook itself, except for the command line in [`sidecar`].
#![forbid(unsafe_code)]

pub mod broker;
pub mod certificates;
mod child;
mod chunked;
pub mod client;
pub mod disk;
pub mod http;
pub mod http2;
pub mod mosquitto;
pub mod plugin;
pub mod port;
pub mod proxy;
pub mod publisher;
pub mod random;
pub mod receiver;
pub mod scripted;
pub mod setup;
pub mod sidecar;
pub mod wait;
mod wire;
