//! A broker, a receiver and the sidecar between them: what most end-to-end tests begin with.
//!
//! The configuration is TOML, in which `{receiver}` stands for the receiver's URL. The keys
//! `broker.url` and `admin.listen` are put in front of it, the former only if it is not there.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::client::{Client, Connect, Publish, Version};
use crate::http;
use crate::mosquitto::{Builder, Mosquitto};
use crate::port::free_port;
use crate::receiver::Receiver;
use crate::sidecar::Sidecar;
use crate::wire::PATIENCE;

/// Pause between two questions to the admin interface.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Everything that runs in a test; dropping it ends the sidecar first.
pub struct Setup {
    /// The sidecar.
    pub sidecar: Sidecar,
    /// The port of its admin interface.
    pub admin: u16,
    /// The receiver behind `{receiver}`.
    pub receiver: Receiver,
    /// The broker.
    pub broker: Mosquitto,
}

impl Setup {
    /// Starts everything and waits until the sidecar is ready.
    pub async fn start(binary: &str, broker: Builder, config: &str) -> Self {
        let mut setup = Self::launch(binary, broker.start(), Receiver::start(), config);
        setup.wait_ready().await;
        setup
    }

    /// Starts the sidecar only, and does not wait.
    #[must_use]
    pub fn launch(binary: &str, broker: Mosquitto, receiver: Receiver, config: &str) -> Self {
        let admin = free_port();
        let config = complete(config, &broker.url(), &receiver.url(), admin);
        Self {
            sidecar: Sidecar::start(binary, &config, "toml"),
            admin,
            receiver,
            broker,
        }
    }

    /// Waits until `GET /ready` answers 200.
    pub async fn wait_ready(&mut self) {
        self.sidecar.wait_ready(self.admin).await;
    }

    /// Returns the status and the text of `GET /ready`.
    pub async fn readiness(&self) -> (u16, String) {
        http::get(self.admin, "/ready").await
    }

    /// Waits until `GET /ready` answers 503 with a text that has these parts.
    pub async fn wait_unready(&self, parts: &[&str]) {
        let mut last = None;
        let asking = async {
            loop {
                last = http::try_request(self.admin, "GET", "/ready", "").await;
                match &last {
                    Some((503, text)) if parts.iter().all(|part| text.contains(part)) => return,
                    _ => sleep(ASK_AGAIN).await,
                }
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
            panic!("expected 503 with {parts:?} within {PATIENCE:?}, last was {last:?}")
        });
    }

    /// Returns the value of a series of whole numbers, labels included.
    pub async fn metric(&self, series: &str) -> u64 {
        whole(self.sidecar.metric(self.admin, series).await)
    }

    /// Waits until a series of whole numbers exists and fulfils a condition; returns its value.
    pub async fn wait_for_metric(&self, series: &str, condition: impl Fn(u64) -> bool) -> u64 {
        let value = self
            .sidecar
            .wait_for_metric(self.admin, series, |value| condition(whole(value)));
        whole(value.await)
    }

    /// Opens a version 5 session on the plain listener.
    pub async fn client(&self, client_id: &str) -> Client {
        Connect::new(Version::V5, client_id)
            .open(self.broker.port())
            .await
    }

    /// Publishes one message at QoS 1 from a client of its own; the broker has it on return.
    pub async fn publish(&self, topic: &str, payload: &str) {
        let message = Publish::new(topic, payload.to_owned()).qos(1);
        let mut client = self.client("publisher").await;
        assert!(
            client.publish(&message).await < 0x80,
            "expected {topic} to be taken"
        );
        client.disconnect().await;
    }
}

/// Returns a configuration with the addresses put in.
#[must_use]
pub fn complete(config: &str, broker: &str, receiver: &str, admin: u16) -> String {
    let admin = format!("admin.listen = \"127.0.0.1:{admin}\"\n");
    let broker = if config.contains("broker.url") {
        String::new()
    } else {
        format!("broker.url = \"{broker}\"\n")
    };
    admin + &broker + &config.replace("{receiver}", receiver)
}

/// Returns a count as what it is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are neither negative nor beyond 2^53"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
