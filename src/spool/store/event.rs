//! Events as rows, and back.

use bytes::Bytes;
use bytestring::ByteString;
use rusqlite::Row;

use super::attributes::Attributes;
use super::column::{Column, column};
use super::error::Unreadable;
use super::properties;
use crate::event::{Detail, Event, Timestamp, TopicName};

/// The columns of an event, in the order in which [`read`] finds them.
pub(super) const COLUMNS: [&str; 6] = ["id", "kind", "time", "topic", "attributes", "payload"];

/// An event as the values of its columns.
#[derive(Debug)]
pub(crate) struct Columns<'a> {
    id: [u8; 22],
    pub(crate) kind: &'static str,
    pub(crate) time: i64,
    pub(crate) topic: Option<&'a str>,
    pub(crate) attributes: String,
    pub(crate) payload: Option<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// Returns the columns of an event.
    pub(crate) fn of(event: &'a Event) -> Self {
        let (topic, payload) = match &event.detail {
            Detail::Message(message) => (Some(message.topic.as_str()), Some(&*message.payload)),
            _ => (None, None),
        };
        let attributes = Attributes::of(&event.client, &event.detail);
        Self {
            id: event.id.digits(),
            kind: event.kind.name(),
            // Brokers tell the time, so any number may come: those beyond 2^63 are kept as negative
            // ones.
            time: event.time.as_millis().cast_signed(),
            topic,
            attributes: serde_json::to_string(&attributes)
                .expect("keys are text, and writing to memory does not fail"),
            payload,
        }
    }

    /// Returns the event's id as text.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(&self.id).expect("base62 digits are ASCII")
    }
}

/// Reads an event out of a row whose columns from `first` on are those of [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>, first: usize) -> Result<Event, Unreadable> {
    let at = |place: usize| column(first + place, COLUMNS[place]);
    let topic = at(3)
        .text_or_null(row)?
        .map(|topic| TopicName::try_from(ByteString::from(topic)).map_err(|_| at(3).unreadable()));
    let payload = at(5).blob_or_null(row)?.map(Bytes::copy_from_slice);
    let attributes: Attributes<'static> =
        serde_json::from_str(at(4).text(row)?).map_err(|_| at(4).unreadable())?;
    let (client, detail) = attributes
        .into_parts(topic.transpose()?, payload)
        .ok_or_else(|| at(4).unreadable())?;
    Ok(Event {
        id: at(0).parsed(row)?,
        kind: at(1).parsed(row)?,
        time: Timestamp::from_millis(at(2).integer(row)?.cast_unsigned()),
        client,
        detail,
    })
}

/// Returns about how many bytes of memory the event of such a row takes, at least as many as
/// [`Event::size`] says, without reading the payload, whose length is in the column
/// `payload_bytes`.
pub(super) fn size(
    row: &Row<'_>,
    first: usize,
    payload_bytes: Column,
) -> Result<usize, Unreadable> {
    let at = |place: usize| column(first + place, COLUMNS[place]);
    let topic = at(3).text_or_null(row)?.map_or(0, str::len);
    let payload: usize = payload_bytes.unsigned_or_null(row)?.unwrap_or(0);
    let texts = topic + properties::memory(at(4).text(row)?);
    Ok(Event::size_with(texts.saturating_add(payload)))
}
