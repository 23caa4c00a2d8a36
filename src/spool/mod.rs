//! The spool: what is accepted and not yet settled.
//!
//! ```text
//! accept -> memory of the webhook's lane -> settle                     (never written)
//!             |  a few ms later, if not settled          settle -> row removed
//!             v                                            ^
//!           commit (fsync) -> PUBACK                       |
//!             ^                                            |
//! accept -> disk only, if the lane has no memory left -> loaded in order when it has
//! ```
//!
//! Each webhook has an equal share of the memory, so that the backlog of one cannot crowd out
//! another. What a durable webhook has no memory for is put on disk only ("spilled"), and so is all
//! that comes after it until the disk has been read, so that the order of arrival holds. A delivery
//! that is put off leaves memory, and is loaded when it is due.
//!
//! One thread, the keeper, touches the store; everybody else puts what is to be done into the
//! journal. An event is acknowledged when each of its deliveries is settled or committed.
//! With the memory backend nothing is acknowledged before it is settled.

mod accepted;
mod account;
mod agenda;
mod batch;
mod coming;
mod config;
mod delivery;
mod devices;
mod disk;
mod flow;
mod held;
mod journal;
mod keeper;
mod metrics;
mod open;
mod parked;
mod passing;
mod room;
mod slots;
mod stock;
pub mod store;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;
use tokio::sync::{Notify, mpsc, watch};

use crate::ack::Ticket;
use crate::event::Event;
use crate::rule::WebhookIndex;
use crate::tap::Tap;

use accepted::{Accepted, Webhooks};
use account::{Account, Keeping};
use delivery::Hold;
use disk::Disk;
use journal::Journal;
use slots::Slots;
use store::{Key, PutOff, Seq, WebhookState};

pub use coming::AdmitError;
pub use config::{Backend, Config, DeadLetters, OnFull, default_dir};
pub use delivery::Delivery;
pub use devices::{Later, Told};
pub use held::{Back, HeldBack};
pub use metrics::MetricsFamily;
pub use open::{OpenError, Thread};
pub use parked::{Answer, Found, Question, What};
pub use passing::Passing;

/// The most deliveries of a durable webhook in memory.
const WINDOW: usize = 4_096;

/// What is accepted and not yet settled.
#[derive(Debug, Clone)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    accounts: Slots,
    /// What the store is told; none for the memory backend.
    journal: Option<Journal>,
    disk: Disk,
    /// How many events were accepted, for the memory backend.
    accepted: AtomicU64,
    on_full: OnFull,
    elide: bool,
    metrics: MetricsFamily,
    /// Wakes those who wait for room.
    changed: Notify,
    /// Wakes who looks after devices: another process may have removed some.
    foreign: Notify,
    /// What an earlier run has held back.
    held_back: Mutex<Vec<HeldBack>>,
    /// Tells of accepted events.
    tap: Tap<Passing>,
}

/// What the spool knows of a webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its name, under which the store has its deliveries.
    pub name: String,
    /// Whether its deliveries survive a crash, if the spool is durable.
    pub durable: bool,
    /// What a start does with those that an earlier run has put off.
    pub put_off: AtStart,
    /// Whether some of its events are told only if they are not taken back.
    pub holds_back: bool,
}

/// What a start does with deliveries that an earlier run has put off.
#[derive(Debug, Clone, Copy)]
pub enum AtStart {
    /// They come when they are due.
    Leave,
    /// They come when they are due, and the lane is told of them.
    Tell(KeyOf),
    /// They come at once, as if they were fresh, all in their order.
    Refresh,
}

/// Returns what an event has in common with others before and behind which it must come.
pub type KeyOf = fn(&Event) -> Option<Key>;

/// Where one webhook's deliveries come out.
#[derive(Debug)]
pub struct Queue {
    /// Those that have not been put off, in the order of arrival.
    pub fresh: mpsc::UnboundedReceiver<Delivery>,
    /// Those that had been put off and are due.
    pub due: mpsc::UnboundedReceiver<Delivery>,
    /// Answers to what was [asked](Spool::ask).
    pub answers: mpsc::UnboundedReceiver<Answer>,
    /// Whether the webhook is enabled.
    pub state: watch::Receiver<WebhookState>,
    /// Those of an earlier run that wait for another attempt, if the lane is [told](AtStart::Tell) of them.
    pub put_off: Vec<PutOff<Key>>,
}

/// Where the deliveries of one event are put.
type Places<'a> = SmallVec<[(WebhookIndex, &'a Arc<Account>, Place); 4]>;

/// Where a delivery is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Memory,
    Disk,
    /// There is no room, and nobody has to send it again.
    Nowhere,
}

impl Spool {
    /// Returns whether every one of these webhooks has room for an event of about this many bytes, or does without it.
    #[must_use]
    pub fn has_room(&self, webhooks: &[WebhookIndex], size: usize) -> bool {
        let accounts = self.0.accounts.load();
        let mut accounts = webhooks.iter().filter_map(|&it| accounts.taker(it));
        accounts.all(|(_, account)| self.0.has_room(account, size))
    }

    /// Takes charge of an event for these webhooks. The ticket is settled when all deliveries are
    /// settled or on disk. If it is awaited, there is room or the caller has seen that there was.
    /// An event that nobody would send again is dropped, and counted, for each webhook that has no
    /// room.
    pub fn accept(&self, event: Event, webhooks: &[WebhookIndex], ticket: Ticket) {
        self.pass_by(&event, webhooks.iter().copied());
        let size = event.size();
        let is_awaited = ticket.is_awaited();
        let accounts = self.0.accounts.load();
        let place = |&webhook: &WebhookIndex| {
            let (webhook, account) = accounts.taker(webhook)?;
            Some((webhook, account, self.0.place(account, size, is_awaited)))
        };
        let places: Places<'_> = webhooks.iter().filter_map(place).collect();
        let is_behind = |&(_, account, place): &(WebhookIndex, &Arc<Account>, Place)| {
            place == Place::Disk || !account.is_idle()
        };
        // What waits must not keep the buffer of the packet that it came in.
        let event = if places.iter().any(is_behind) {
            Arc::new(event.compact())
        } else {
            Arc::new(event)
        };
        let accepted = self.journal(&event, &places, ticket);
        let hold = |&(webhook, account, place): &(WebhookIndex, &Arc<Account>, Place)| {
            match place {
                Place::Nowhere => account.refuse(),
                Place::Memory | Place::Disk => account.metrics.waiting.entered(),
            }
            let hold = (place == Place::Memory).then(|| Hold::new(&self.0, webhook, account, size));
            hold.map(|hold| Delivery::new(Arc::clone(&event), Arc::clone(&accepted), hold))
        };
        let deliveries = places.iter().filter_map(hold);
        match &self.0.journal {
            Some(journal) if !self.0.elide => {
                let (durable, others): (Vec<_>, Vec<_>) =
                    deliveries.partition(Delivery::is_durable);
                others.into_iter().for_each(Delivery::send);
                if !durable.is_empty() {
                    journal.hold_up(&self.0, &event, &accepted, durable);
                }
            }
            _ => deliveries.for_each(Delivery::send),
        }
    }

    /// Waits until each of these webhooks has plenty of room.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn room(&self, webhooks: &[WebhookIndex]) {
        loop {
            let changed = self.0.changed.notified();
            if self.has_plenty(webhooks) {
                return;
            }
            changed.await;
        }
    }

    fn has_plenty(&self, webhooks: &[WebhookIndex]) -> bool {
        let accounts = self.0.accounts.load();
        let mut accounts = webhooks.iter().filter_map(|&it| accounts.taker(it));
        accounts.all(|(_, account)| self.0.has_plenty(account))
    }

    /// Returns whether so much waits to be written that it is well to accept nothing for a moment:
    /// half of what may, so that what is on its way already still finds room.
    #[must_use]
    pub fn lags(&self) -> bool {
        !self.0.disk.keeps_up()
    }

    /// Waits until it does not lag.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn caught_up(&self) {
        loop {
            let changed = self.0.changed.notified();
            if !self.lags() {
                return;
            }
            changed.await;
        }
    }

    /// Returns how many deliveries are not settled, on disk or in memory.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.accounts.load().waiting(|_| true)
    }

    /// Returns how many deliveries are in memory only: those that the broker keeps as well if of QoS 1, and others.
    #[must_use]
    pub fn waiting_in_memory(&self) -> (usize, usize) {
        let accounts = self.0.accounts.load();
        let of = |keeping| accounts.waiting(|account| account.keeping == keeping);
        (of(Keeping::Held), of(Keeping::Loose))
    }

    /// Returns whether a webhook's deliveries survive the end of the process.
    #[must_use]
    pub fn is_durable(&self, webhook: WebhookIndex) -> bool {
        let accounts = self.0.accounts.load();
        accounts.get(webhook).is_some_and(|it| it.is_durable())
    }

    /// Returns why the store cannot be written, as it changes; none while it can.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.0.disk.failure()
    }

    /// Sets whether a webhook is attempted, for ever if it is durable.
    pub fn set_state(&self, webhook: WebhookIndex, state: WebhookState) {
        let Some(account) = self.0.accounts.of(webhook) else {
            return;
        };
        match (account.keeping, &self.0.journal) {
            (Keeping::Durable(key), Some(journal)) => {
                journal.set_state(webhook, key, &account.state, state);
            }
            _ => drop(account.state.send_replace(state)),
        }
    }

    /// Asks the store for deliveries of a webhook that is durable. The answer comes by its queue, when
    /// all that was done with deliveries before is on disk.
    pub fn ask(&self, webhook: WebhookIndex, question: Question) {
        self.0.ask(webhook, question);
    }

    /// Waits until everything that is accepted by now is settled or on disk, as far as it is durable and the disk takes it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn flush(&self) {
        if let Some(journal) = &self.0.journal {
            // The thread has ended, so that nothing is left to be flushed.
            let _ = journal.flush().await;
        }
    }

    /// Makes the record that the deliveries share, and has it written if it has to be.
    fn journal(&self, event: &Arc<Event>, places: &Places<'_>, ticket: Ticket) -> Arc<Accepted> {
        let mut durable = Webhooks::new();
        let mut spilled = Webhooks::new();
        let mut held = 0;
        for &(webhook, account, place) in places {
            match (account.keeping, place) {
                (_, Place::Nowhere) | (Keeping::Loose, _) => {}
                (Keeping::Held, _) => held += 1,
                (Keeping::Durable(_), _) => durable.push(webhook),
            }
            if place == Place::Disk {
                spilled.push(webhook);
            }
        }
        let make = |seq| Arc::new(Accepted::new(seq, ticket, durable.clone(), held));
        match &self.0.journal {
            Some(journal) if !durable.is_empty() => journal.accept(&self.0, event, &spilled, make),
            Some(journal) => make(journal.lock().take_seq()),
            None => make(Seq(self.0.accepted.fetch_add(1, Ordering::Relaxed))),
        }
    }
}

impl Inner {
    /// Tells those who wait that a webhook has memory again.
    fn has_changed(&self, account: &Account) {
        self.wake_waiting();
        if let Some(journal) = &self.journal
            && account.is_durable()
        {
            journal.has_room();
        }
    }

    fn wake_waiting(&self) {
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
