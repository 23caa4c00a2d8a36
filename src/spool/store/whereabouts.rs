//! Where an event is: what of it waits, and what was given up.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::column;
use super::error::Unreadable;
use super::{DeadLetterId, Error, Seq, Store, time_as_sql};
use crate::event::{Id, Kind, Timestamp};

/// How far the clock may have been set back while events were accepted, to find one by its time.
const SLACK_MS: u64 = 60_000;

/// One delivery of an event that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whereabouts {
    /// The webhook's name.
    pub webhook: String,
    /// The dead letter that the delivery has become; `None` while it waits.
    pub dead_letter: Option<DeadLetterId>,
    /// How many attempts have failed.
    pub failures: u32,
    /// What kind the event is of.
    pub kind: Kind,
    /// When it happened.
    pub time: Timestamp,
    /// The topic of a message, `None` for other kinds.
    pub topic: Option<String>,
}

const DEAD: &str = "SELECT ifnull(w.name, ''), l.id, l.failures, l.kind, l.time, l.topic
     FROM dead_letters l LEFT JOIN webhooks w ON w.id = l.webhook WHERE l.event_id = ? ORDER BY l.id";

impl Store {
    /// Returns the deliveries of an event that wait or were given up. May read all dead letters, and all
    /// that were replayed and wait.
    ///
    /// # Errors
    /// The database could not be read, or a value of a row is not valid.
    pub fn whereabouts(&self, event: Id) -> Result<Vec<Whereabouts>, Error> {
        let find = || {
            let mut found = Vec::new();
            for seq in numbers(&self.connection, event)? {
                read_all(
                    &self.connection,
                    &waiting(),
                    params![seq],
                    "events",
                    &mut found,
                )?;
            }
            let id = event.to_string();
            read_all(
                &self.connection,
                DEAD,
                params![id],
                "dead_letters",
                &mut found,
            )?;
            Ok(found)
        };
        self.noted(find())
    }
}

/// Returns the query for the deliveries of a number. They are found by what is at hand: the indexes of those that were
/// put off and parked, and the primary key of those that are fresh.
fn waiting() -> String {
    let of = |due: &str| {
        format!(
            "SELECT w.name, NULL, d.failures, e.kind, e.time, e.topic
             FROM events e CROSS JOIN webhooks w CROSS JOIN deliveries d
             WHERE e.seq = ?1 AND d.webhook = w.id AND d.seq = e.seq AND d.due {due}"
        )
    };
    [of("= 0"), of("> 0"), of("< 0")].join(" UNION ALL ")
}

fn read_all(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
    table: &'static str,
    found: &mut Vec<Whereabouts>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    while let Some(row) = rows.next()? {
        found.push(read(row).map_err(|source| Error::Row { table, source })?);
    }
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Whereabouts, Unreadable> {
    Ok(Whereabouts {
        webhook: column(0, "name").text(row)?.to_owned(),
        dead_letter: column(1, "id").unsigned_or_null(row)?.map(DeadLetterId),
        failures: column(2, "failures").unsigned(row)?,
        kind: column(3, "kind").parsed(row)?,
        time: Timestamp::from_millis(column(4, "time").integer(row)?.cast_unsigned()),
        topic: column(5, "topic").text_or_null(row)?.map(str::to_owned),
    })
}

/// Returns the numbers under which an event waits; it has several if it was replayed.
///
/// There is no index of ids, which every event would have to pay for: numbers are given in the order of time, so the
/// first that may be it is looked for as one looks up a word.
fn numbers(connection: &Connection, event: Id) -> rusqlite::Result<Vec<i64>> {
    let time = event.time().as_millis();
    let from = time_as_sql(Timestamp::from_millis(time.saturating_sub(SLACK_MS)));
    let to = time_as_sql(Timestamp::from_millis(time.saturating_add(SLACK_MS)));
    let first = first_accepted_at(connection, from)?;
    let last = first_accepted_at(connection, to)?;
    let sql = "SELECT seq FROM events WHERE id = ?1 AND (seq BETWEEN ?2 AND ?3 OR seq >= ?4)";
    let mut statement = connection.prepare_cached(sql)?;
    let numbers = statement.query_map(
        params![event.to_string(), first, last, Seq::REPLAYED],
        |row| row.get(0),
    )?;
    numbers.collect()
}

/// Returns the number of the first event that was accepted at a time or later, or one that is behind all.
fn first_accepted_at(connection: &Connection, time: i64) -> rusqlite::Result<i64> {
    let ends = "SELECT min(seq), max(seq) FROM events WHERE seq < ?";
    let ends = connection.query_row(ends, [Seq::REPLAYED], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
    })?;
    let (Some(mut low), Some(last)) = ends else {
        return Ok(0);
    };
    let mut high = last.saturating_add(1);
    let sql = "SELECT seq, accepted FROM events WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1";
    let mut next = connection.prepare_cached(sql)?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, i64)> = next
            .query_row([middle, high], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match found {
            Some((seq, accepted)) if accepted < time => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
