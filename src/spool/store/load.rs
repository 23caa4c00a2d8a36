//! Reading deliveries back, a window at a time.

use std::collections::HashSet;

use rusqlite::{OptionalExtension as _, Row, Rows};

use super::column::column;
use super::error::Unreadable;
use super::{Due, Error, Seq, Store, WebhookKey, event, time_as_sql, time_from_sql};
use crate::event::{Event, Timestamp};

/// The columns that [`read`] finds; those of the event begin at [`EVENT`].
pub(super) const SELECT: &str = "
    SELECT d.seq, d.due, d.failures, d.first_failed, e.accepted, length(e.payload),
           e.id, e.kind, e.time, e.topic, e.attributes, e.payload
    FROM deliveries d LEFT JOIN events e ON e.seq = d.seq";

/// The same, of events that have an empty payload where they have one.
pub(super) const SELECT_WITHOUT_PAYLOAD: &str = "
    SELECT d.seq, d.due, d.failures, d.first_failed, e.accepted, 0,
           e.id, e.kind, e.time, e.topic, e.attributes, iif(e.payload IS NULL, NULL, x'')
    FROM deliveries d LEFT JOIN events e ON e.seq = d.seq";

const EVENT: usize = 6;

pub(super) const NEXT_DUE: &str =
    "SELECT due, seq FROM deliveries WHERE webhook = ? AND due > 0 ORDER BY due, seq";

pub(super) const LAST_FRESH: &str =
    "SELECT seq FROM deliveries WHERE webhook = ? AND due = 0 ORDER BY seq DESC LIMIT 1";

pub(super) fn fresh_sql() -> String {
    format!("{SELECT} WHERE d.webhook = ? AND d.due = 0 AND d.seq > ? ORDER BY d.seq")
}

pub(super) fn due_sql() -> String {
    format!("{SELECT} WHERE d.webhook = ? AND d.due > 0 AND d.due <= ? ORDER BY d.due, d.seq")
}

/// A delivery that waits on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its event's number.
    pub seq: Seq,
    /// When its next attempt is due; a change of the delivery names it.
    pub due: Due,
    /// How many attempts have failed.
    pub failures: u32,
    /// When the first of them failed; `None` where none has.
    pub first_failed: Option<Timestamp>,
    /// When the event was accepted, or replayed.
    pub accepted: Timestamp,
    /// The event, equal to the one that was appended.
    pub event: Event,
}

/// How much to read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The most deliveries.
    pub deliveries: usize,
    /// The most bytes of memory, about; one delivery is read even if it takes more.
    pub bytes: usize,
}

impl Store {
    /// Returns the fresh deliveries of a webhook behind `after`, in order of their numbers; from
    /// the first where that is `None`.
    ///
    /// # Errors
    /// The database could not be read. A delivery whose event cannot be read back is an error only
    /// when it is the first; otherwise those before it are returned.
    pub fn fresh(
        &self,
        webhook: WebhookKey,
        after: Option<Seq>,
        window: Window,
    ) -> Result<Vec<Loaded>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(&fresh_sql())?;
            let after = after.map_or(i64::MIN, Seq::as_sql);
            load(
                statement.query((webhook.0, after))?,
                &HashSet::new(),
                window,
            )
        };
        self.noted(read())
    }

    /// Returns the deliveries of a webhook that are due for another attempt, without those in
    /// `except`, in the order in which they are due.
    ///
    /// # Errors
    /// As of [`Store::fresh`].
    pub fn due(
        &self,
        webhook: WebhookKey,
        now: Timestamp,
        except: &HashSet<Seq>,
        window: Window,
    ) -> Result<Vec<Loaded>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(&due_sql())?;
            load(
                statement.query((webhook.0, time_as_sql(now)))?,
                except,
                window,
            )
        };
        self.noted(read())
    }

    /// Returns when the next delivery of a webhook that is not in `except` is due for another
    /// attempt; the time may have passed.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn next_due(
        &self,
        webhook: WebhookKey,
        except: &HashSet<Seq>,
    ) -> Result<Option<Timestamp>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(NEXT_DUE)?;
            let mut rows = statement.query([webhook.0])?;
            while let Some(row) = rows.next()? {
                if !except.contains(&Seq::from_sql(row.get(1)?)) {
                    return Ok(Some(time_from_sql(row.get(0)?)));
                }
            }
            Ok(None)
        };
        self.noted(read())
    }

    /// Returns the highest number of any event that was ever appended, also of one that is gone;
    /// `None` before the first.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn last_seq(&self) -> Result<Option<Seq>, Error> {
        let sql = "SELECT max(last_seq) FROM webhooks";
        let read = || Ok(self.connection.query_row(sql, [], |row| row.get(0))?);
        let last: Option<i64> = self.noted(read())?;
        Ok(last.map(Seq::from_sql))
    }

    /// Returns the highest number of a fresh delivery of a webhook; `None` where there is none.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn last_fresh(&self, webhook: WebhookKey) -> Result<Option<Seq>, Error> {
        let read = || {
            let mut statement = self.connection.prepare_cached(LAST_FRESH)?;
            Ok(statement
                .query_row([webhook.0], |row| row.get(0))
                .optional()?)
        };
        let last: Option<i64> = self.noted(read())?;
        Ok(last.map(Seq::from_sql))
    }
}

/// Reads rows until the window is full, or up to one that cannot be read.
pub(super) fn load(
    mut rows: Rows<'_>,
    except: &HashSet<Seq>,
    window: Window,
) -> Result<Vec<Loaded>, Error> {
    let mut loaded = Vec::new();
    let mut bytes = 0_usize;
    while loaded.len() < window.deliveries
        && let Some(row) = rows.next()?
    {
        let (seq, due) = (Seq::from_sql(row.get(0)?), Due::from_sql(row.get(1)?));
        if except.contains(&seq) {
            continue;
        }
        let size = event::size(row, EVENT, column(5, "payload"));
        bytes = bytes.saturating_add(*size.as_ref().unwrap_or(&0));
        if bytes > window.bytes && !loaded.is_empty() {
            break;
        }
        match size.and_then(|_| read(row, seq, due)) {
            Ok(delivery) => loaded.push(delivery),
            Err(source) if loaded.is_empty() => return Err(Error::Delivery { seq, due, source }),
            Err(_) => break,
        }
    }
    Ok(loaded)
}

pub(super) fn read(row: &Row<'_>, seq: Seq, due: Due) -> Result<Loaded, Unreadable> {
    Ok(Loaded {
        seq,
        due,
        failures: column(2, "failures").unsigned(row)?,
        first_failed: column(3, "first_failed")
            .unsigned_or_null(row)?
            .map(Timestamp::from_millis),
        accepted: Timestamp::from_millis(column(4, "accepted").unsigned(row)?),
        event: event::read(row, EVENT)?,
    })
}
