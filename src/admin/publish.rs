//! How events of applications get into the data path.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::event::Event;

/// Requests that wait for the data path.
const QUEUE: usize = 64;

/// How long the data path may take to get at a request, and the disk to have its events.
const DEADLINE: Duration = Duration::from_secs(10);

/// Events of one request.
#[derive(Debug)]
pub struct Publication {
    /// The group that they go to.
    pub group: String,
    /// The events, all of which are accepted or none is.
    pub events: Vec<Event>,
    /// Takes what came of it; who waits for it may have given up.
    pub reply: oneshot::Sender<Result<Accepted, Unpublished>>,
}

/// Events that were accepted.
#[derive(Debug)]
pub struct Accepted {
    /// How many webhooks each event goes to.
    pub webhooks: Vec<usize>,
    /// Waits until all are on disk or delivered, where they come there; `None` if none does.
    pub durable: Option<crate::ack::Ledger>,
    /// Whether all survive a crash then, at each webhook that they go to.
    pub is_durable: bool,
}

/// What became of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// How many webhooks each event goes to.
    pub webhooks: Vec<usize>,
    /// Whether they survive a crash.
    pub is_durable: bool,
}

/// Why events were not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unpublished {
    /// None was taken: there is no room.
    #[error("there is no room for it: receivers are behind, and the spool is full")]
    NoRoom,
    /// The data path did not get at it, or its answer came too late.
    #[error("mqhook does not get at it in time; if it is sent again, it may come twice")]
    Busy,
    /// They are on their way, and it is not known when they will survive a crash.
    #[error("it was taken, and is not on disk yet; if it is sent again, it may come twice")]
    NotOnDisk,
    /// None was taken: mqhook is shutting down.
    #[error("mqhook is shutting down")]
    Closing,
}

/// The way into the data path.
#[derive(Debug, Clone)]
pub struct Publisher(mpsc::Sender<Publication>);

impl Publisher {
    /// Returns the way in, and its other end.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Publication>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Publishes events to a group, all or none, and waits until they survive a crash, as far as the spool does.
    ///
    /// # Errors
    /// All variants.
    pub async fn publish(
        &self,
        group: String,
        events: Vec<Event>,
    ) -> Result<Published, Unpublished> {
        let (reply, answer) = oneshot::channel();
        let publication = Publication {
            group,
            events,
            reply,
        };
        let taking = async {
            let sent = self.0.send(publication).await;
            sent.map_err(|_| Unpublished::Closing)?;
            answer.await.map_err(|_| Unpublished::Closing)?
        };
        let accepted = timeout(DEADLINE, taking).await;
        let Accepted {
            webhooks,
            durable,
            is_durable,
        } = accepted.map_err(|_| Unpublished::Busy)??;
        if let Some(ledger) = &durable {
            let on_disk = timeout(DEADLINE, ledger.paid()).await;
            on_disk.map_err(|_| Unpublished::NotOnDisk)?;
        }
        Ok(Published {
            webhooks,
            is_durable,
        })
    }
}

/// What the API needs beside the database and the data path's reins.
#[derive(Debug, Clone)]
pub struct Configured {
    /// Which webhooks and groups there are.
    pub catalogue: Arc<crate::catalogue::Catalogue>,
    /// Takes events of applications.
    pub publisher: Publisher,
    /// How many attempts have ended.
    pub activities: crate::dispatch::Activities,
}
