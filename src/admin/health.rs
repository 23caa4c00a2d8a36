//! Whether events arrive.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dialect;
use crate::intake::Hearsay;
use crate::mqtt::Status;

/// Whether mqhook does its work, for `/ready`, systemd, and whoever embeds mqhook.
#[derive(Debug, Clone)]
pub struct Health {
    connections: Arc<[Watched]>,
    /// What is known of how the broker tells; `None` if no rule needs to know.
    hearsay: Option<watch::Receiver<Hearsay>>,
    /// Why the spool cannot be written; none while it can.
    spool: watch::Receiver<Option<String>>,
    closing: CancellationToken,
}

/// A connection to the broker that is watched.
#[derive(Debug)]
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
        Self {
            connections: connections.into(),
            hearsay,
            spool,
            closing,
        }
    }

    /// Returns whether the spool can be written, every connection is subscribed and, if a rule needs that, the broker tells of
    /// its clients.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let tells = |hearsay: &watch::Receiver<Hearsay>| {
            let hearsay = hearsay.borrow();
            hearsay.is_settled && hearsay.advice.is_none()
        };
        !self.closing.is_cancelled()
            && self.spool.borrow().is_none()
            && self
                .connections
                .iter()
                .all(|connection| connection.status.borrow().is_ready())
            && self.hearsay.as_ref().is_none_or(tells)
    }

    /// Returns the connections to the broker.
    #[must_use]
    pub fn connections(&self) -> &[Watched] {
        &self.connections
    }

    /// Returns how the broker tells of its clients, where that is known and a rule needs it.
    #[must_use]
    pub fn dialect(&self) -> Option<dialect::Name> {
        self.hearsay.as_ref()?.borrow().dialect
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
        for connection in self.connections.iter() {
            // A connection that has ended is never ready.
            let _ = connection.status.clone().wait_for(Status::is_ready).await;
        }
        if let Some(hearsay) = &self.hearsay {
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
        for connection in self.connections.iter() {
            writeln!(f, "{}: {}", connection.name, *connection.status.borrow())?;
        }
        if let Some(failure) = self.spool.borrow().as_deref() {
            writeln!(f, "spool: {failure}")?;
        }
        let Some(hearsay) = &self.hearsay else {
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
