//! Changes, and writing many of them in one transaction.

use std::sync::Arc;

use bytestring::ByteString;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _};

use super::dead_letter::GaveUp;
use super::device::{self, DeviceRow};
use super::event::Columns;
use super::webhook::{Tally, WebhookState, set_state};
use super::{Due, Error, Key, Seq, Store, WebhookKey, begin, time_as_sql};
use crate::event::{Event, Timestamp};

/// One thing to write.
///
/// A change of a delivery names its row by `webhook`, `seq` and `due`, the time at which it is due
/// as the database has it. If there is no such row, nothing is changed: it may have been dropped
/// meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An event was accepted, and waits for these webhooks. One that is there already gets those
    /// that it lacks.
    Append {
        /// Its number, below 2^62.
        seq: Seq,
        /// When it was accepted; its age counts from here.
        accepted: Timestamp,
        /// The event.
        event: Arc<Event>,
        /// Where it goes to; for none nothing is written.
        webhooks: Vec<WebhookKey>,
    },
    /// A delivery is no longer wanted: delivered, or dropped. The event goes with its last
    /// delivery.
    Settle {
        /// The webhook.
        webhook: WebhookKey,
        /// The event.
        seq: Seq,
        /// When the delivery was due.
        due: Due,
    },
    /// An attempt failed, and there will be another.
    Retry {
        /// The webhook.
        webhook: WebhookKey,
        /// The event.
        seq: Seq,
        /// When the delivery was due.
        due: Due,
        /// When it is due from now on.
        next: Timestamp,
        /// How many attempts have failed.
        failures: u32,
        /// When the first of them failed.
        first_failed: Timestamp,
    },
    /// A delivery that is fresh waits for a while, with no attempt.
    HoldBack {
        /// The webhook.
        webhook: WebhookKey,
        /// The event.
        seq: Seq,
        /// Until when.
        next: Timestamp,
    },
    /// A delivery waits behind others of its key.
    Park {
        /// The webhook.
        webhook: WebhookKey,
        /// The event.
        seq: Seq,
        /// When the delivery was due.
        due: Due,
        /// Behind others of which key.
        key: Key,
        /// How many attempts have failed.
        failures: u32,
        /// When the first of them failed.
        first_failed: Option<Timestamp>,
    },
    /// A delivery is given up, and becomes a dead letter.
    Bury {
        /// The webhook.
        webhook: WebhookKey,
        /// The event.
        seq: Seq,
        /// When the delivery was due.
        due: Due,
        /// How many attempts have failed.
        failures: u32,
        /// What the last attempt met, for people. Holds no payload and no secret.
        outcome: String,
        /// Why it is given up.
        reason: GaveUp,
        /// The time.
        at: Timestamp,
    },
    /// What is to be remembered of a webhook is another.
    State {
        /// The webhook.
        webhook: WebhookKey,
        /// What is to be remembered.
        state: WebhookState,
    },
    /// A device is new, or something of it is.
    Device(Box<DeviceRow>),
    /// A device is not to be remembered any more, by the operator's wish or not.
    Forget {
        /// Its client identifier.
        id: ByteString,
    },
    /// A watch has begun.
    Watch(u64),
}

impl Store {
    /// Writes these changes in their order, all or none, and returns when they would survive the
    /// loss of power.
    ///
    /// # Errors
    /// Nothing was changed, and the same changes can be written again.
    pub fn commit(&mut self, changes: &[Change]) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let result = commit(&mut self.connection, changes);
        self.noted(result.map_err(Error::from))
    }
}

impl Store {
    /// Writes something that changes nothing, to learn whether that works.
    ///
    /// # Errors
    /// It does not.
    pub fn touch(&mut self) -> Result<(), Error> {
        let write = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            transaction.execute("UPDATE webhooks SET name = name", [])?;
            transaction.commit()
        };
        let result = write(&mut self.connection);
        self.noted(result.map_err(Error::from))
    }
}

fn commit(connection: &mut Connection, changes: &[Change]) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    let mut batch = Batch::new(&transaction)?;
    for change in changes {
        batch.apply(change)?;
    }
    batch.tally.write(&transaction)?;
    batch.devices.write(&transaction)?;
    drop(batch);
    transaction.commit()
}

/// The statements of a transaction, each looked up once.
struct Batch<'t> {
    transaction: &'t Connection,
    tally: Tally,
    devices: device::Tally,
    insert_event: CachedStatement<'t>,
    insert_delivery: CachedStatement<'t>,
    share: CachedStatement<'t>,
    delay: CachedStatement<'t>,
    bury: CachedStatement<'t>,
    delete_delivery: CachedStatement<'t>,
    unshare: CachedStatement<'t>,
    delete_share: CachedStatement<'t>,
    delete_event: CachedStatement<'t>,
}

const INSERT_EVENT: &str =
    "INSERT INTO events (seq, accepted, id, kind, time, topic, attributes, payload)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

const INSERT_DELIVERY: &str =
    "INSERT INTO deliveries (webhook, due, seq) VALUES (?, 0, ?) ON CONFLICT DO NOTHING";

/// An event without a share has one delivery, so one that was there has that and the new ones.
const SHARE: &str = "INSERT INTO shares (seq, open) VALUES (?1, ?2 + ?3)
     ON CONFLICT DO UPDATE SET open = open + ?2";

const DELAY: &str = "UPDATE deliveries SET due = ?4, failures = ?5, first_failed = ?6
     WHERE webhook = ?1 AND due = ?2 AND seq = ?3";

/// `bytes` is about what the row takes on disk. 150 bytes stand for its ids, times and words; as
/// many rows as fit share a page, and what is longer than a page fills whole ones and half of
/// another.
const BURY: &str =
    "INSERT INTO dead_letters (webhook, at, reason, outcome, failures, first_failed, bytes,
       accepted, event_id, kind, time, topic, attributes, payload)
     SELECT webhook, ?4, ?5, ?6, ?7, first_failed,
       iif(size < 4096, 4096 / (4096 / size), size + 2048),
       accepted, id, kind, time, topic, attributes, payload
     FROM (SELECT d.webhook, d.first_failed, e.*,
         150 + octet_length(?6) + ifnull(octet_length(e.topic), 0) + octet_length(e.attributes)
           + ifnull(length(e.payload), 0) AS size
       FROM deliveries d JOIN events e ON e.seq = d.seq
       WHERE d.webhook = ?1 AND d.due = ?2 AND d.seq = ?3)
     RETURNING bytes";

impl<'t> Batch<'t> {
    fn new(transaction: &'t Connection) -> rusqlite::Result<Self> {
        let prepare = |sql| transaction.prepare_cached(sql);
        Ok(Self {
            transaction,
            tally: Tally::default(),
            devices: device::Tally::default(),
            insert_event: prepare(INSERT_EVENT)?,
            insert_delivery: prepare(INSERT_DELIVERY)?,
            share: prepare(SHARE)?,
            delay: prepare(DELAY)?,
            bury: prepare(BURY)?,
            delete_delivery: prepare(
                "DELETE FROM deliveries WHERE webhook = ? AND due = ? AND seq = ?",
            )?,
            unshare: prepare("UPDATE shares SET open = open - 1 WHERE seq = ?")?,
            delete_share: prepare("DELETE FROM shares WHERE seq = ? AND open <= 0")?,
            delete_event: prepare("DELETE FROM events WHERE seq = ?")?,
        })
    }

    fn apply(&mut self, change: &Change) -> rusqlite::Result<()> {
        match change {
            Change::Append {
                seq,
                accepted,
                event,
                webhooks,
            } => self.append(*seq, *accepted, event, webhooks),
            Change::Settle { webhook, seq, due } => self.settle(*webhook, *seq, *due),
            Change::Retry {
                webhook,
                seq,
                due,
                next,
                failures,
                first_failed,
            } => {
                let failed = (*failures, Some(*first_failed));
                self.put_off(*webhook, *seq, (*due, Due::At(*next)), failed)
            }
            Change::HoldBack { webhook, seq, next } => {
                self.put_off(*webhook, *seq, (Due::Fresh, Due::At(*next)), (0, None))
            }
            Change::Park {
                webhook,
                seq,
                due,
                key,
                failures,
                first_failed,
            } => {
                let failed = (*failures, *first_failed);
                self.put_off(*webhook, *seq, (*due, Due::Parked(*key)), failed)
            }
            Change::Bury { .. } => self.bury(change),
            Change::State { webhook, state } => set_state(self.transaction, *webhook, state),
            Change::Device(row) => self.devices.put(self.transaction, row),
            Change::Forget { id } => self.devices.forget(self.transaction, id),
            Change::Watch(watch) => device::set_watch(self.transaction, *watch),
        }
    }

    /// Makes a dead letter of a delivery, if it is there.
    fn bury(&mut self, change: &Change) -> rusqlite::Result<()> {
        let Change::Bury {
            webhook,
            seq,
            due,
            failures,
            outcome,
            reason,
            at,
        } = change
        else {
            return Ok(());
        };
        let values = (
            webhook.0,
            due.as_sql(),
            seq.as_sql(),
            time_as_sql(*at),
            reason.name(),
            outcome,
            failures,
        );
        let bytes = self.bury.query_row(values, |row| row.get::<_, i64>(0));
        if let Some(bytes) = bytes.optional()? {
            self.tally.of(*webhook).dead_letters += 1;
            self.tally.of(*webhook).dead_letter_bytes += bytes;
        }
        self.settle(*webhook, *seq, *due)
    }

    fn put_off(
        &mut self,
        webhook: WebhookKey,
        seq: Seq,
        (due, next): (Due, Due),
        (failures, first_failed): (u32, Option<Timestamp>),
    ) -> rusqlite::Result<()> {
        let row = (webhook.0, due.as_sql(), seq.as_sql());
        let first_failed = first_failed.map(time_as_sql);
        let values = (row.0, row.1, row.2, next.as_sql(), failures, first_failed);
        if self.delay.execute(values)? > 0 {
            *self.tally.of(webhook).waiting(due) -= 1;
            *self.tally.of(webhook).waiting(next) += 1;
        }
        Ok(())
    }

    fn append(
        &mut self,
        seq: Seq,
        accepted: Timestamp,
        event: &Event,
        webhooks: &[WebhookKey],
    ) -> rusqlite::Result<()> {
        if webhooks.is_empty() {
            return Ok(());
        }
        let is_new = self.insert_event(seq, accepted, event)?;
        let mut inserted = 0_i64;
        for webhook in webhooks {
            if self.insert_delivery.execute((webhook.0, seq.as_sql()))? > 0 {
                inserted += 1;
                let counts = self.tally.of(*webhook);
                counts.fresh += 1;
                counts.last_seq = counts.last_seq.max(Some(seq.as_sql()));
            }
        }
        let others = i64::from(!is_new);
        if inserted > 0 && inserted + others > 1 {
            self.share.execute((seq.as_sql(), inserted, others))?;
        }
        Ok(())
    }

    /// Inserts the row of an event; returns whether there was none.
    fn insert_event(
        &mut self,
        seq: Seq,
        accepted: Timestamp,
        event: &Event,
    ) -> rusqlite::Result<bool> {
        let columns = Columns::of(event);
        let inserted = self.insert_event.execute((
            seq.as_sql(),
            time_as_sql(accepted),
            columns.id(),
            columns.kind,
            columns.time,
            columns.topic,
            &columns.attributes,
            columns.payload,
        ))?;
        Ok(inserted > 0)
    }

    /// Takes a delivery away, and its event if that was its last.
    fn settle(&mut self, webhook: WebhookKey, seq: Seq, due: Due) -> rusqlite::Result<()> {
        let seq = seq.as_sql();
        if self
            .delete_delivery
            .execute((webhook.0, due.as_sql(), seq))?
            == 0
        {
            return Ok(());
        }
        *self.tally.of(webhook).waiting(due) -= 1;
        let is_shared = self.unshare.execute([seq])? > 0;
        if !is_shared || self.delete_share.execute([seq])? > 0 {
            self.delete_event.execute([seq])?;
        }
        Ok(())
    }
}
