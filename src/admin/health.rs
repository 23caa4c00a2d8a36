//! Whether events arrive.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dialect;
use crate::intake::Hearsay;
use crate::mqtt::Status;

/// Whether mqhook does its work, for `/ready`, systemd, and whoever embeds mqhook.
#[derive(Debug, Clone)]
pub struct Health {
    broker: Arc<RwLock<Broker>>,
    /// Why the spool cannot be written; none while it can.
    spool: watch::Receiver<Option<String>>,
    closing: CancellationToken,
}

/// What there is of the broker, which changes with the rules.
#[derive(Debug, Clone)]
struct Broker {
    connections: Arc<[Watched]>,
    /// What is known of how the broker tells; `None` if no rule needs to know.
    hearsay: Option<watch::Receiver<Hearsay>>,
}

/// A connection to the broker that is watched.
#[derive(Debug, Clone)]
pub struct Watched {
    /// What it is for.
    pub name: String,
    /// How it is.
    pub status: watch::Receiver<Status>,
}

impl Health {
    /// Returns the health of these connections; it is bad from `closing` on.
    #[must_use]
    pub fn new(
        connections: Vec<Watched>,
        hearsay: Option<watch::Receiver<Hearsay>>,
        spool: watch::Receiver<Option<String>>,
        closing: CancellationToken,
    ) -> Self {
        let connections = connections.into();
        Self {
            broker: Arc::new(RwLock::new(Broker {
                connections,
                hearsay,
            })),
            spool,
            closing,
        }
    }

    /// Goes by other connections from now on.
    pub fn watch(&self, connections: Vec<Watched>, hearsay: Option<watch::Receiver<Hearsay>>) {
        let mut broker = self.broker.write().unwrap_or_else(PoisonError::into_inner);
        *broker = Broker {
            connections: connections.into(),
            hearsay,
        };
    }

    fn broker(&self) -> Broker {
        let broker = self.broker.read().unwrap_or_else(PoisonError::into_inner);
        broker.clone()
    }

    /// Returns whether the spool can be written, every connection is subscribed and, if a rule needs that, the broker tells of
    /// its clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let tells = |hearsay: &watch::Receiver<Hearsay>| {
            let hearsay = hearsay.borrow();
            hearsay.is_settled && hearsay.advice.is_none()
        };
        let broker = self.broker();
        !self.closing.is_cancelled()
            && self.spool.borrow().is_none()
            && broker
                .connections
                .iter()
                .all(|connection| connection.status.borrow().is_ready())
            && broker.hearsay.as_ref().is_none_or(tells)
    }

    /// Returns the connections to the broker.
    #[must_use]
    pub fn connections(&self) -> Arc<[Watched]> {
        self.broker().connections
    }

    /// Returns how the broker tells of its clients, where that is known and a rule needs it.
    #[must_use]
    pub fn dialect(&self) -> Option<dialect::Name> {
        self.broker().hearsay.as_ref()?.borrow().dialect
    }

    /// Returns why the broker does not tell of its clients, and what to do about it; `None` where it does, or no rule needs it.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        self.broker().hearsay.as_ref()?.borrow().advice.clone()
    }

    /// Returns why the spool cannot be written; `None` while it can.
    #[must_use]
    pub fn spool_failure(&self) -> Option<String> {
        self.spool.borrow().clone()
    }

    /// Waits until mqhook is ready, or all but the broker's telling of its clients is.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn ready(&self) {
        let broker = self.broker();
        for connection in broker.connections.iter() {
            // A connection that has ended is never ready.
            let _ = connection.status.clone().wait_for(Status::is_ready).await;
        }
        if let Some(hearsay) = &broker.hearsay {
            let _ = hearsay.clone().wait_for(|hearsay| hearsay.is_settled).await;
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.closing.is_cancelled(), self.is_ready()) {
            (true, _) => "shutting down\n",
            (false, true) => "ready\n",
            (false, false) => "not ready\n",
        })?;
        let broker = self.broker();
        for connection in broker.connections.iter() {
            writeln!(f, "{}: {}", connection.name, *connection.status.borrow())?;
        }
        if let Some(failure) = self.spool.borrow().as_deref() {
            writeln!(f, "spool: {failure}")?;
        }
        let Some(hearsay) = &broker.hearsay else {
            return Ok(());
        };
        let hearsay = hearsay.borrow();
        match (hearsay.dialect, hearsay.is_settled) {
            (Some(dialect), _) => writeln!(f, "dialect: {dialect}")?,
            (None, true) => writeln!(f, "dialect: unknown")?,
            (None, false) => writeln!(f, "dialect: finding out")?,
        }
        match &hearsay.advice {
            Some(advice) => writeln!(f, "the broker does not tell of its clients: {advice}"),
            None => Ok(()),
        }
    }
}
