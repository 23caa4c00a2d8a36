//! Deliveries that wait behind others of their key, so that they come in order.

use std::collections::HashSet;

use rusqlite::Connection;

use super::load::{SELECT, SELECT_WITHOUT_PAYLOAD, load};
use super::{Due, Error, Loaded, Seq, Store, WebhookKey, Window, begin, time_from_sql};
use crate::event::{Event, Timestamp};

/// Rows that one transaction of [`Store::unpark`] and [`Store::refresh`] changes.
const STEP: i64 = 4_096;

const UNPARK: &str = "UPDATE deliveries SET due = 0 WHERE webhook = ?1 AND due < 0 AND seq IN
     (SELECT seq FROM deliveries INDEXED BY parked WHERE webhook = ?1 AND due < 0 LIMIT ?2)";

pub(super) const REFRESH: &str =
    "UPDATE deliveries SET due = 0 WHERE webhook = ?1 AND due > 0 AND seq IN
     (SELECT seq FROM deliveries INDEXED BY retries WHERE webhook = ?1 AND due > 0 AND seq < ?2
       AND first_failed IS NOT NULL LIMIT ?3)";

/// What deliveries have in common that must come in order: 1 to 2^63 - 1, for one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i64);

impl Key {
    /// Returns the key for a hash.
    #[must_use]
    pub const fn of(hash: u64) -> Self {
        Self((hash >> 1).cast_signed() | 1)
    }

    /// Returns what stands for the time at which one is due: below all times.
    pub(super) const fn as_sql(self) -> i64 {
        -self.0
    }

    pub(super) const fn from_sql(due: i64) -> Self {
        Self(due.saturating_neg())
    }
}

/// A delivery that waits for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutOff<T> {
    /// What of its event was asked for.
    pub key: T,
    /// Its event's number.
    pub seq: Seq,
    /// When the next attempt is due.
    pub due: Timestamp,
    /// When the first attempt failed; `None` where none has.
    pub first_failed: Option<Timestamp>,
    /// Whether it was held back, and not put off by a lane since: that notes a time even if nothing was attempted.
    pub is_held_back: bool,
}

pub(super) fn put_off_sql() -> String {
    format!(
        "{SELECT_WITHOUT_PAYLOAD} WHERE d.webhook = ? AND d.due > 0 AND d.seq < ? ORDER BY d.due, d.seq"
    )
}

pub(super) fn parked_sql() -> String {
    format!("{SELECT} WHERE d.webhook = ? AND d.due = ? AND d.seq > ? ORDER BY d.seq")
}

impl Store {
    /// Returns the deliveries of a webhook that are parked under a key behind `after`, in order of
    /// their numbers.
    ///
    /// # Errors
    /// As of [`Store::fresh`].
    pub fn parked(
        &self,
        webhook: WebhookKey,
        key: Key,
        after: Seq,
        window: Window,
    ) -> Result<Vec<Loaded>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(&parked_sql())?;
            let rows = statement.query((webhook.0, key.as_sql(), after.as_sql()))?;
            load(rows, &HashSet::new(), window)
        };
        self.noted(read())
    }

    /// Returns whether a delivery is there that is due at this time.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn has(&self, webhook: WebhookKey, seq: Seq, due: Due) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM deliveries WHERE webhook = ? AND due = ? AND seq = ?";
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            Ok(statement.exists((webhook.0, due.as_sql(), seq.as_sql()))?)
        };
        self.noted(read())
    }

    /// Makes all that a webhook has parked fresh again, as the keys of an earlier run mean nothing.
    ///
    /// # Errors
    /// The database could not be written; some may be fresh.
    pub fn unpark(&mut self, webhook: WebhookKey) -> Result<(), Error> {
        let connection = &mut self.connection;
        let result = repeat(|| unpark(connection, webhook));
        self.noted(result.map_err(Error::from))
    }

    /// Makes all that a webhook has put off fresh again, but for what was replayed and what is held back.
    /// How often it has failed stays known.
    ///
    /// # Errors
    /// The database could not be written; some may be fresh.
    pub fn refresh(&mut self, webhook: WebhookKey) -> Result<(), Error> {
        let connection = &mut self.connection;
        let result = repeat(|| refresh(connection, webhook));
        self.noted(result.map_err(Error::from))
    }

    /// Returns what of a webhook waits for another attempt, without the replayed, in the order in
    /// which it is due; `key` is what is to be known of their events, whose payloads are empty, none for
    /// one that does not matter. Returns `None` where there are more than `most`.
    ///
    /// # Errors
    /// The database could not be read. What cannot be read back is left out.
    pub fn put_off<T>(
        &self,
        webhook: WebhookKey,
        most: usize,
        key: impl Fn(&Event) -> Option<T>,
    ) -> Result<Option<Vec<PutOff<T>>>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(&put_off_sql())?;
            let mut rows = statement.query((webhook.0, Seq::REPLAYED))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                if found.len() == most {
                    return Ok(None);
                }
                let due = time_from_sql(row.get(1)?);
                let Ok(loaded) = super::load::read(row, Seq::from_sql(row.get(0)?), Due::At(due))
                else {
                    continue;
                };
                let failed = loaded.first_failed.filter(|_| loaded.failures > 0);
                let is_held_back = loaded.first_failed.is_none();
                found.extend(key(&loaded.event).map(|key| PutOff {
                    key,
                    seq: loaded.seq,
                    due,
                    first_failed: failed,
                    is_held_back,
                }));
            }
            Ok(Some(found))
        };
        self.noted(read())
    }
}

/// Changes some rows after the other, until there are none left.
fn repeat(mut change: impl FnMut() -> rusqlite::Result<usize>) -> rusqlite::Result<()> {
    while change()? > 0 {}
    Ok(())
}

fn refresh(connection: &mut Connection, webhook: WebhookKey) -> rusqlite::Result<usize> {
    let transaction = begin(connection)?;
    let changed = transaction
        .prepare_cached(REFRESH)?
        .execute((webhook.0, Seq::REPLAYED, STEP))?;
    transaction.execute(
        "UPDATE webhooks SET fresh = fresh + ?2, retrying = retrying - ?2 WHERE id = ?1",
        (webhook.0, i64::try_from(changed).unwrap_or(STEP)),
    )?;
    transaction.commit()?;
    Ok(changed)
}

fn unpark(connection: &mut Connection, webhook: WebhookKey) -> rusqlite::Result<usize> {
    let transaction = begin(connection)?;
    let changed = transaction
        .prepare_cached(UNPARK)?
        .execute((webhook.0, STEP))?;
    transaction.commit()?;
    Ok(changed)
}
