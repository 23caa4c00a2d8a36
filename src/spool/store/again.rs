//! Delivering once more what was delivered before, and is kept elsewhere.

use rusqlite::Connection;

use super::event::Columns;
use super::replay::replayed_before;
use super::webhook::{self, Tally};
use super::{Due, Error, Seq, Store, begin, time_as_sql};
use crate::event::{Event, Timestamp};

impl Store {
    /// Makes deliveries of events to webhooks, by name, as [`replay`](Self::replay) makes them of dead
    /// letters: each is due `now`, and keeps its id. What is meant for a webhook that never was
    /// is left out. Returns how many were made.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn deliver_again<'a>(
        &mut self,
        deliveries: impl IntoIterator<Item = (&'a str, &'a Event)>,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let result = deliver_again(&mut self.connection, deliveries, now);
        self.noted(result.map_err(Error::from))
    }
}

fn deliver_again<'a>(
    connection: &mut Connection,
    deliveries: impl IntoIterator<Item = (&'a str, &'a Event)>,
    now: Timestamp,
) -> rusqlite::Result<u64> {
    let transaction = begin(connection)?;
    let mut insert_event = transaction.prepare_cached(
        "INSERT INTO events (seq, accepted, id, kind, time, topic, attributes, payload)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let mut insert_delivery = transaction
        .prepare_cached("INSERT INTO deliveries (webhook, due, seq) VALUES (?, ?, ?)")?;
    let mut tally = Tally::default();
    let before = replayed_before(&transaction)?;
    let mut made = 0_i64;
    for (name, event) in deliveries {
        let Some(webhook) = webhook::key(&transaction, name)? else {
            continue;
        };
        let seq = Seq::REPLAYED + before + made;
        let columns = Columns::of(event);
        insert_event.execute((
            seq,
            time_as_sql(now),
            columns.id(),
            columns.kind,
            columns.time,
            columns.topic,
            &columns.attributes,
            columns.payload,
        ))?;
        insert_delivery.execute((webhook.0, Due::At(now).as_sql(), seq))?;
        tally.of(webhook).retrying += 1;
        made += 1;
    }
    let sql = "UPDATE counters SET value = value + ? WHERE name = 'replayed'";
    transaction.execute(sql, [made])?;
    tally.write(&transaction)?;
    drop((insert_event, insert_delivery));
    transaction.commit()?;
    Ok(made.unsigned_abs())
}
