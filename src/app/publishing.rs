//! Takes events of applications into the spool, on the data path like all others.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::ack::{Ledger, Ticket};
use crate::admin::publish::{Accepted, Publication, Unpublished};
use crate::event::{Event, Happening, Timestamp};
use crate::intake;
use crate::rule::{Current, Matcher};
use crate::spool::Spool;

/// Takes what applications publish.
pub(super) struct Publishing {
    pub(super) queue: mpsc::Receiver<Publication>,
    pub(super) rules: Current,
    pub(super) spool: Spool,
    pub(super) intake: intake::Metrics,
    /// Whether what is accepted survives a crash when its ticket has settled.
    pub(super) is_durable: bool,
}

impl Publishing {
    /// Runs until `stop`; what comes later is not taken.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut matcher = Matcher::default();
        loop {
            let publication = tokio::select! { biased;
                () = stop.cancelled() => break,
                publication = self.queue.recv() => publication,
            };
            let Some(publication) = publication else {
                // There is no API.
                stop.cancelled().await;
                break;
            };
            // Who has given up may send it again.
            if publication.reply.is_closed() {
                continue;
            }
            let accepted = self.accept(&publication.group, publication.events, &mut matcher);
            let _ = publication.reply.send(accepted);
        }
        self.queue.close();
        while let Ok(publication) = self.queue.try_recv() {
            let _ = publication.reply.send(Err(Unpublished::Closing));
        }
    }

    fn accept(
        &self,
        group: &str,
        events: Vec<Event>,
        matcher: &mut Matcher,
    ) -> Result<Accepted, Unpublished> {
        let rules = self.rules.rules();
        let mut routed = Vec::with_capacity(events.len());
        let (mut takers, mut size) = (Vec::new(), 0);
        for event in events {
            let happening = Happening {
                kind: event.kind,
                time: Some(event.time),
                client: event.client,
                detail: event.detail,
            };
            let webhooks = rules.route_to_group(group, &happening, matcher);
            size += happening.size();
            takers.extend_from_slice(webhooks);
            routed.push((event.id, happening, webhooks.to_vec()));
        }
        takers.sort_unstable();
        takers.dedup();
        if !self.spool.has_room(&takers, size) {
            return Err(Unpublished::NoRoom);
        }
        let ledger = Ledger::new(|_| {});
        let webhooks = routed.iter().map(|(_, _, takers)| takers.len()).collect();
        for (id, happening, takers) in routed {
            if takers.is_empty() {
                continue;
            }
            let ticket = if self.is_durable {
                ledger.open(0)
            } else {
                Ticket::none()
            };
            self.intake.event(happening.kind);
            let event = Event {
                id,
                ..Event::new(happening, Timestamp::now())
            };
            self.spool.accept(event, &takers, ticket);
        }
        Ok(Accepted {
            webhooks,
            durable: self.is_durable.then_some(ledger),
            is_durable: self.is_durable && takers.iter().all(|it| self.spool.is_durable(*it)),
        })
    }
}
