//! Dispatch: from accepted events to attempts.
//!
//! Every webhook has a [`Lane`] of its own: a queue, a schedule of retries and a limit of
//! attempts in flight, so that one webhook never delays another. The [`Dispatcher`] is the way
//! in: it hands an event to the lanes, and never waits.

mod lane;
mod metrics;
mod schedule;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::ack::Ticket;
use crate::event::Event;
use crate::rule::WebhookIndex;
use crate::sink::Sink;
use crate::spool::{Delivery, Full, Spool};

pub use lane::Lane;
pub use metrics::{Metrics, MetricsFamily};

use crate::backoff::Backoff;

/// How one webhook's deliveries are attempted.
#[derive(Debug, Clone)]
pub struct Config {
    /// The webhook's name, for logs and metrics.
    pub name: String,
    /// The most attempts at a time; at least 1.
    pub concurrency: usize,
    /// Between the attempts of one delivery.
    pub retry: Backoff,
}

impl Config {
    /// The default of [`retry`](Self::retry): 1 s, doubling up to 1 min.
    pub const RETRY: Backoff = Backoff {
        initial: std::time::Duration::from_secs(1),
        factor: 2.0,
        max: std::time::Duration::from_mins(1),
    };
}

/// The way into the lanes.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    spool: Arc<Spool>,
    lanes: Arc<[Entrance]>,
}

/// The entrance of one lane.
#[derive(Debug)]
struct Entrance {
    /// The lane takes deliveries off at the other end. The spool bounds how many there are.
    fresh: mpsc::UnboundedSender<Delivery>,
    concurrency: usize,
    metrics: Metrics,
}

impl Dispatcher {
    /// Returns the dispatcher and the lanes of these webhooks, in the order of their indexes.
    pub fn new(
        spool: Arc<Spool>,
        webhooks: impl IntoIterator<Item = (Config, Arc<dyn Sink>)>,
        metrics: &MetricsFamily,
    ) -> (Self, Vec<Lane>) {
        let (entrances, lanes): (Vec<_>, Vec<_>) = webhooks
            .into_iter()
            .map(|(config, sink)| {
                let (fresh, queue) = mpsc::unbounded_channel();
                let entrance = Entrance {
                    fresh,
                    concurrency: config.concurrency,
                    metrics: metrics.of(&config.name),
                };
                let lane = Lane::new(config, sink, queue, entrance.metrics.clone());
                (entrance, lane)
            })
            .unzip();
        let dispatcher = Self {
            spool,
            lanes: entrances.into(),
        };
        (dispatcher, lanes)
    }

    /// Returns whether every one of these webhooks has room for an event of about this many bytes.
    /// What is awaited must not be accepted without.
    #[must_use]
    pub fn has_room(&self, webhooks: &[WebhookIndex], size: usize) -> bool {
        self.spool.has_room(webhooks, size)
    }

    /// Hands an event to these webhooks, and settles the ticket when all have dealt with it.
    ///
    /// An event that nobody would send again is dropped, and counted, for each webhook that has
    /// no room.
    pub fn accept(&self, event: Event, webhooks: &[WebhookIndex], ticket: Ticket) {
        if !webhooks.is_empty() {
            let event = if webhooks.iter().any(|&webhook| self.is_behind(webhook)) {
                Arc::new(event.compact())
            } else {
                Arc::new(event)
            };
            for &webhook in webhooks {
                self.enter(webhook, &event, ticket.share());
            }
        }
        ticket.settle();
    }

    /// Waits until half the share of each of these webhooks is free.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn room(&self, webhooks: &[WebhookIndex]) {
        self.spool.room(webhooks).await;
    }

    /// Returns whether a further delivery would have to wait.
    fn is_behind(&self, webhook: WebhookIndex) -> bool {
        self.spool.waiting_for(webhook) >= self.lanes[webhook].concurrency
    }

    fn enter(&self, webhook: WebhookIndex, event: &Arc<Event>, ticket: Ticket) {
        let entrance = &self.lanes[webhook];
        match self.spool.append(webhook, event, ticket) {
            Err(Full) => entrance.metrics.dropped(),
            Ok(delivery) => {
                entrance.metrics.entered();
                // A lane that has ended leaves the event unsettled, as it should be.
                let _ = entrance.fresh.send(delivery);
            }
        }
    }
}
