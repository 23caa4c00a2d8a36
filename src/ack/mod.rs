//! Acknowledgements: when a PUBACK may be sent, and in which order.
//!
//! A connection opens a [`Ticket`] for every PUBLISH of QoS 1 and gives it away. The ticket
//! is shared by all deliveries that the message makes; when the last of them has settled, the
//! message is ready. The [`Ledger`] sends what is ready in the order in which the
//! messages came (MQTT 5, 4.6), so that one message that is not ready holds back those behind it.
//! It has at most [`UNDER_WAY`] under way at a time: where more messages come than can be
//! acknowledged, what waits takes a few bytes each and not a packet.
//!
//! A ledger belongs to one connection. Closing it, when the connection ends, makes all its
//! tickets worthless: the broker will send the messages again.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The most acknowledgements that are under way and have not gone out.
pub const UNDER_WAY: usize = 512;

/// Sends the acknowledgement of a packet identifier; must not block.
type Send = Box<dyn Fn(u16) + std::marker::Send + Sync>;

/// The acknowledgements that one connection owes.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    owed: Mutex<Owed>,
    /// Wakes who waits for nothing to be owed.
    paid: Notify,
    send: Send,
}

#[derive(Debug, Default)]
struct Owed {
    closed: bool,
    /// The number of the entry at the front, counted from the first of the connection.
    first: u64,
    entries: VecDeque<Entry>,
    /// How many were given to `send` and have not gone out.
    under_way: usize,
}

#[derive(Debug)]
struct Entry {
    packet_id: u16,
    ready: bool,
}

impl Ledger {
    /// Returns an empty ledger that acknowledges with `send`.
    pub fn new(send: impl Fn(u16) + std::marker::Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            owed: Mutex::default(),
            paid: Notify::new(),
            send: Box::new(send),
        }))
    }

    /// Returns the ticket of the PUBLISH that was received last.
    pub fn open(&self, packet_id: u16) -> Ticket {
        let mut owed = self.0.lock();
        let number = owed.first + owed.entries.len() as u64;
        owed.entries.push_back(Entry {
            packet_id,
            ready: false,
        });
        Ticket(Some(Arc::new(Shares {
            open: AtomicUsize::new(1),
            number,
            ledger: self.clone(),
        })))
    }

    /// Takes back the ticket that was opened last, for a message that nobody took: it stays
    /// unacknowledged, and nothing waits for it.
    pub fn withdraw(&self) {
        self.0.lock().entries.pop_back();
    }

    /// Notes that an acknowledgement has gone out, so that there is room for another one.
    pub fn sent(&self) {
        let mut owed = self.0.lock();
        owed.under_way = owed.under_way.saturating_sub(1);
        self.send(&mut owed);
    }

    /// Returns whether an acknowledgement that is due waits for others to go out.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        let owed = self.0.lock();
        owed.entries.front().is_some_and(|entry| entry.ready)
    }

    /// Ends the ledger: nothing is sent any more.
    pub fn close(&self) {
        let mut owed = self.0.lock();
        owed.closed = true;
        owed.entries.clear();
    }

    /// Waits until every message is acknowledged.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn paid(&self) {
        loop {
            let paid = self.0.paid.notified();
            if self.owed() == 0 {
                return;
            }
            paid.await;
        }
    }

    /// Returns how many messages are not acknowledged yet.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.0.lock().entries.len()
    }

    fn ready(&self, number: u64) {
        let mut owed = self.0.lock();
        if owed.closed {
            return;
        }
        let index = usize::try_from(number - owed.first).expect("as many entries are in memory");
        owed.entries[index].ready = true;
        self.send(&mut owed);
    }

    /// Sends what is ready, under the lock, so that the order holds.
    fn send(&self, owed: &mut Owed) {
        while owed.under_way < UNDER_WAY
            && let Some(entry) = owed.entries.pop_front_if(|entry| entry.ready)
        {
            owed.first += 1;
            owed.under_way += 1;
            (self.0.send)(entry.packet_id);
        }
        if owed.entries.is_empty() {
            self.0.paid.notify_waiters();
        }
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("owed", &self.owed)
            .finish_non_exhaustive()
    }
}

/// The right to settle a share of a message.
///
/// A ticket that is dropped without [`settle`](Self::settle) is never settled, so that
/// whatever goes wrong, the message stays unacknowledged.
#[derive(Debug)]
#[must_use = "a message whose ticket is dropped is never acknowledged"]
pub struct Ticket(Option<Arc<Shares>>);

#[derive(Debug)]
struct Shares {
    /// Shares that have not settled; the message is ready when there is none.
    open: AtomicUsize,
    number: u64,
    ledger: Ledger,
}

impl Ticket {
    /// Returns a ticket for what nobody waits for: a message of QoS 0, or an event of our own.
    pub fn none() -> Self {
        Self(None)
    }

    /// Returns whether somebody waits for the ticket, so that what it stands for will come again
    /// if it is not settled.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// Returns another share of the message, which must settle, too.
    pub fn share(&self) -> Self {
        if let Some(shares) = &self.0 {
            shares.open.fetch_add(1, Ordering::Relaxed);
        }
        Self(self.0.clone())
    }

    /// Settles this share; the last one makes the message ready.
    pub fn settle(self) {
        if let Some(shares) = self.0
            && shares.open.fetch_sub(1, Ordering::AcqRel) == 1
        {
            shares.ledger.ready(shares.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn ledger() -> (Ledger, Arc<Mutex<Vec<u16>>>) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&sent);
        let ledger = Ledger::new(move |id| log.lock().expect("no test panics here").push(id));
        (ledger, sent)
    }

    fn check(sent: &Mutex<Vec<u16>>, expected: &[u16]) {
        assert_eq!(*sent.lock().expect("no test panics here"), expected);
    }

    #[test]
    fn acknowledgements_go_in_publish_order() {
        let (ledger, sent) = ledger();
        let (first, second, third) = (ledger.open(7), ledger.open(3), ledger.open(9));
        second.settle();
        check(&sent, &[]);
        first.settle();
        check(&sent, &[7, 3]);
        third.settle();
        check(&sent, &[7, 3, 9]);
        assert_eq!(ledger.owed(), 0);
    }

    #[test]
    fn few_are_under_way_and_all_are_sent() {
        let (ledger, sent) = ledger();
        let ids: Vec<u16> = (1..).take(UNDER_WAY + 2).collect();
        let tickets: Vec<Ticket> = ids.iter().map(|&id| ledger.open(id)).collect();
        tickets.into_iter().for_each(Ticket::settle);
        check(&sent, &ids[..UNDER_WAY]);
        assert!(ledger.has_unsent());
        ledger.sent();
        check(&sent, &ids[..=UNDER_WAY]);
        ledger.sent();
        check(&sent, &ids);
        assert!(!ledger.has_unsent());
        assert_eq!(ledger.owed(), 0);
    }

    #[test]
    fn every_share_must_settle() {
        let (ledger, sent) = ledger();
        let ticket = ledger.open(1);
        let shares = [ticket.share(), ticket.share()];
        ticket.settle();
        check(&sent, &[]);
        for share in shares {
            share.settle();
        }
        check(&sent, &[1]);
    }

    #[test]
    fn a_dropped_ticket_is_never_acknowledged() {
        let (ledger, sent) = ledger();
        let ticket = ledger.open(1);
        drop(ticket.share());
        ticket.settle();
        ledger.open(2).settle();
        check(&sent, &[]);
        assert_eq!(ledger.owed(), 2);
    }

    #[tokio::test]
    async fn a_withdrawn_ticket_is_not_waited_for() {
        let (ledger, sent) = ledger();
        let ticket = ledger.open(1);
        drop(ledger.open(2));
        ledger.withdraw();
        assert_eq!(ledger.paid().now_or_never(), None);
        ticket.settle();
        ledger.paid().await;
        check(&sent, &[1]);
    }

    #[test]
    fn nothing_is_sent_to_a_newer_connection() {
        let (ledger, sent) = ledger();
        let ticket = ledger.open(1);
        ledger.close();
        ticket.settle();
        check(&sent, &[]);
        assert_eq!(ledger.owed(), 0);
    }
}
