//! Writing attempts, and dropping the oldest.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};

use super::{Error, Store};
use crate::delivery_log::attempt::{Attempt, AttemptId};
use crate::delivery_log::queue::Entry;
use crate::event::{Event, Timestamp};
use crate::spool::store::EventColumns;

/// Left to the spool and to others, in bytes: twice of what the spool leaves, so that the log gives way first.
const RESERVE: u64 = 32 << 20;

/// Of a small file system half is left.
const RESERVED_SHARE: u64 = 2;

/// Attempts that one step drops.
const STEP: u32 = 256;

/// Pages that one step gives back to the file system.
const GIVEN_BACK: u32 = 256;

const INSERT: &str =
    "INSERT OR IGNORE INTO attempts (id, at, webhook, event_id, kind, topic, number, ending,
       status, class, detail, latency_us, response, left_out)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_EVENT: &str =
    "INSERT OR IGNORE INTO events (attempt, id, kind, time, topic, attributes, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?)";

impl Store {
    /// Writes attempts, all or none.
    pub(in super::super) fn write(&mut self, entries: &[Entry]) -> Result<(), Error> {
        if !self.has_space()? {
            return Err(Error::NoSpace);
        }
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut webhooks = HashMap::new();
        for entry in entries {
            let name = &entry.attempt.webhook;
            let key = match webhooks.get(name) {
                Some(key) => *key,
                None => {
                    let key = webhook(&transaction, name)?;
                    webhooks.insert(Arc::clone(name), key);
                    key
                }
            };
            insert(&transaction, key, &entry.attempt)?;
            if let Some(event) = &entry.event {
                keep(&transaction, entry.attempt.id, event)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Returns the highest id, so that later ones are above.
    pub(in super::super) fn last_id(&self) -> Result<Option<AttemptId>, Error> {
        let sql = "SELECT max(id) FROM attempts";
        let last: Option<i64> = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(last
            .and_then(|last| u64::try_from(last).ok())
            .map(AttemptId))
    }

    /// Drops some of the oldest, if there are any from before this time or all take more than `max_bytes`;
    /// returns whether there may be more.
    pub(in super::super) fn trim(
        &mut self,
        before: Timestamp,
        max_bytes: u64,
    ) -> Result<bool, Error> {
        let (pages, free) = (self.pragma("page_count")?, self.pragma("freelist_count")?);
        let used = (pages - free).saturating_mul(self.pragma("page_size")?);
        let is_too_large = used > i64::try_from(max_bytes).unwrap_or(i64::MAX);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let dropped = if is_too_large {
            // With events that are kept a few may be large: never all at once.
            let sql = "SELECT count(*) FROM (SELECT 1 FROM attempts LIMIT ?)";
            let count: u32 = transaction.query_row(sql, [2 * STEP], |row| row.get(0))?;
            drop_oldest(&transaction, i64::MAX, count.div_ceil(2))?
        } else {
            let before = AttemptId::first_at(before).as_sql();
            drop_oldest(&transaction, before, STEP)?
        };
        transaction.commit()?;
        if free > i64::from(GIVEN_BACK) {
            let sql = format!("PRAGMA incremental_vacuum({GIVEN_BACK})");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            // Every row is a page that was freed.
            while rows.next()?.is_some() {}
        }
        Ok(dropped > 0 && (is_too_large || dropped >= STEP as usize))
    }

    /// Returns whether the file system has more left than is left to others.
    fn has_space(&self) -> Result<bool, Error> {
        let system = rustix::fs::statvfs(&self.dir).map_err(std::io::Error::from)?;
        let bytes = |blocks: u64| blocks.saturating_mul(system.f_frsize);
        let reserve = RESERVE.min(bytes(system.f_blocks) / RESERVED_SHARE);
        Ok(bytes(system.f_bavail) > reserve)
    }

    fn pragma(&self, name: &str) -> rusqlite::Result<i64> {
        self.connection
            .pragma_query_value(None, name, |row| row.get(0))
    }
}

/// Drops the oldest attempts below an id, with the events that are kept for them.
fn drop_oldest(connection: &Connection, below: i64, count: u32) -> rusqlite::Result<usize> {
    let sql = "SELECT max(id) FROM (SELECT id FROM attempts WHERE id < ? ORDER BY id LIMIT ?)";
    let last: Option<i64> = connection.query_row(sql, params![below, count], |row| row.get(0))?;
    let Some(last) = last else {
        return Ok(0);
    };
    connection.execute("DELETE FROM events WHERE attempt <= ?", [last])?;
    connection.execute("DELETE FROM attempts WHERE id <= ?", [last])
}

fn webhook(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO webhooks (name) VALUES (?) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute([name])?;
    connection
        .prepare_cached("SELECT id FROM webhooks WHERE name = ?")?
        .query_row([name], |row| row.get(0))
}

fn insert(connection: &Connection, webhook: i64, attempt: &Attempt) -> rusqlite::Result<()> {
    let latency = i64::try_from(attempt.latency.as_micros()).unwrap_or(i64::MAX);
    let at = i64::try_from(attempt.at.as_millis()).unwrap_or(i64::MAX);
    connection.prepare_cached(INSERT)?.execute(params![
        attempt.id.as_sql(),
        at,
        webhook,
        attempt.event.to_string(),
        attempt.kind.name(),
        attempt.topic,
        attempt.number,
        attempt.ending.name(),
        attempt.status,
        attempt.class,
        attempt.detail,
        latency,
        attempt.response,
        attempt.left_out,
    ])?;
    Ok(())
}

fn keep(connection: &Connection, attempt: AttemptId, event: &Event) -> rusqlite::Result<()> {
    let columns = EventColumns::of(event);
    connection.prepare_cached(INSERT_EVENT)?.execute(params![
        attempt.as_sql(),
        columns.id(),
        columns.kind,
        columns.time,
        columns.topic,
        columns.attributes,
        columns.payload,
    ])?;
    Ok(())
}
