//! What a connection waits for.

use tokio::time::Instant;

use super::Connection;
use super::changes::Progress;
use crate::ack::Ledger;
use crate::mqtt::link::{Link, LinkEvent};
use crate::mqtt::pauses::Pauses;
use crate::mqtt::{Cause, Listener, Problem};

/// What has come first.
pub(super) enum Next {
    Link(LinkEvent),
    SubscribeAgain,
    /// Subscriptions may be given up.
    Rested,
    /// Everything is acknowledged, and the connection leaves.
    Paid,
}

impl<L: Listener> Connection<L> {
    /// Leaves messages to the network and the broker for a moment, if the listener lags.
    pub(super) async fn wait_for_listener(&self, pauses: &mut Pauses) {
        if !self.listener.lags() {
            return;
        }
        let began = Instant::now();
        let longest = pauses.longest(began);
        if !longest.is_zero() {
            // Whether it has caught up does not matter: there is no more time for it.
            let _ = tokio::time::timeout(longest, self.listener.caught_up()).await;
            pauses.paused(began, Instant::now());
        }
    }

    /// Waits for what comes first. After a message was not taken, that may also be that all that
    /// was taken is acknowledged, and there is room: then the rest can come again, and nothing else
    /// does.
    pub(super) async fn next(
        &self,
        link: &mut Link,
        ledger: &Ledger,
        progress: &Progress,
    ) -> Result<Next, Problem> {
        let wake_at = progress.subscriptions.wake_at();
        let drains = progress.drains();
        if !progress.full && wake_at.is_none() && !drains {
            return link.poll().await.map(Next::Link);
        }
        let paid = async {
            if !drains {
                std::future::pending::<()>().await;
            }
            ledger.paid().await;
        };
        let room = async {
            if !progress.full {
                std::future::pending::<()>().await;
            }
            ledger.paid().await;
            self.listener.room().await;
        };
        let wake = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = link.poll() => event.map(Next::Link),
            () = room => Err(Problem::new(Cause::Restart, "")),
            () = paid => Ok(Next::Paid),
            () = wake => progress.subscriptions.wake().map(|is_again| {
                if is_again { Next::SubscribeAgain } else { Next::Rested }
            }),
        }
    }
}
