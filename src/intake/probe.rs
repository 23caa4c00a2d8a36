//! The self-test: does the broker tell when a client connects?
//!
//! A broker that does not tell, because its log goes elsewhere or its ACL hides it, looks exactly
//! like a broker where nothing happens. So whenever the subscriptions are made, a probe connects
//! under an identifier of its own, and must be heard to. The topic under which it is heard also
//! gives away the dialect of a broker that is not known yet.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Hearsay, OwnClients};
use crate::dialect::Name;
use crate::mqtt::{self, Link, Persistence, Problem, Protocol};

/// Longest time from the probe's connection to hearing of it.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// How soon a probe that was not heard is repeated: the operator may have mended the ACL.
const REPEAT_AFTER: Duration = Duration::from_mins(1);

/// Tests that the broker tells of its clients.
pub struct Probe {
    /// How to reach the broker.
    pub config: Arc<mqtt::Config>,
    /// TLS for it; present if the broker's URL asks for TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// Makes identifiers.
    pub own: OwnClients,
    /// Wakes when the lifecycle subscriptions are made.
    pub subscribed: Arc<Notify>,
    /// What the lifecycle listener hears.
    pub hearsay: watch::Sender<Hearsay>,
    /// How the lifecycle connection is; tells the version of MQTT to speak.
    pub status: watch::Receiver<mqtt::Status>,
}

impl Probe {
    /// Probes after every subscription, until `stop`.
    ///
    /// # Cancel safety
    /// Dropping the future ends the probe.
    pub async fn run(self, stop: CancellationToken) {
        let probing = Box::pin(self.probe_for_ever());
        let _ = stop.run_until_cancelled(probing).await;
    }

    async fn probe_for_ever(&self) {
        loop {
            let is_silent = self.hearsay.borrow().advice.is_some();
            if is_silent {
                let _ = tokio::time::timeout(REPEAT_AFTER, self.subscribed.notified()).await;
            } else {
                self.subscribed.notified().await;
            }
            self.probe().await;
        }
    }

    async fn probe(&self) {
        let status = self.status.borrow().clone();
        let mqtt::Status::Subscribed(protocol) = status else {
            return;
        };
        if self.hearsay.borrow().dialect == Some(Name::Plain) {
            return;
        }
        let client_id = self.own.probe();
        let mut hearsay = self.hearsay.subscribe();
        let is_it = |hearsay: &Hearsay| hearsay.probe.as_deref() == Some(client_id.as_str());
        let trial = async {
            self.visit(&client_id, protocol).await?;
            // It fails only when the listener is gone, and then the probe ends, too.
            let _ = hearsay.wait_for(is_it).await;
            Ok::<(), Problem>(())
        };
        let was_heard = match tokio::time::timeout(HEARD_WITHIN, Box::pin(trial)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(problem)) => Err(format!(
                "a client that tests this cannot connect: {problem}"
            )),
            Err(_elapsed) => Err(advice(&self.hearsay.borrow())),
        };
        // If the broker went away meanwhile, that says nothing; there will be another probe.
        let is_connected = self.status.borrow().is_ready();
        if is_connected {
            self.conclude(was_heard.err());
        }
    }

    /// Connects and leaves again.
    async fn visit(&self, client_id: &str, protocol: Protocol) -> Result<(), Problem> {
        let tls = self.tls.as_ref();
        let link = Link::new(&self.config, client_id, protocol, Persistence::None, tls).await;
        link.visit().await
    }

    /// Says what came of it, if that is news.
    fn conclude(&self, advice: Option<String>) {
        let known = self.hearsay.borrow().clone();
        match (&advice, &known.advice) {
            (Some(advice), said) if said.as_ref() != Some(advice) => {
                warn!("the broker does not tell of its clients: {advice}");
            }
            (None, None) if known.is_settled => {}
            (None, _) => info!("the broker tells of its clients"),
            _ => {}
        }
        self.hearsay.send_modify(|hearsay| {
            hearsay.is_settled = true;
            hearsay.advice = advice;
        });
    }
}

/// Returns what the operator must do for a silent broker to tell.
fn advice(known: &Hearsay) -> String {
    match (known.dialect, known.heard) {
        (Some(Name::Mosquitto), true) => {
            "its log arrives without connections; put this into mosquitto.conf: `connection_messages true` and `log_type all`".to_owned()
        }
        (Some(name), _) => name.decoder().setup().to_owned(),
        (None, _) => {
            let setups = Name::ALL.map(|name| (name, name.decoder().setup()));
            let lines = setups
                .iter()
                .filter(|(_, setup)| !setup.is_empty())
                .map(|(name, setup)| format!("\n{name}: {setup}"));
            format!(
                "mqhook hears nothing under `$SYS/#`. If its ACL hides that, let mqhook's user subscribe to it. Otherwise, by broker:{}",
                lines.collect::<String>()
            )
        }
    }
}
