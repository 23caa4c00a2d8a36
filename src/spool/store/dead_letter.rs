//! Dead letters: deliveries that were given up, kept to be looked at and replayed.

use std::borrow::Cow;
use std::str::FromStr;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::column::column;
use super::error::Unreadable;
use super::{Error, Store, event, time_as_sql, webhook};
use crate::event::{Event, Id, Kind, Timestamp};

/// Names a dead letter; a later one has a higher number, and none is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeadLetterId(pub u64);

impl DeadLetterId {
    fn as_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

/// Why a delivery was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GaveUp {
    /// The receiver does not want it.
    Rejected,
    /// The last attempt of the schedule failed.
    Exhausted,
}

impl GaveUp {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Rejected, Self::Exhausted];

    /// Returns the word for it, such as `exhausted`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Exhausted => "exhausted",
        }
    }
}

impl FromStr for GaveUp {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == text)
            .ok_or(())
    }
}

/// A delivery that was given up, without its event's payload and attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it.
    pub id: DeadLetterId,
    /// The name of the webhook that did not get the event.
    pub webhook: String,
    /// When it was given up.
    pub at: Timestamp,
    /// Why.
    pub reason: GaveUp,
    /// What the last attempt met, for people; empty where nothing is known.
    pub outcome: String,
    /// How many attempts failed.
    pub failures: u32,
    /// When the first of them failed; `None` where none was waited for.
    pub first_failed: Option<Timestamp>,
    /// When the event was accepted, or replayed the last time.
    pub accepted: Timestamp,
    /// The event's id.
    pub event_id: Id,
    /// What kind the event is of.
    pub kind: Kind,
    /// The topic of a message, `None` for other kinds.
    pub topic: Option<String>,
    /// The size of a message's payload in bytes; 0 for other kinds.
    pub payload_bytes: u64,
}

/// Which dead letters are meant: those that have all that is given; empty means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// This one.
    pub id: Option<DeadLetterId>,
    /// This one and those that were given up after it.
    pub from: Option<DeadLetterId>,
    /// Those of the webhook of this name; none if there never was one.
    pub webhook: Option<String>,
    /// Those of webhooks of these names only.
    pub webhooks: Option<Vec<String>>,
    /// Those of events of this kind.
    pub kind: Option<Kind>,
    /// Those of this event.
    pub event: Option<Id>,
    /// Those given up at this time or later.
    pub since: Option<Timestamp>,
    /// Those given up before this time.
    pub until: Option<Timestamp>,
}

const SELECT: &str =
    "SELECT l.id, w.name, l.at, l.reason, l.outcome, l.failures, l.first_failed, l.accepted,
       l.event_id, l.kind, l.topic, length(l.payload)";

/// The columns of an event; they begin at [`EVENT`].
const SELECT_EVENT: &str = ", l.event_id, l.kind, l.time, l.topic, l.attributes, l.payload";

const EVENT: usize = 12;

/// A webhook's row cannot be missing, but a dead letter is shown whatever happened to it.
const FROM: &str = " FROM dead_letters l LEFT JOIN webhooks w ON w.id = l.webhook";

impl Store {
    /// Returns dead letters behind `after` in the order in which they were given up, at most
    /// `limit`; from the first where `after` is `None`.
    ///
    /// # Errors
    /// The database could not be read, or a value of a row is not valid.
    pub fn dead_letters(
        &self,
        filter: &Filter,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let read = || {
            let Some(mut condition) = Condition::of(&self.connection, filter)? else {
                return Ok(Vec::new());
            };
            condition.add("l.id > ?", after.map_or(-1, DeadLetterId::as_sql));
            self.letters(condition, "", limit)
        };
        self.noted(read())
    }

    /// Returns dead letters in front of `before`, the last that was given up first, at most `limit`; from
    /// the last where `before` is `None`.
    ///
    /// # Errors
    /// The database could not be read, or a value of a row is not valid.
    pub fn newest_dead_letters(
        &self,
        filter: &Filter,
        before: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let read = || {
            let Some(mut condition) = Condition::of(&self.connection, filter)? else {
                return Ok(Vec::new());
            };
            condition.add("l.id < ?", before.map_or(i64::MAX, DeadLetterId::as_sql));
            self.letters(condition, " DESC", limit)
        };
        self.noted(read())
    }

    fn letters(
        &self,
        condition: Condition,
        order: &str,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        let sql = format!("{SELECT}{FROM}{}", condition.sql(order));
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(condition.values(limit)))?;
        let mut letters = Vec::new();
        while let Some(row) = rows.next()? {
            letters.push(read_letter(row).map_err(of_dead_letters)?);
        }
        Ok(letters)
    }

    /// Returns a dead letter and its event, `None` if there is none of this number.
    ///
    /// # Errors
    /// The database could not be read, or a value of the row is not valid.
    pub fn dead_letter(&self, id: DeadLetterId) -> Result<Option<(DeadLetter, Event)>, Error> {
        let read = || {
            let sql = format!("{SELECT}{SELECT_EVENT}{FROM} WHERE l.id = ?");
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([id.as_sql()])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let letter = read_letter(row).map_err(of_dead_letters)?;
            let event = event::read(row, EVENT).map_err(of_dead_letters)?;
            Ok(Some((letter, event)))
        };
        self.noted(read())
    }
}

fn of_dead_letters(source: Unreadable) -> Error {
    Error::Row {
        table: "dead_letters",
        source,
    }
}

fn read_letter(row: &Row<'_>) -> Result<DeadLetter, Unreadable> {
    let time = |at, name| column(at, name).unsigned(row).map(Timestamp::from_millis);
    Ok(DeadLetter {
        id: DeadLetterId(column(0, "id").unsigned(row)?),
        webhook: column(1, "webhook").text(row)?.to_owned(),
        at: time(2, "at")?,
        reason: column(3, "reason").parsed(row)?,
        outcome: column(4, "outcome").text(row)?.to_owned(),
        failures: column(5, "failures").unsigned(row)?,
        first_failed: column(6, "first_failed")
            .unsigned_or_null(row)?
            .map(Timestamp::from_millis),
        accepted: time(7, "accepted")?,
        event_id: column(8, "event_id").parsed(row)?,
        kind: column(9, "kind").parsed(row)?,
        topic: column(10, "topic").text_or_null(row)?.map(str::to_owned),
        payload_bytes: column(11, "payload").unsigned_or_null(row)?.unwrap_or(0),
    })
}

/// What a filter says, in SQL.
pub(super) struct Condition {
    terms: Vec<Cow<'static, str>>,
    values: Vec<Value>,
}

impl Condition {
    /// Returns the condition of a filter; `None` if nothing can meet it.
    pub(super) fn of(connection: &Connection, filter: &Filter) -> rusqlite::Result<Option<Self>> {
        let mut condition = Self {
            terms: Vec::new(),
            values: Vec::new(),
        };
        if let Some(id) = filter.id {
            condition.add("l.id = ?", id.as_sql());
        }
        if let Some(from) = filter.from {
            condition.add("l.id >= ?", from.as_sql());
        }
        if let Some(name) = &filter.webhook {
            match webhook::key(connection, name)? {
                Some(webhook) => condition.add("l.webhook = ?", webhook.0),
                None => return Ok(None),
            }
        }
        if let Some(names) = &filter.webhooks {
            let places = vec!["?"; names.len()].join(", ");
            let term = format!("l.webhook IN (SELECT id FROM webhooks WHERE name IN ({places}))");
            condition.terms.push(term.into());
            let names = names.iter().cloned().map(Value::from);
            condition.values.extend(names);
        }
        if let Some(kind) = filter.kind {
            condition.add("l.kind = ?", kind.name().to_owned());
        }
        if let Some(event) = filter.event {
            condition.add("l.event_id = ?", event.to_string());
        }
        if let Some(since) = filter.since {
            condition.add("l.at >= ?", time_as_sql(since));
        }
        if let Some(until) = filter.until {
            condition.add("l.at < ?", time_as_sql(until));
        }
        Ok(Some(condition))
    }

    fn add(&mut self, term: &'static str, value: impl Into<Value>) {
        self.terms.push(term.into());
        self.values.push(value.into());
    }

    pub(super) fn sql(&self, order: &str) -> String {
        let conjunction = match self.terms.as_slice() {
            [] => "true".to_owned(),
            terms => terms.join(" AND "),
        };
        format!(" WHERE {conjunction} ORDER BY l.id{order} LIMIT ?")
    }

    pub(super) fn values(self, limit: usize) -> impl Iterator<Item = Value> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.values.into_iter().chain([limit.into()])
    }
}
