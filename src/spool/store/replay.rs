//! Taking dead letters away: to replay them, because nobody wants them, or to keep within their
//! bounds.

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params_from_iter};

use super::dead_letter::{Condition, Filter};
use super::webhook::Tally;
use super::{Dropped, Due, Error, Seq, Store, WebhookKey, begin, time_as_sql};
use crate::event::Timestamp;

impl Store {
    /// Makes dead letters deliveries again, the first `limit` in the order in which they were given
    /// up; returns how many.
    ///
    /// Each is due `now`, as if no attempt had failed, and its age counts from now; the event keeps
    /// its id. They may be given up again while others are replayed: a filter with `until` keeps
    /// one from being replayed twice.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn replay(&mut self, filter: &Filter, now: Timestamp, limit: usize) -> Result<u64, Error> {
        let result = replay(&mut self.connection, filter, now, limit);
        self.noted(result.map_err(Error::from))
    }

    /// Drops dead letters, the first `limit` in the order in which they were given up; returns how
    /// many.
    ///
    /// # Errors
    /// Nothing was dropped.
    pub fn drop_dead_letters(&mut self, filter: &Filter, limit: usize) -> Result<u64, Error> {
        let result = drop_dead_letters(&mut self.connection, filter, limit);
        self.noted(result.map_err(Error::from))
    }

    /// Drops the oldest dead letters, at most `limit`, while all together take more than
    /// `max_bytes` or while the oldest was given up before this time. An empty answer means that
    /// the rest may stay.
    ///
    /// # Errors
    /// Nothing was dropped.
    pub fn trim_dead_letters(
        &mut self,
        max_bytes: u64,
        before: Timestamp,
        limit: usize,
    ) -> Result<Dropped, Error> {
        let result = trim(&mut self.connection, max_bytes, time_as_sql(before), limit);
        self.noted(result.map_err(Error::from))
    }
}

/// Returns the ids of those that a filter means.
///
/// This may read all dead letters, so it is done before a transaction keeps others from writing.
fn ids(connection: &Connection, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let Some(condition) = Condition::of(connection, filter)? else {
        return Ok(Vec::new());
    };
    let sql = format!("SELECT l.id FROM dead_letters l{}", condition.sql(""));
    let mut statement = connection.prepare(&sql)?;
    let ids = statement.query_map(params_from_iter(condition.values(limit)), |row| row.get(0))?;
    ids.collect()
}

fn replay(
    connection: &mut Connection,
    filter: &Filter,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<u64> {
    let ids = ids(connection, filter, limit)?;
    if ids.is_empty() {
        return Ok(0);
    }
    let transaction = begin(connection)?;
    let mut copy = transaction.prepare_cached(
        "INSERT INTO events (seq, accepted, id, kind, time, topic, attributes, payload)
         SELECT ?1, ?2, event_id, kind, time, topic, attributes, payload FROM dead_letters WHERE id = ?3",
    )?;
    let mut insert_delivery = transaction
        .prepare_cached("INSERT INTO deliveries (webhook, due, seq) VALUES (?, ?, ?)")?;
    let mut removal = Removal::new(&transaction)?;
    let mut replayed = 0_i64;
    let before = replayed_before(&transaction)?;
    for id in ids {
        let seq = Seq::REPLAYED + before + replayed;
        copy.execute((seq, time_as_sql(now), id))?;
        if let Some(webhook) = removal.remove(id)? {
            insert_delivery.execute((webhook.0, Due::At(now).as_sql(), seq))?;
            removal.tally.of(webhook).retrying += 1;
            replayed += 1;
        }
    }
    let sql = "UPDATE counters SET value = value + ? WHERE name = 'replayed'";
    transaction.execute(sql, [replayed])?;
    removal.tally.write(&transaction)?;
    drop((copy, insert_delivery, removal));
    transaction.commit()?;
    Ok(replayed.unsigned_abs())
}

/// Returns how many dead letters were ever replayed.
pub(super) fn replayed_before(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT value FROM counters WHERE name = 'replayed'";
    connection.query_row(sql, [], |row| row.get(0))
}

fn drop_dead_letters(
    connection: &mut Connection,
    filter: &Filter,
    limit: usize,
) -> rusqlite::Result<u64> {
    let ids = ids(connection, filter, limit)?;
    let dropped = remove_all(connection, &ids)?;
    Ok(dropped.iter().map(|(_, count)| count).sum())
}

fn trim(
    connection: &mut Connection,
    max_bytes: u64,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Dropped> {
    let ids = beyond_bounds(connection, max_bytes, before, limit)?;
    remove_all(connection, &ids)
}

/// Returns the ids of the oldest, up to the first that may stay.
fn beyond_bounds(
    connection: &Connection,
    max_bytes: u64,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT ifnull(sum(dead_letter_bytes), 0) FROM webhooks";
    let total: i64 = connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?;
    let mut excess = total.saturating_sub_unsigned(max_bytes);
    let mut statement =
        connection.prepare_cached("SELECT id, at, bytes FROM dead_letters ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut ids = Vec::new();
    while ids.len() < limit
        && let Some(row) = rows.next()?
        && (excess > 0 || row.get::<_, i64>(1)? < before)
    {
        ids.push(row.get(0)?);
        excess -= row.get::<_, i64>(2)?;
    }
    Ok(ids)
}

fn remove_all(connection: &mut Connection, ids: &[i64]) -> rusqlite::Result<Dropped> {
    if ids.is_empty() {
        return Ok(Dropped::new());
    }
    let transaction = begin(connection)?;
    let mut removal = Removal::new(&transaction)?;
    for id in ids {
        removal.remove(*id)?;
    }
    removal.tally.write(&transaction)?;
    let dropped = removal.tally.dropped();
    drop(removal);
    transaction.commit()?;
    Ok(dropped)
}

/// Takes rows away and counts them.
struct Removal<'t> {
    delete: CachedStatement<'t>,
    tally: Tally,
}

impl<'t> Removal<'t> {
    fn new(transaction: &'t Connection) -> rusqlite::Result<Self> {
        let sql = "DELETE FROM dead_letters WHERE id = ? RETURNING webhook, bytes";
        Ok(Self {
            delete: transaction.prepare_cached(sql)?,
            tally: Tally::default(),
        })
    }

    /// Removes a dead letter; returns whose it was, `None` if it is gone.
    fn remove(&mut self, id: i64) -> rusqlite::Result<Option<WebhookKey>> {
        let read = |row: &rusqlite::Row<'_>| Ok((WebhookKey(row.get(0)?), row.get(1)?));
        let removed: Option<(WebhookKey, i64)> = self.delete.query_row([id], read).optional()?;
        Ok(removed.map(|(webhook, bytes)| {
            let counts = self.tally.of(webhook);
            counts.dead_letters -= 1;
            counts.dead_letter_bytes -= bytes;
            webhook
        }))
    }
}
