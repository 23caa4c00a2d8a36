//! What is told of accepted events to those who listen.

use bytes::Bytes;

use super::Spool;
use crate::event::{Detail, Event, Id, Kind, Timestamp};
use crate::rule::WebhookIndex;
use crate::tap::Tap;

/// The most bytes of a text that are told.
const TEXT_BYTES: usize = 1_024;

/// The most bytes of a payload that are told.
const PAYLOAD_BYTES: usize = 4_096;

/// An event that was accepted, without a hold on the packet that it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    /// Its id.
    pub id: Id,
    /// Its kind.
    pub kind: Kind,
    /// When it happened.
    pub time: Timestamp,
    /// The topic of a message, `None` for other kinds; at most 1 KiB of it.
    pub topic: Option<String>,
    /// The client that it is about, if it was told; at most 1 KiB of it.
    pub client_id: Option<String>,
    /// Its user name, if it was told; at most 1 KiB of it.
    pub username: Option<String>,
    /// The names of the webhooks that it goes to.
    pub webhooks: Vec<String>,
    /// The size of a message's payload in bytes; 0 for other kinds.
    pub payload_bytes: usize,
    /// The payload; at most 4 KiB of it.
    pub payload: Bytes,
}

impl Passing {
    fn of(event: &Event, webhooks: Vec<String>) -> Self {
        let payload: &[u8] = match &event.detail {
            Detail::Message(message) => &message.payload,
            _ => &[],
        };
        let text = |text: &Option<bytestring::ByteString>| text.as_deref().map(beginning);
        Self {
            id: event.id,
            kind: event.kind,
            time: event.time,
            topic: event.topic().map(|topic| beginning(topic.as_str())),
            client_id: text(&event.client.id),
            username: text(&event.client.username),
            webhooks,
            payload_bytes: payload.len(),
            payload: Bytes::copy_from_slice(&payload[..payload.len().min(PAYLOAD_BYTES)]),
        }
    }
}

fn beginning(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES)].to_owned()
}

impl Spool {
    /// Returns the tap of accepted events.
    #[must_use]
    pub fn tap(&self) -> &Tap<Passing> {
        &self.0.tap
    }

    /// Tells of an event that is accepted for these webhooks, if anybody listens.
    #[inline]
    pub(super) fn pass_by(&self, event: &Event, webhooks: impl Iterator<Item = WebhookIndex>) {
        if self.0.tap.takes(event.time.as_secs()) {
            self.tell(event, &webhooks.collect::<Vec<_>>());
        }
    }

    #[cold]
    fn tell(&self, event: &Event, webhooks: &[WebhookIndex]) {
        let accounts = self.0.accounts.load();
        let name = |&webhook: &WebhookIndex| {
            let (_, account) = accounts.taker(webhook)?;
            Some(account.metrics.webhook().to_owned())
        };
        let webhooks = webhooks.iter().filter_map(name).collect();
        self.0.tap.tell(Passing::of(event, webhooks));
    }
}
