//! Keeping within bounds: how much the database takes, and dropping what is too old or too much.

use rusqlite::{Connection, OptionalExtension as _, ToSql};

use super::webhook::Tally;
use super::{Dropped, Error, Seq, Store, WebhookKey, begin, time_as_sql};
use crate::event::Timestamp;

/// The most pages that [`Store::tidy`] gives back at once: 1 MiB, so that nobody waits for it for
/// long.
const STEP: i64 = 256;

/// The pages of a database that holds nothing.
const EMPTY: i64 = 23;

/// The last event of each of the [`RANGES`] that was dropped for its age or for room: all up to
/// there are gone, with their deliveries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DroppedUpTo {
    /// Of the events that were accepted; `None` for none.
    pub accepted: Option<Seq>,
    /// Of the events that were replayed; `None` for none.
    pub replayed: Option<Seq>,
}

impl DroppedUpTo {
    /// Returns whether an event was dropped.
    #[must_use]
    pub fn covers(&self, seq: Seq) -> bool {
        let last = if seq.is_replayed() {
            self.replayed
        } else {
            self.accepted
        };
        last.is_some_and(|last| seq <= last)
    }

    /// Adds what else was dropped.
    pub fn merge(&mut self, more: Self) {
        [more.accepted, more.replayed]
            .into_iter()
            .flatten()
            .for_each(|last| self.extend(last));
    }

    fn extend(&mut self, last: Seq) {
        let of_range = if last.is_replayed() {
            &mut self.replayed
        } else {
            &mut self.accepted
        };
        *of_range = (*of_range).max(Some(last));
    }
}

/// Events that were accepted and events that were replayed; in each, a later one has a higher
/// number.
const RANGES: [(i64, i64); 2] = [(i64::MIN, Seq::REPLAYED - 1), (Seq::REPLAYED, i64::MAX)];

impl Store {
    /// Returns how many bytes of the database events that wait take, about: all that is in use,
    /// without what an empty database takes, and dead letters and devices by their own count. The log, of at most some
    /// 16 MiB, comes on top.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn used_bytes(&self) -> Result<u64, Error> {
        let bytes = self.noted(used_bytes(&self.connection).map_err(Error::from))?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Drops deliveries of events that were accepted before this time: the oldest events, at most
    /// `limit`. An empty answer means that there are no more.
    ///
    /// # Errors
    /// Nothing was dropped.
    pub fn expire(&mut self, before: Timestamp, limit: usize) -> Result<Dropped, Error> {
        let result = expire(&mut self.connection, time_as_sql(before), limit);
        self.dropped(result)
    }

    /// Drops the oldest events with all their deliveries, at most `limit`. An empty answer means
    /// that nothing waits.
    ///
    /// # Errors
    /// Nothing was dropped.
    pub fn drop_oldest(&mut self, limit: usize) -> Result<Dropped, Error> {
        let result = drop_oldest(&mut self.connection, limit);
        self.dropped(result)
    }

    /// Returns how many bytes of the database are not in use.
    pub(super) fn unused_bytes(&self) -> rusqlite::Result<u64> {
        let pages = integer(&self.connection, "PRAGMA freelist_count")?;
        let bytes = pages * integer(&self.connection, "PRAGMA page_size")?;
        Ok(u64::try_from(bytes).unwrap_or(0))
    }

    /// Returns which events were dropped since this was asked last.
    #[must_use]
    pub fn take_dropped_up_to(&mut self) -> DroppedUpTo {
        std::mem::take(&mut self.dropped_up_to)
    }

    fn dropped(&mut self, result: rusqlite::Result<(Dropped, Vec<Seq>)>) -> Result<Dropped, Error> {
        let (dropped, ends) = self.noted(result.map_err(Error::from))?;
        for end in ends {
            self.dropped_up_to.extend(end);
        }
        Ok(dropped)
    }

    /// Gives pages of the database that are not in use back to the file system, a few at a time;
    /// returns whether there are more. It is for times in which nothing else is to do: what is
    /// appended uses such pages, too.
    ///
    /// # Errors
    /// Nothing was given back.
    pub fn tidy(&mut self) -> Result<bool, Error> {
        self.noted(tidy(&self.connection).map_err(Error::from))
    }
}

fn integer(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([], |row| row.get(0))
}

fn used_bytes(connection: &Connection) -> rusqlite::Result<i64> {
    let waiting = "SELECT ifnull(sum(fresh + retrying), 0) FROM webhooks";
    if integer(connection, waiting)? == 0 {
        // What else there is, and what the counts are off by, must not look like a backlog that nothing can make
        // smaller.
        return Ok(0);
    }
    let free = integer(connection, "PRAGMA freelist_count")?;
    let pages = integer(connection, "PRAGMA page_count")? - free - EMPTY;
    let bytes = pages * integer(connection, "PRAGMA page_size")?;
    let others = "SELECT ifnull(sum(dead_letter_bytes), 0)
       + (SELECT value FROM counters WHERE name = 'device_bytes') FROM webhooks";
    Ok(bytes - integer(connection, others)?)
}

fn tidy(connection: &Connection) -> rusqlite::Result<bool> {
    let free = |connection| integer(connection, "PRAGMA freelist_count");
    if free(connection)? == 0 {
        return Ok(false);
    }
    let sql = format!("PRAGMA incremental_vacuum({STEP})");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    // Every row is a page that was freed.
    while rows.next()?.is_some() {}
    drop(rows);
    let is_done = free(connection)? == 0;
    if is_done {
        // The file itself becomes shorter when the log is carried over.
        let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
        connection.query_row(checkpoint, [], |_| Ok(()))?;
    }
    Ok(!is_done)
}

fn expire(
    connection: &mut Connection,
    before: i64,
    limit: usize,
) -> rusqlite::Result<(Dropped, Vec<Seq>)> {
    let transaction = begin(connection)?;
    let mut removal = Removal::new(&transaction, limit)?;
    for range in RANGES {
        removal.accepted_until(range, before - 1)?;
    }
    let dropped = removal.finish()?;
    transaction.commit()?;
    Ok(dropped)
}

fn drop_oldest(connection: &mut Connection, limit: usize) -> rusqlite::Result<(Dropped, Vec<Seq>)> {
    let transaction = begin(connection)?;
    let mut removal = Removal::new(&transaction, limit)?;
    let [ordinary, replayed] = RANGES;
    while removal.left > 0 {
        match (removal.oldest(ordinary)?, removal.oldest(replayed)?) {
            (None, None) => break,
            (Some(_), None) => removal.accepted_until(ordinary, i64::MAX)?,
            (None, Some(_)) => removal.accepted_until(replayed, i64::MAX)?,
            (Some(one), Some(other)) if one <= other => {
                removal.accepted_until(ordinary, other)?;
            }
            (Some(one), Some(_)) => removal.accepted_until(replayed, one - 1)?,
        }
    }
    let dropped = removal.finish()?;
    transaction.commit()?;
    Ok(dropped)
}

/// Takes the first events of a range away, a webhook at a time instead of an event at a time.
struct Removal<'t> {
    transaction: &'t Connection,
    webhooks: Vec<WebhookKey>,
    /// How many more events may go.
    left: usize,
    /// The last events of what was removed.
    ends: Vec<Seq>,
    tally: Tally,
}

impl<'t> Removal<'t> {
    fn new(transaction: &'t Connection, limit: usize) -> rusqlite::Result<Self> {
        let mut statement = transaction.prepare_cached("SELECT id FROM webhooks ORDER BY id")?;
        let keys = statement.query_map([], |row| row.get(0).map(WebhookKey))?;
        Ok(Self {
            transaction,
            webhooks: keys.collect::<Result<_, _>>()?,
            left: limit,
            ends: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// Returns when the first event of a range was accepted.
    fn oldest(&self, (first, last): (i64, i64)) -> rusqlite::Result<Option<i64>> {
        let sql = "SELECT accepted FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1";
        let mut statement = self.transaction.prepare_cached(sql)?;
        statement
            .query_row((first, last), |row| row.get(0))
            .optional()
    }

    /// Removes the events at the beginning of a range up to the first that was accepted after
    /// `until`.
    fn accepted_until(&mut self, (first, last): (i64, i64), until: i64) -> rusqlite::Result<()> {
        let sql = "SELECT seq, accepted FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq";
        let mut statement = self.transaction.prepare_cached(sql)?;
        let mut rows = statement.query((first, last))?;
        let mut end = None;
        while self.left > 0
            && let Some(row) = rows.next()?
            && row.get::<_, i64>(1)? <= until
        {
            end = Some(row.get(0)?);
            self.left -= 1;
        }
        drop(rows);
        match end {
            Some(end) => {
                self.ends.push(Seq::from_sql(end));
                self.remove(first, end)
            }
            None => Ok(()),
        }
    }

    /// Removes all events of a range and everything that belongs to them.
    fn remove(&mut self, first: i64, last: i64) -> rusqlite::Result<()> {
        let execute = |sql, values: &[&dyn ToSql]| -> rusqlite::Result<i64> {
            let removed = self.transaction.prepare_cached(sql)?.execute(values)?;
            Ok(i64::try_from(removed).expect("fewer than 2^63 rows"))
        };
        for webhook in &self.webhooks {
            let fresh = execute(
                "DELETE FROM deliveries WHERE webhook = ? AND due = 0 AND seq BETWEEN ? AND ?",
                &[&webhook.0, &first, &last],
            )?;
            let retrying = execute(
                "DELETE FROM deliveries INDEXED BY retries
                 WHERE webhook = ? AND due > 0 AND seq BETWEEN ? AND ?",
                &[&webhook.0, &first, &last],
            )?;
            let parked = execute(
                "DELETE FROM deliveries INDEXED BY parked
                 WHERE webhook = ? AND due < 0 AND seq BETWEEN ? AND ?",
                &[&webhook.0, &first, &last],
            )?;
            let counts = self.tally.of(*webhook);
            counts.fresh -= fresh + parked;
            counts.retrying -= retrying;
        }
        execute(
            "DELETE FROM shares WHERE seq BETWEEN ? AND ?",
            &[&first, &last],
        )?;
        execute(
            "DELETE FROM events WHERE seq BETWEEN ? AND ?",
            &[&first, &last],
        )?;
        Ok(())
    }

    /// Writes the counts; returns what was dropped, and where it ends.
    fn finish(self) -> rusqlite::Result<(Dropped, Vec<Seq>)> {
        self.tally.write(self.transaction)?;
        Ok((self.tally.dropped(), self.ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_database_is_not_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("it opens").store;
        let pages = integer(&store.connection, "PRAGMA page_count");
        assert_eq!(pages, Ok(EMPTY));
    }
}
