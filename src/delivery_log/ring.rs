//! The latest attempts of one webhook, in memory. Slots are used again with all that they have allocated, so
//! that remembering one costs no allocation once the ring has filled.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::{Attempt, AttemptId, Ending};
use crate::event::{Id, Kind, Timestamp};

/// How many a ring holds.
pub(super) const SLOTS: usize = 128;

/// The most bytes of a topic that are remembered.
pub(super) const TOPIC_BYTES: usize = 512;

/// The most bytes of a failure's detail that are remembered.
pub(super) const DETAIL_BYTES: usize = 512;

/// What is put into a ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) id: AttemptId,
    pub(super) at: Timestamp,
    pub(super) event: Id,
    pub(super) kind: Kind,
    pub(super) topic: Option<&'a str>,
    pub(super) number: u32,
    pub(super) ending: Ending,
    pub(super) status: Option<u16>,
    pub(super) class: Option<&'static str>,
    pub(super) detail: &'a str,
    pub(super) latency: Duration,
    pub(super) response: &'a [u8],
    pub(super) left_out: u32,
}

impl Entry<'_> {
    pub(super) fn to_attempt(self, webhook: &Arc<str>) -> Attempt {
        Attempt {
            id: self.id,
            at: self.at,
            webhook: Arc::clone(webhook),
            event: self.event,
            kind: self.kind,
            topic: self
                .topic
                .map(|topic| beginning(topic, TOPIC_BYTES).to_owned()),
            number: self.number,
            ending: self.ending,
            status: self.status,
            class: self.class.map(Cow::Borrowed),
            detail: beginning(self.detail, DETAIL_BYTES).to_owned(),
            latency: self.latency,
            response: text(self.response),
            left_out: self.left_out,
        }
    }
}

/// Returns the beginning of a text, in whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    &text[..text.floor_char_boundary(bytes)]
}

/// Returns the text that bytes are, without a character that was cut off at the end.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The latest of one webhook.
#[derive(Debug, Default)]
pub(super) struct Ring {
    slots: Vec<Slot>,
    /// Which is written next.
    next: usize,
}

#[derive(Debug)]
struct Slot {
    id: AttemptId,
    at: Timestamp,
    event: Id,
    kind: Kind,
    has_topic: bool,
    number: u32,
    ending: Ending,
    status: Option<u16>,
    class: Option<&'static str>,
    latency: Duration,
    left_out: u32,
    topic: String,
    detail: String,
    response: Vec<u8>,
}

impl Ring {
    /// Puts in an attempt, in place of the oldest if it is full.
    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        if let Some(slot) = self.slots.get_mut(self.next) {
            slot.fill(entry);
        } else {
            self.slots.push(Slot::of(entry));
        }
        self.next = (self.next + 1) % SLOTS;
    }

    /// Returns those that are there, in any order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.slots.iter().map(Slot::entry)
    }
}

impl Slot {
    fn of(entry: &Entry<'_>) -> Self {
        let mut slot = Self {
            id: entry.id,
            at: entry.at,
            event: entry.event,
            kind: entry.kind,
            has_topic: false,
            number: 0,
            ending: entry.ending,
            status: None,
            class: None,
            latency: Duration::ZERO,
            left_out: 0,
            topic: String::new(),
            detail: String::new(),
            response: Vec::new(),
        };
        slot.fill(entry);
        slot
    }

    fn fill(&mut self, entry: &Entry<'_>) {
        self.id = entry.id;
        self.at = entry.at;
        self.event = entry.event;
        self.kind = entry.kind;
        self.number = entry.number;
        self.ending = entry.ending;
        self.status = entry.status;
        self.class = entry.class;
        self.latency = entry.latency;
        self.left_out = entry.left_out;
        self.has_topic = entry.topic.is_some();
        self.topic.clear();
        self.topic
            .push_str(beginning(entry.topic.unwrap_or(""), TOPIC_BYTES));
        // Mostly there is none, and was none.
        if !(self.detail.is_empty() && entry.detail.is_empty()) {
            self.detail.clear();
            self.detail.push_str(beginning(entry.detail, DETAIL_BYTES));
        }
        if !(self.response.is_empty() && entry.response.is_empty()) {
            self.response.clear();
            self.response.extend_from_slice(entry.response);
        }
    }

    fn entry(&self) -> Entry<'_> {
        Entry {
            id: self.id,
            at: self.at,
            event: self.event,
            kind: self.kind,
            topic: self.has_topic.then_some(&self.topic),
            number: self.number,
            ending: self.ending,
            status: self.status,
            class: self.class,
            detail: &self.detail,
            latency: self.latency,
            response: &self.response,
            left_out: self.left_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32, topic: &str) -> Entry<'_> {
        Entry {
            id: AttemptId(number.into()),
            at: Timestamp::from_millis(0),
            event: Id::new(),
            kind: Kind::MessagePublish,
            topic: Some(topic),
            number,
            ending: Ending::Delivered,
            status: Some(200),
            class: None,
            detail: "",
            latency: Duration::ZERO,
            response: "\u{e9}t\u{e9}".as_bytes(),
            left_out: 0,
        }
    }

    #[test]
    fn the_latest_stay_and_texts_are_cut_between_characters() {
        let mut ring = Ring::default();
        let long = "\u{e9}".repeat(TOPIC_BYTES);
        for number in 0..200 {
            ring.push(&entry(number, &long));
        }
        ring.push(&entry(200, "t"));
        let webhook: Arc<str> = "a".into();
        let mut all: Vec<_> = ring.iter().map(|it| it.to_attempt(&webhook)).collect();
        all.sort_unstable_by_key(|attempt| attempt.id);
        let numbers: Vec<u32> = all.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (201 - 128..=200).collect::<Vec<_>>());
        assert_eq!(all[0].topic.as_deref(), Some(&long[..TOPIC_BYTES]));
        assert_eq!(all[127].topic.as_deref(), Some("t"));
    }

    #[test]
    fn bytes_are_shown_as_the_text_they_are_most_like() {
        assert_eq!(text("\u{e9}t\u{e9}".as_bytes()), "\u{e9}t\u{e9}");
        assert_eq!(text(&"\u{e9}t\u{e9}".as_bytes()[..4]), "\u{e9}t");
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
    }
}
