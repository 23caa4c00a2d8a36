//! The registry of devices, as the data path sees it.
//!
//! What is new of a device and the events that tell it are changes of one batch, so they are on disk together
//! or not at all. Until they are, the events are not attempted: a crash before that brings what was heard
//! again, and one after it attempts them under the same ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::accepted::{Accepted, Webhooks};
use super::delivery::{Delivery, Hold};
use super::held::Back;
use super::journal::Journal;
use super::keeper::Keeper;
use super::store::{self, Change, DeviceCounts, DeviceRow, Removal, Seq};
use super::{Place, Spool};
use crate::ack::Ticket;
use crate::event::{Event, Timestamp};
use crate::rule::WebhookIndex;

/// An event, and where it goes.
#[derive(Debug)]
pub struct Told {
    /// The event.
    pub event: Event,
    /// The webhooks that want it now.
    pub now: SmallVec<[WebhookIndex; 4]>,
    /// The webhooks that want it later, if it is not [taken back](Spool::claim_back), and when. Theirs are on
    /// disk.
    pub later: Later,
}

/// Webhooks that want an event later, and when.
pub type Later = SmallVec<[(WebhookIndex, Timestamp); 2]>;

/// A question about devices, which is answered when all that was done before is on disk.
#[derive(Debug)]
pub(super) enum DeviceQuestion {
    /// What is remembered of these?
    Known(
        Vec<ByteString>,
        oneshot::Sender<HashMap<ByteString, DeviceRow>>,
    ),
    /// Which were not seen for so long, at most so many?
    NotSeen(Duration, usize, oneshot::Sender<Vec<DeviceRow>>),
    /// Which has the operator removed, at most so many?
    Removed(usize, oneshot::Sender<Vec<Removal>>),
    /// Which were connected before a watch, of so many behind a number?
    Before(u64, (u64, usize), oneshot::Sender<Before>),
    /// How many are there?
    Counts(oneshot::Sender<DeviceCounts>),
}

/// Devices that were connected before a watch, and the number of the last that was looked at; `None` if there are no
/// more.
pub type Before = (Vec<DeviceRow>, Option<u64>);

/// An event that was given a place with each webhook.
struct Placed {
    event: Arc<Event>,
    ticket: Ticket,
    durable: Webhooks,
    spilled: Webhooks,
    holds: SmallVec<[Hold; 4]>,
    later: Later,
}

impl Spool {
    /// Writes what is new of devices together with the events that tell it, and returns the numbers of
    /// these. The ticket is settled when that is on disk. The caller has seen that there is room for the
    /// events. Nothing is attempted before it is on disk.
    pub fn record(
        &self,
        changes: impl IntoIterator<Item = Change>,
        events: impl IntoIterator<Item = Told>,
        ticket: Ticket,
    ) -> SmallVec<[Seq; 2]> {
        self.record_taking_back(&Back::new(), changes, events, ticket)
    }

    /// Takes back what was [claimed](Self::claim_back), and writes all that [`record`](Self::record) writes with it: all
    /// is on disk or nothing.
    pub fn record_taking_back(
        &self,
        back: &Back,
        changes: impl IntoIterator<Item = Change>,
        events: impl IntoIterator<Item = Told>,
        ticket: Ticket,
    ) -> SmallVec<[Seq; 2]> {
        let Some(journal) = &self.0.journal else {
            ticket.settle();
            return SmallVec::new();
        };
        let place = |event| self.place_told(event, ticket.share());
        let events: SmallVec<[Placed; 2]> = events.into_iter().map(place).collect();
        let mut numbers = SmallVec::new();
        let mut agenda = journal.lock();
        for placed in events {
            let seq = agenda.take_seq();
            numbers.push(seq);
            for &webhook in &placed.spilled {
                agenda.stocks[webhook].spill(seq);
                if let Some(account) = self.0.accounts.of(webhook) {
                    account.set_spilled(true);
                }
            }
            let accepted = Arc::new(Accepted::new(seq, placed.ticket, placed.durable, 0));
            agenda.hand_over(&self.0, &placed.event, &accepted);
            let delivery =
                |hold| Delivery::new(Arc::clone(&placed.event), Arc::clone(&accepted), hold);
            let held_up = placed.holds.into_iter().map(delivery);
            agenda.batch.held_up.extend(held_up);
            for (webhook, next) in placed.later {
                let account = self.0.accounts.of(webhook);
                if let Some(key) = account.and_then(|account| account.key()) {
                    agenda.batch.hold_back((webhook, key), seq, next);
                }
            }
        }
        for &(webhook, seq, due) in back {
            let account = self.0.accounts.of(webhook);
            if let Some(key) = account.and_then(|account| account.key()) {
                agenda.batch.take_back((webhook, key), seq, due);
            }
        }
        agenda.write(&self.0, changes);
        agenda.batch.tickets.push(ticket);
        journal.notify(agenda);
        numbers
    }

    /// Returns whether there is room for what is new of a device, and for events of about so many bytes that
    /// tell it.
    #[must_use]
    pub fn has_room_for_device(&self, webhooks: &[WebhookIndex], size: usize) -> bool {
        !self.0.disk.is_behind() && self.has_room(webhooks, size)
    }

    fn place_told(&self, told: Told, ticket: Ticket) -> Placed {
        let later = told.later.iter().map(|&(webhook, _)| webhook);
        self.pass_by(&told.event, told.now.iter().copied().chain(later));
        let size = told.event.size();
        let mut placed = Placed {
            event: Arc::new(told.event),
            ticket,
            durable: Webhooks::new(),
            spilled: Webhooks::new(),
            holds: SmallVec::new(),
            later: told.later,
        };
        let accounts = self.0.accounts.load();
        for &(webhook, _) in &placed.later {
            if let Some(account) = accounts.get(webhook) {
                account.metrics.waiting.entered();
                placed.durable.push(webhook);
            }
        }
        for webhook in told.now {
            let Some((webhook, account)) = accounts.taker(webhook) else {
                continue;
            };
            // Somebody has seen that there is room, and nobody would send it again.
            let place = self.0.place(account, size, true);
            if place == Place::Nowhere {
                account.refuse();
                continue;
            }
            account.metrics.waiting.entered();
            let is_durable = account.is_durable();
            if is_durable {
                placed.durable.push(webhook);
            }
            // What is held up until it is on disk would come behind what is accepted after it.
            let must_spill = is_durable && account.is_ordered;
            if place == Place::Memory && !must_spill {
                let hold = Hold::new(&self.0, webhook, account, size);
                placed.holds.push(hold);
            } else {
                placed.spilled.push(webhook);
            }
        }
        placed
    }

    /// Returns what is remembered of these devices; `None` if the spool has ended or keeps nothing.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn known_devices(
        &self,
        ids: Vec<ByteString>,
    ) -> Option<HashMap<ByteString, DeviceRow>> {
        self.ask_of_devices(|answer| DeviceQuestion::Known(ids, answer))
            .await
    }

    /// Returns devices that are not connected and were not seen for so long, at most `limit`; `None` likewise.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn devices_not_seen(&self, age: Duration, limit: usize) -> Option<Vec<DeviceRow>> {
        self.ask_of_devices(|answer| DeviceQuestion::NotSeen(age, limit, answer))
            .await
    }

    /// Returns which devices were connected when they were heard of last, before a watch, of `limit` behind a number;
    /// `None` likewise.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn connected_before(
        &self,
        watch: u64,
        (after, limit): (u64, usize),
    ) -> Option<Before> {
        self.ask_of_devices(|answer| DeviceQuestion::Before(watch, (after, limit), answer))
            .await
    }

    /// Returns devices that the operator has removed, at most `limit`; `None` likewise.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn removed_devices(&self, limit: usize) -> Option<Vec<Removal>> {
        self.ask_of_devices(|answer| DeviceQuestion::Removed(limit, answer))
            .await
    }

    /// Returns how many devices there are; `None` likewise.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn device_counts(&self) -> Option<DeviceCounts> {
        self.ask_of_devices(DeviceQuestion::Counts).await
    }

    /// Waits until another process has changed the database, which it may have before.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn changed_by_others(&self) {
        self.0.foreign.notified().await;
    }

    async fn ask_of_devices<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> DeviceQuestion,
    ) -> Option<T> {
        let journal = self.0.journal.as_ref()?;
        let (answer, answered) = oneshot::channel();
        journal.ask_of_devices(question(answer));
        answered.await.ok()
    }
}

impl Journal {
    fn ask_of_devices(&self, question: DeviceQuestion) {
        let mut agenda = self.lock();
        agenda.batch.of_devices.push(question);
        self.notify(agenda);
    }
}

impl Keeper {
    /// Answers what was asked before a commit. What cannot be answered is asked again.
    pub(super) fn answer_of_devices(
        &mut self,
        journal: &Journal,
        questions: Vec<DeviceQuestion>,
    ) -> Result<(), store::Error> {
        let mut result = Ok(());
        for question in questions {
            if let Err((question, error)) = self.answer_of_device(question) {
                journal.ask_of_devices(question);
                result = Err(error);
            }
        }
        result
    }

    fn answer_of_device(
        &mut self,
        question: DeviceQuestion,
    ) -> Result<(), (DeviceQuestion, store::Error)> {
        // Who asked may have gone.
        match question {
            DeviceQuestion::Known(ids, answer) => match self.store.devices(&ids) {
                Ok(known) => drop(answer.send(known)),
                Err(error) => return Err((DeviceQuestion::Known(ids, answer), error)),
            },
            DeviceQuestion::NotSeen(age, limit, answer) => {
                let before = self.before(age);
                match self.store.not_seen(before, limit) {
                    Ok(devices) => drop(answer.send(devices)),
                    Err(error) => return Err((DeviceQuestion::NotSeen(age, limit, answer), error)),
                }
            }
            DeviceQuestion::Before(watch, (after, limit), answer) => {
                match self.store.connected_before(watch, after, limit) {
                    Ok(before) => drop(answer.send(before)),
                    Err(error) => {
                        return Err((DeviceQuestion::Before(watch, (after, limit), answer), error));
                    }
                }
            }
            DeviceQuestion::Removed(limit, answer) => match self.store.removals(limit) {
                Ok(removals) => drop(answer.send(removals)),
                Err(error) => return Err((DeviceQuestion::Removed(limit, answer), error)),
            },
            DeviceQuestion::Counts(answer) => match self.store.device_counts() {
                Ok(counts) => drop(answer.send(counts)),
                Err(error) => return Err((DeviceQuestion::Counts(answer), error)),
            },
        }
        Ok(())
    }
}
