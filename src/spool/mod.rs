//! The spool: what is accepted and not yet settled.
//!
//! It is memory only and bounded in bytes, an equal share per webhook, so that the backlog of
//! one cannot crowd out another. A [`Delivery`] holds its bytes until it is dropped.
//!
//! What the broker keeps until it is acknowledged is accepted beyond the bound only by as much as
//! one message makes; what it does not keep is refused when there is no room, and counted by
//! the caller. Nothing is acknowledged before it is delivered, as nothing here survives a crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::ack::Ticket;
use crate::event::Event;
use crate::rule::WebhookIndex;

/// How much may wait; the `spool` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The most memory that waiting events may take, in bytes, all webhooks together; default 64 MiB.
    pub max_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// What is accepted and not yet settled.
#[derive(Debug)]
pub struct Spool {
    accounts: Vec<Arc<Account>>,
    /// Wakes those who wait for room.
    changed: Arc<Notify>,
}

/// What one webhook holds.
#[derive(Debug)]
struct Account {
    max_bytes: usize,
    bytes: AtomicUsize,
    deliveries: AtomicUsize,
    changed: Arc<Notify>,
}

/// There is no room for another event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Spool {
    /// Returns an empty spool for this many webhooks.
    #[must_use]
    pub fn new(config: &Config, webhooks: usize) -> Self {
        let changed = Arc::new(Notify::new());
        let account = || Account {
            max_bytes: config.max_bytes / webhooks.max(1),
            bytes: AtomicUsize::new(0),
            deliveries: AtomicUsize::new(0),
            changed: Arc::clone(&changed),
        };
        Self {
            accounts: (0..webhooks).map(|_| Arc::new(account())).collect(),
            changed,
        }
    }

    /// Returns whether every one of these webhooks has room for an event of about this many bytes.
    #[must_use]
    pub fn has_room(&self, webhooks: &[WebhookIndex], size: usize) -> bool {
        webhooks
            .iter()
            .all(|&webhook| self.accounts[webhook].has_room(size))
    }

    /// Takes charge of an event for a webhook. If its ticket is awaited, there is room or the
    /// caller has seen that there was.
    ///
    /// # Errors
    /// There is no room, and nobody awaits the ticket.
    pub fn append(
        &self,
        webhook: WebhookIndex,
        event: &Arc<Event>,
        ticket: Ticket,
    ) -> Result<Delivery, Full> {
        let account = &self.accounts[webhook];
        let size = event.size();
        if !ticket.is_awaited() && !account.has_room(size) {
            return Err(Full);
        }
        account.bytes.fetch_add(size, Ordering::AcqRel);
        account.deliveries.fetch_add(1, Ordering::AcqRel);
        Ok(Delivery {
            event: Arc::clone(event),
            ticket,
            hold: Hold {
                account: Arc::clone(account),
                size,
            },
        })
    }

    /// Waits until half the share of each of these webhooks is free.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn room(&self, webhooks: &[WebhookIndex]) {
        let has_room = |&webhook: &WebhookIndex| self.accounts[webhook].is_half_empty();
        loop {
            let changed = self.changed.notified();
            if webhooks.iter().all(has_room) {
                return;
            }
            changed.await;
        }
    }

    /// Returns how many deliveries of a webhook are not settled.
    #[must_use]
    pub fn waiting_for(&self, webhook: WebhookIndex) -> usize {
        self.accounts[webhook].deliveries.load(Ordering::Acquire)
    }

    /// Returns how many deliveries are not settled, those that were dropped included.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let waiting = |account: &Arc<Account>| account.deliveries.load(Ordering::Acquire);
        self.accounts.iter().map(waiting).sum()
    }
}

impl Account {
    /// An event that is larger than the whole share passes when it is alone.
    fn has_room(&self, size: usize) -> bool {
        let bytes = self.bytes.load(Ordering::Acquire);
        bytes == 0 || bytes + size <= self.max_bytes
    }

    fn is_half_empty(&self) -> bool {
        self.bytes.load(Ordering::Acquire) <= self.max_bytes / 2
    }
}

/// One event on its way to one webhook.
#[derive(Debug)]
pub struct Delivery {
    /// The event.
    pub event: Arc<Event>,
    ticket: Ticket,
    hold: Hold,
}

impl Delivery {
    /// Ends the delivery, delivered or given up: nobody has to send it again.
    pub fn settle(self) {
        self.ticket.settle();
        self.hold.account.deliveries.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Bytes of an account, given back when dropped.
#[derive(Debug)]
struct Hold {
    account: Arc<Account>,
    size: usize,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let before = self.account.bytes.fetch_sub(self.size, Ordering::AcqRel);
        let half = self.account.max_bytes / 2;
        let after = before - self.size;
        if before > half && after <= half {
            self.account.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use bytestring::ByteString;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::ack::Ledger;
    use crate::event::{Client, Detail, Happening, Kind, Message, Timestamp, TopicName};

    fn event(payload_bytes: usize) -> Arc<Event> {
        let message = Message {
            topic: TopicName::try_from(ByteString::from_static("a")).expect("a name"),
            payload: Bytes::from(vec![0; payload_bytes]),
            qos: 0,
            retain: false,
        };
        let happening = Happening {
            kind: Kind::MessagePublish,
            time: None,
            client: Client::default(),
            detail: Detail::Message(message),
        };
        Arc::new(Event::new(happening, Timestamp::now()))
    }

    fn spool(max_bytes: usize, webhooks: usize) -> Spool {
        Spool::new(&Config { max_bytes }, webhooks)
    }

    #[test]
    fn a_full_share_refuses_what_nobody_waits_for() {
        let spool = spool(2 * 4_000, 2);
        let event = event(1_500);
        let first = spool.append(0, &event, Ticket::none());
        let second = spool.append(0, &event, Ticket::none());
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(spool.append(0, &event, Ticket::none()).err(), Some(Full));
        assert!(!spool.has_room(&[0, 1], event.size()));
        assert!(spool.append(1, &event, Ticket::none()).is_ok());
        drop(first);
        assert!(spool.append(0, &event, Ticket::none()).is_ok());
    }

    #[test]
    fn what_the_broker_keeps_is_accepted_and_settles() {
        let settled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&settled);
        let ledger = Ledger::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let spool = spool(10, 1);
        let (one, other) = (event(100), event(100));
        let first = spool.append(0, &one, ledger.open(1)).expect("always room");
        let second = spool.append(0, &other, ledger.open(2)).expect("awaited");
        first.settle();
        assert_eq!(settled.load(Ordering::Relaxed), 1);
        drop(second);
        assert_eq!(settled.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn room_is_half_of_the_share() {
        let spool = spool(4_000, 1);
        let event = event(1_500);
        let held: Vec<_> = (0..2)
            .map(|_| spool.append(0, &event, Ticket::none()).expect("room"))
            .collect();
        assert_eq!(spool.room(&[0]).now_or_never(), None);
        let mut held = held.into_iter();
        drop(held.next());
        spool.room(&[0]).await;
        drop(held);
    }

    #[test]
    fn what_is_dropped_unsettled_still_waits() {
        let spool = spool(4_000, 1);
        let event = event(1_500);
        let append = || spool.append(0, &event, Ticket::none()).expect("room");
        let (settled, dropped) = (append(), append());
        assert_eq!(spool.waiting(), 2);
        settled.settle();
        drop(dropped);
        assert_eq!(spool.waiting(), 1);
        assert!(spool.has_room(&[0], event.size()));
    }
}
