//! Reading attempts back. Somebody else may have written to the file: a row that makes no sense is left out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};

use super::{Error, Store};
use crate::delivery_log::attempt::{Attempt, AttemptId, Filter};
use crate::event::{Event, Id, Timestamp};
use crate::spool::store::{Unreadable, column, read_event};

/// The most rows that one call looks at.
const LOOKED_AT: usize = 20_000;

/// So many bytes of kept events are read at a time, and the rest of the last.
const KEPT_BYTES: usize = 4 << 20;

const SELECT: &str =
    "SELECT a.id, a.at, w.name, a.event_id, a.kind, a.topic, a.number, a.ending, a.status, a.class,
       a.detail, a.latency_us, a.response, a.left_out
     FROM attempts a JOIN webhooks w ON w.id = a.webhook";

/// Attempts, the newest first.
#[derive(Debug, Default)]
pub(in super::super) struct Rows {
    pub(in super::super) attempts: Vec<Attempt>,
    /// All above this were looked at; `None`: all were.
    pub(in super::super) down_to: Option<AttemptId>,
}

/// An event that was delivered to a webhook, and is kept.
#[derive(Debug)]
pub struct Kept {
    /// The attempt that delivered it.
    pub attempt: AttemptId,
    /// The webhook's name.
    pub webhook: String,
    /// The event.
    pub event: Event,
}

/// What a query asks for, in SQL.
#[derive(Default)]
struct Condition {
    terms: Vec<&'static str>,
    values: Vec<Value>,
}

impl Condition {
    fn and(mut self, term: &'static str, value: impl Into<Value>) -> Self {
        self.terms.push(term);
        self.values.push(value.into());
        self
    }

    fn and_some<T: Into<Value>>(self, term: &'static str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.and(term, value),
            None => self,
        }
    }

    /// Returns what the indexes serve of a filter.
    fn of(filter: &Filter) -> Self {
        let since = filter
            .since
            .map(|since| AttemptId::first_at(since).as_sql());
        Self::default()
            .and_some("w.name = ?", filter.webhook.clone())
            .and_some("a.event_id = ?", filter.event.map(|id| id.to_string()))
            .and_some("a.id >= ?", since)
    }

    fn sql(&self) -> String {
        self.terms.join(" AND ")
    }
}

impl Store {
    /// Returns the newest attempts below `before` that are meant, at most `limit`.
    pub(in super::super) fn attempts(
        &self,
        filter: &Filter,
        before: AttemptId,
        limit: usize,
    ) -> Result<Rows, Error> {
        let condition = Condition::of(filter).and("a.id < ?", before.as_sql());
        let sql = format!(
            "{SELECT} WHERE {} ORDER BY a.id DESC LIMIT {LOOKED_AT}",
            condition.sql()
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(condition.values))?;
        let mut found = Rows::default();
        let mut looked_at = 0;
        while let Some(row) = rows.next()? {
            looked_at += 1;
            found.down_to = column(0, "id").unsigned(row).ok().map(AttemptId);
            let attempt = read(row).ok().filter(|attempt| filter.means(attempt));
            found.attempts.extend(attempt);
            if found.attempts.len() == limit || looked_at == LOOKED_AT {
                return Ok(found);
            }
        }
        found.down_to = None;
        Ok(found)
    }

    /// Returns events that were delivered and are kept, behind `after` in the order of their delivery, at
    /// most `limit`; each once per webhook, however often it was delivered since then or
    /// `filter.since`.
    pub(in super::super) fn kept(
        &self,
        filter: &Filter,
        after: AttemptId,
        limit: usize,
    ) -> Result<Vec<Kept>, Error> {
        let since = filter
            .since
            .map_or(0, |since| AttemptId::first_at(since).as_sql());
        let until = filter
            .until
            .map(|until| AttemptId::first_at(until).as_sql());
        let condition = Condition::of(filter)
            .and("a.id > ?", after.as_sql())
            .and_some("a.id < ?", until);
        let sql = format!(
            "SELECT a.id, w.name, e.id, e.kind, e.time, e.topic, e.attributes, e.payload
             FROM attempts a JOIN webhooks w ON w.id = a.webhook JOIN events e ON e.id = a.event_id
             WHERE {} AND a.ending = 'delivered' AND NOT EXISTS (
               SELECT 1 FROM attempts b WHERE b.event_id = a.event_id AND b.webhook = a.webhook
                 AND b.ending = 'delivered' AND b.id < a.id AND b.id >= ?)
             ORDER BY a.id LIMIT ?",
            condition.sql()
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = condition
            .values
            .into_iter()
            .chain([since.into(), limit.into()]);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut kept: Vec<Kept> = Vec::new();
        let mut bytes = 0;
        while bytes < KEPT_BYTES
            && let Some(row) = rows.next()?
        {
            if let Ok(one) = read_kept(row) {
                bytes += one.event.size();
                kept.push(one);
            }
        }
        Ok(kept)
    }
}

fn read_kept(row: &Row<'_>) -> Result<Kept, Unreadable> {
    Ok(Kept {
        attempt: AttemptId(column(0, "id").unsigned(row)?),
        webhook: column(1, "name").text(row)?.to_owned(),
        event: read_event(row, 2)?,
    })
}

fn read(row: &Row<'_>) -> Result<Attempt, Unreadable> {
    let text_or_null = |at, name| column(at, name).text_or_null(row);
    Ok(Attempt {
        id: AttemptId(column(0, "id").unsigned(row)?),
        at: Timestamp::from_millis(column(1, "at").unsigned(row)?),
        webhook: Arc::from(column(2, "name").text(row)?),
        event: column(3, "event_id").parsed::<Id>(row)?,
        kind: column(4, "kind").parsed(row)?,
        topic: text_or_null(5, "topic")?.map(str::to_owned),
        number: column(6, "number").unsigned(row)?,
        ending: column(7, "ending").parsed(row)?,
        status: column(8, "status").unsigned_or_null(row)?,
        class: text_or_null(9, "class")?.map(|class| Cow::Owned(class.to_owned())),
        detail: column(10, "detail").text(row)?.to_owned(),
        latency: Duration::from_micros(column(11, "latency_us").unsigned(row)?),
        response: column(12, "response").text(row)?.to_owned(),
        left_out: column(13, "left_out").unsigned(row)?,
    })
}
