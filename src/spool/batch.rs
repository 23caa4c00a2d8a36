//! Changes of one transaction.

use std::sync::Arc;

use super::accepted::Accepted;
use super::coming::Request;
use super::delivery::Delivery;
use super::devices::DeviceQuestion;
use super::parked::Question;
use super::store::{Change, Due, Seq, WebhookKey};
use crate::ack::Ticket;
use crate::event::Timestamp;
use crate::rule::WebhookIndex;

/// Changes that are committed without waiting for the tick.
const LARGE: usize = 256;

/// Changes of one transaction, and what follows from its commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    /// The events that it puts on disk.
    pub(super) accepted: Vec<Arc<Accepted>>,
    /// Deliveries that must not be attempted before.
    pub(super) held_up: Vec<Delivery>,
    /// Rows that it takes away or puts off.
    pub(super) moved: Vec<Moved>,
    /// What is to be answered when it is on disk.
    pub(super) questions: Vec<(WebhookIndex, Question)>,
    /// What is to be answered of devices then.
    pub(super) of_devices: Vec<DeviceQuestion>,
    /// Webhooks that come and go then.
    pub(super) requests: Vec<Request>,
    /// Shares of messages of which nothing else holds back the acknowledgement.
    pub(super) tickets: Vec<Ticket>,
    /// Of the events and devices that it puts on disk.
    pub(super) bytes: usize,
}

/// A row that was read and has a new state: until that is on disk it must not be read again.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) webhook: WebhookIndex,
    pub(super) seq: Seq,
    /// When it is due again; none if it is gone.
    pub(super) next: Option<Timestamp>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.held_up.is_empty()
            && self.questions.is_empty()
            && self.of_devices.is_empty()
            && self.requests.is_empty()
            && self.tickets.is_empty()
    }

    /// Returns whether it has a new state of a webhook.
    pub(super) fn sets_state(&self, key: WebhookKey) -> bool {
        let sets = |change: &Change| match change {
            Change::State { webhook, .. } => *webhook == key,
            _ => false,
        };
        self.changes.iter().any(sets)
    }

    /// Has a delivery of an event that it puts on disk wait until `next`.
    pub(super) fn hold_back(
        &mut self,
        (webhook, key): (WebhookIndex, WebhookKey),
        seq: Seq,
        next: Timestamp,
    ) {
        let change = Change::HoldBack {
            webhook: key,
            seq,
            next,
        };
        self.changes.push(change);
        let next = Some(next);
        self.moved.push(Moved { webhook, seq, next });
    }

    /// Takes away a delivery that waits until `due`.
    pub(super) fn take_back(
        &mut self,
        (webhook, key): (WebhookIndex, WebhookKey),
        seq: Seq,
        due: Timestamp,
    ) {
        let change = Change::Settle {
            webhook: key,
            seq,
            due: Due::At(due),
        };
        self.changes.push(change);
        let next = None;
        self.moved.push(Moved { webhook, seq, next });
    }

    /// Returns whether it is not worth to wait for more.
    pub(super) fn is_large(&self) -> bool {
        self.changes.len() >= LARGE
    }
}
