//! Publishing: now and then a message of mqhook's own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::link::{Link, LinkEvent, Persistence};
use super::{Cause, Config, Problem, Protocol};
use crate::backoff::Backoff;
use crate::event::TopicName;

/// The most messages that are published over one connection.
const BATCH: usize = 16;

/// Between attempts to publish.
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_secs(1),
    factor: 2.0,
    max: Duration::from_mins(1),
};

/// Publishes messages to one topic, at QoS 1, over connections that last no longer than that takes.
pub struct Announcer {
    /// How to reach the broker.
    pub config: Arc<Config>,
    /// TLS for it; present if the broker's URL asks for TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// The connections' client identifier.
    pub client_id: String,
    /// Where to publish to.
    pub topic: TopicName,
    /// What to publish. What the sender has no room for is lost.
    pub payloads: mpsc::Receiver<Bytes>,
}

impl Announcer {
    /// Publishes until `stop`.
    ///
    /// # Cancel safety
    /// Dropping the future may leave messages unpublished, or published and not acknowledged.
    pub async fn run(mut self, stop: CancellationToken) {
        let publishing = async {
            let mut protocol = self.config.protocol.unwrap_or(Protocol::V5);
            let mut batch = Vec::with_capacity(BATCH);
            // The sender lives as long as the lanes.
            while self.payloads.recv_many(&mut batch, BATCH).await > 0 {
                self.publish_all(&batch, &mut protocol).await;
                batch.clear();
            }
            std::future::pending::<()>().await;
        };
        let _ = stop.run_until_cancelled(publishing).await;
    }

    /// Tries until the broker has taken them.
    async fn publish_all(&self, batch: &[Bytes], protocol: &mut Protocol) {
        let mut failures = 0;
        loop {
            let link = self.link(*protocol).await;
            let limit = 2 * self.config.connect_timeout;
            let published = tokio::time::timeout(limit, Box::pin(self.publish(link, batch))).await;
            let problem = match published {
                Ok(Ok(())) => return,
                Ok(Err(problem)) => problem,
                Err(_elapsed) => Problem::new(Cause::Timeout, ""),
            };
            if problem.cause == Cause::ProtocolVersion && self.config.protocol.is_none() {
                *protocol = Protocol::V4;
            }
            failures += 1;
            if failures == 1 {
                warn!(client_id = self.client_id, %problem, "cannot publish a notice yet");
            }
            tokio::time::sleep(BACKOFF.delay(failures, rand::random())).await;
        }
    }

    async fn link(&self, protocol: Protocol) -> Link {
        let tls = self.tls.as_ref();
        let persistence = Persistence::None;
        Link::new(&self.config, &self.client_id, protocol, persistence, tls).await
    }

    async fn publish(&self, mut link: Link, batch: &[Bytes]) -> Result<(), Problem> {
        let mut unacknowledged = batch.len();
        loop {
            match link.poll().await? {
                LinkEvent::Connected { .. } => {
                    for payload in batch {
                        link.publish(&self.topic, payload.clone());
                    }
                }
                LinkEvent::Published => {
                    unacknowledged -= 1;
                    if unacknowledged == 0 {
                        link.disconnect();
                    }
                }
                LinkEvent::Disconnecting => return Ok(()),
                _ => {}
            }
        }
    }
}
