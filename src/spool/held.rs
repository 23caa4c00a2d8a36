//! Deliveries that are held back, and may be taken back before they are due.
//!
//! They are on disk like any that is put off, and come by the same read when they are due. What is taken back
//! is marked under the journal's lock, under which it is also noted what was read: a delivery is read or
//! taken back, never both.

use std::sync::PoisonError;

use bytestring::ByteString;

use super::open::PUT_OFF;
use super::store::{self, Seq, Store, WebhookKey};
use super::{Spool, Webhook};
use crate::ack::Ticket;
use crate::event::{Detail, Event, Kind, Status, Timestamp};
use crate::rule::WebhookIndex;

/// A delivery that is held back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// For whom.
    pub webhook: WebhookIndex,
    /// What it tells.
    pub kind: Kind,
    /// Of which client.
    pub client_id: ByteString,
    /// Its number.
    pub seq: Seq,
    /// Until when.
    pub due: Timestamp,
}

impl Spool {
    /// Returns whether an event can be held back for a webhook: on disk, where there must be room.
    #[must_use]
    pub fn can_hold_back(&self, webhook: WebhookIndex) -> bool {
        self.is_durable(webhook) && self.0.disk.has_room()
    }

    /// Takes back a delivery that is held back until `due`; returns whether it was there, and will not be
    /// attempted. What waits for that to be on disk gives a share of its ticket.
    #[must_use]
    pub fn take_back(
        &self,
        webhook: WebhookIndex,
        (seq, due): (Seq, Timestamp),
        ticket: Ticket,
    ) -> bool {
        let account = self.0.accounts.of(webhook);
        let key = account.and_then(|account| account.key());
        let (Some(journal), Some(key)) = (&self.0.journal, key) else {
            ticket.settle();
            return false;
        };
        let mut agenda = journal.lock();
        if !agenda.stocks[webhook].take_back(seq) {
            drop(agenda);
            ticket.settle();
            return false;
        }
        agenda.batch.take_back((webhook, key), seq, due);
        agenda.batch.tickets.push(ticket);
        journal.notify(agenda);
        true
    }

    /// Returns what an earlier run has held back of these kinds; the next call does not.
    #[must_use]
    pub fn held_back(&self, is_meant: impl Fn(Kind) -> bool) -> Vec<HeldBack> {
        let held = &self.0.held_back;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let (meant, others) = held.drain(..).partition(|held| is_meant(held.kind));
        *held = others;
        meant
    }
}

/// Returns what was held back for a webhook before it had this index.
pub(super) fn held_back(
    store: &Store,
    config: &Webhook,
    (webhook, key): (WebhookIndex, WebhookKey),
) -> Result<Vec<HeldBack>, store::Error> {
    if !config.holds_back {
        return Ok(Vec::new());
    }
    // If there are too many, none is taken back.
    let put_off = store.put_off(key, PUT_OFF, client)?.unwrap_or_default();
    let held = put_off.into_iter().filter(|it| it.is_held_back);
    let held = held.map(|it| HeldBack {
        webhook,
        kind: it.key.0,
        client_id: it.key.1,
        seq: it.seq,
        due: it.due,
    });
    Ok(held.collect())
}

/// Returns which client an event says to be gone.
fn client(event: &Event) -> Option<(Kind, ByteString)> {
    let is_end = match &event.detail {
        Detail::End(_) => event.kind == Kind::ClientDisconnected,
        Detail::Device(device) => device.status == Status::Disconnected,
        _ => false,
    };
    let id = event.client.id.as_deref().filter(|_| is_end)?;
    Some((event.kind, id.into()))
}
