//! Deliveries that are held back, and may be taken back before they are due.
//!
//! They are on disk like any that is put off, and come by the same read when they are due. What is taken back
//! is marked under the journal's lock, under which it is also noted what was read: a delivery is read or
//! taken back, never both. That is written with what was told of the client, so that no crash leaves one without the other.

use std::sync::PoisonError;

use bytestring::ByteString;
use smallvec::SmallVec;

use super::account::Keeping;
use super::open::PUT_OFF;
use super::store::{self, Seq, Store, WebhookKey};
use super::{Spool, Webhook};
use crate::event::{Detail, Event, Kind, Status, Timestamp};
use crate::rule::WebhookIndex;

/// What is claimed back: for which webhook it is held back, under which number, and until when.
pub type Back = SmallVec<[(WebhookIndex, Seq, Timestamp); 1]>;

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

    /// Returns whether a delivery that is held back was there, and will not be attempted. Whoever was told so has it
    /// [taken back](Self::record_taking_back).
    #[must_use]
    pub fn claim_back(&self, webhook: WebhookIndex, seq: Seq) -> bool {
        let Some(journal) = &self.0.journal else {
            return false;
        };
        let is_durable = matches!(self.0.accounts[webhook].keeping, Keeping::Durable(_));
        is_durable && journal.lock().stocks[webhook].take_back(seq)
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

/// Returns what an earlier run has held back.
pub(super) fn held_back(
    store: &Store,
    webhooks: &[Webhook],
    keys: &[Option<WebhookKey>],
) -> Result<Vec<HeldBack>, store::Error> {
    let mut all = Vec::new();
    for (webhook, (config, key)) in webhooks.iter().zip(keys).enumerate() {
        let Some(key) = key.filter(|_| config.holds_back) else {
            continue;
        };
        // If there are too many, none is taken back.
        let put_off = store.put_off(key, PUT_OFF, client)?.unwrap_or_default();
        let held = put_off.into_iter().filter(|it| it.is_held_back);
        all.extend(held.map(|it| HeldBack {
            webhook,
            kind: it.key.0,
            client_id: it.key.1,
            seq: it.seq,
            due: it.due,
        }));
    }
    Ok(all)
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
