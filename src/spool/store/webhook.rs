//! Webhooks as the database knows them: their states, and how much waits for each.

use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::column::column;
use super::error::Unreadable;
use super::{Dropped, Due, Error, Seq, Store, time_as_sql};
use crate::event::Timestamp;

/// Names a webhook in the database, for as long as that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookKey(pub(super) i64);

/// Whether a webhook's deliveries are attempted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// They are; the default.
    #[default]
    Enabled,
    /// They wait, because somebody wanted it so.
    Disabled,
    /// They wait, because too many failed or the receiver is gone.
    DisabledDueToErrors,
}

impl Status {
    /// Every status, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Enabled, Self::Disabled, Self::DisabledDueToErrors];

    /// Returns the word for it, such as `disabled_due_to_errors`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::DisabledDueToErrors => "disabled_due_to_errors",
        }
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or(())
    }
}

/// What is remembered of a webhook from one run to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookState {
    /// Whether its deliveries are attempted.
    pub status: Status,
    /// Since when it has this status; `None` for one that never had another.
    pub since: Option<Timestamp>,
    /// Why it has this status, for people; empty where there is nothing to say.
    pub reason: String,
    /// How many deliveries have failed since the last that was delivered.
    pub consecutive_failures: u32,
    /// When the first of them failed; `None` where none has.
    pub failing_since: Option<Timestamp>,
}

impl WebhookState {
    /// Returns whether the webhook's deliveries are attempted.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status == Status::Enabled
    }
}

/// How much waits for a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Names the webhook in the database.
    pub webhook: WebhookKey,
    /// Its name in the configuration, of this run or of an earlier one.
    pub name: String,
    /// Its state.
    pub state: WebhookState,
    /// How many deliveries wait that no attempt has failed for.
    pub fresh: u64,
    /// How many wait for another attempt.
    pub retrying: u64,
    /// When the oldest event that waits was accepted or replayed; `None` where none waits.
    pub oldest: Option<Timestamp>,
    /// How many dead letters there are.
    pub dead_letters: u64,
    /// How much of the bound on dead letters they take, in bytes.
    pub dead_letter_bytes: u64,
}

impl Backlog {
    /// Returns how many deliveries wait, for whatever.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.fresh + self.retrying
    }
}

impl Store {
    /// Returns the key of the webhook of this name, which becomes known by this.
    ///
    /// # Errors
    /// The database could not be written.
    pub fn register(&mut self, name: &str) -> Result<WebhookKey, Error> {
        let register = || {
            self.connection.execute(
                "INSERT INTO webhooks (name) VALUES (?) ON CONFLICT DO NOTHING",
                [name],
            )?;
            key(&self.connection, name)
        };
        let key = self.noted(register().map_err(Error::from))?;
        Ok(key.expect("it was inserted just now, and rows are never deleted"))
    }

    /// Returns what is remembered of a webhook.
    ///
    /// # Errors
    /// The database could not be read, or a value of the row is not valid.
    pub fn state(&self, webhook: WebhookKey) -> Result<WebhookState, Error> {
        let sql = "SELECT status, since, reason, consecutive_failures, failing_since FROM webhooks WHERE id = ?";
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([webhook.0])?;
            match rows.next()? {
                Some(row) => Ok(read_state(row, 0).map_err(of_webhooks)?),
                None => Ok(WebhookState::default()),
            }
        };
        self.noted(read())
    }

    /// Returns how much waits for each webhook that was ever registered, in order of registration.
    ///
    /// It reads counts, not rows, so it is quick whatever waits.
    ///
    /// # Errors
    /// The database could not be read, or a value of a row is not valid.
    pub fn backlog(&self) -> Result<Vec<Backlog>, Error> {
        self.noted(backlog(&self.connection))
    }

    /// Returns the key of the webhook of this name, and how many deliveries wait for it; `None` if it is not known.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn waiting_of(&self, name: &str) -> Result<Option<(WebhookKey, u64)>, Error> {
        let read = || {
            let Some(key) = key(&self.connection, name)? else {
                return Ok(None);
            };
            let waiting = self.waiting()?;
            Ok(waiting.into_iter().find(|(known, _)| *known == key))
        };
        self.noted(read())
    }

    /// Returns how many deliveries wait for each webhook that was ever registered.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn waiting(&self) -> Result<Vec<(WebhookKey, u64)>, Error> {
        let read = || {
            let sql = "SELECT id, fresh + retrying FROM webhooks";
            let mut statement = self.connection.prepare_cached(sql)?;
            let row = |row: &Row<'_>| {
                let waiting: i64 = row.get(1)?;
                Ok((WebhookKey(row.get(0)?), waiting.max(0).unsigned_abs()))
            };
            let rows = statement.query_map([], row)?;
            rows.collect::<rusqlite::Result<_>>()
        };
        self.noted(read().map_err(Error::from))
    }
}

/// The oldest is the first among the fresh, the parked, or those that wait for another attempt, each
/// with and without the replayed, which have numbers of their own.
pub(super) const BACKLOG: &str =
    "SELECT id, name, fresh, retrying, dead_letters, dead_letter_bytes,
       (SELECT min(accepted) FROM events WHERE seq IN (
         (SELECT min(seq) FROM deliveries WHERE webhook = w.id AND due = 0),
         (SELECT min(seq) FROM deliveries WHERE webhook = w.id AND due = 0 AND seq >= ?1),
         (SELECT min(seq) FROM deliveries INDEXED BY retries WHERE webhook = w.id AND due > 0),
         (SELECT min(seq) FROM deliveries INDEXED BY retries
          WHERE webhook = w.id AND due > 0 AND seq >= ?1),
         (SELECT min(seq) FROM deliveries INDEXED BY parked WHERE webhook = w.id AND due < 0),
         (SELECT min(seq) FROM deliveries INDEXED BY parked
          WHERE webhook = w.id AND due < 0 AND seq >= ?1))),
       status, since, reason, consecutive_failures, failing_since
     FROM webhooks w ORDER BY id";

fn backlog(connection: &Connection) -> Result<Vec<Backlog>, Error> {
    let mut statement = connection.prepare_cached(BACKLOG)?;
    let mut rows = statement.query([Seq::REPLAYED])?;
    let mut backlog = Vec::new();
    while let Some(row) = rows.next()? {
        backlog.push(read_backlog(row).map_err(of_webhooks)?);
    }
    Ok(backlog)
}

fn read_backlog(row: &Row<'_>) -> Result<Backlog, Unreadable> {
    Ok(Backlog {
        webhook: WebhookKey(column(0, "id").integer(row)?),
        name: column(1, "name").text(row)?.to_owned(),
        fresh: column(2, "fresh").unsigned(row)?,
        retrying: column(3, "retrying").unsigned(row)?,
        dead_letters: column(4, "dead_letters").unsigned(row)?,
        dead_letter_bytes: column(5, "dead_letter_bytes").unsigned(row)?,
        oldest: column(6, "accepted")
            .unsigned_or_null(row)?
            .map(Timestamp::from_millis),
        state: read_state(row, 7)?,
    })
}

fn read_state(row: &Row<'_>, first: usize) -> Result<WebhookState, Unreadable> {
    let at = |place, name| column(first + place, name);
    let time = |place, name| at(place, name).unsigned_or_null(row);
    Ok(WebhookState {
        status: at(0, "status").parsed(row)?,
        since: time(1, "since")?.map(Timestamp::from_millis),
        reason: at(2, "reason").text(row)?.to_owned(),
        consecutive_failures: at(3, "consecutive_failures").unsigned(row)?,
        failing_since: time(4, "failing_since")?.map(Timestamp::from_millis),
    })
}

fn of_webhooks(source: Unreadable) -> Error {
    Error::Row {
        table: "webhooks",
        source,
    }
}

/// Returns the key of the webhook of this name; `None` for one that was never registered.
pub(super) fn key(connection: &Connection, name: &str) -> rusqlite::Result<Option<WebhookKey>> {
    connection
        .prepare_cached("SELECT id FROM webhooks WHERE name = ?")?
        .query_row([name], |row| row.get(0).map(WebhookKey))
        .optional()
}

/// Writes what is to be remembered of a webhook.
pub(super) fn set_state(
    connection: &Connection,
    webhook: WebhookKey,
    state: &WebhookState,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "UPDATE webhooks SET status = ?, since = ?, reason = ?, consecutive_failures = ?, failing_since = ?
         WHERE id = ?",
    )?;
    statement.execute((
        state.status.name(),
        state.since.map(time_as_sql),
        &state.reason,
        state.consecutive_failures,
        state.failing_since.map(time_as_sql),
        webhook.0,
    ))?;
    Ok(())
}

/// What a transaction adds to the counts of webhooks, written once at its end.
#[derive(Debug, Default)]
pub(super) struct Tally(Vec<(WebhookKey, Counts)>);

/// What is added to the counts of a webhook; negative where rows go.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) fresh: i64,
    pub(super) retrying: i64,
    pub(super) dead_letters: i64,
    pub(super) dead_letter_bytes: i64,
    /// The highest number that was appended.
    pub(super) last_seq: Option<i64>,
}

impl Counts {
    /// Returns the count that a delivery with this due time is in.
    pub(super) fn waiting(&mut self, due: Due) -> &mut i64 {
        match due {
            Due::Fresh | Due::Parked(_) => &mut self.fresh,
            Due::At(_) => &mut self.retrying,
        }
    }
}

impl Tally {
    /// Returns the counts of a webhook. There are few webhooks, so they are searched.
    pub(super) fn of(&mut self, webhook: WebhookKey) -> &mut Counts {
        let place = self.0.iter().position(|(key, _)| *key == webhook);
        let place = place.unwrap_or_else(|| {
            self.0.push((webhook, Counts::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// Adds everything to the rows of the webhooks.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(
            "UPDATE webhooks SET fresh = fresh + ?1, retrying = retrying + ?2, dead_letters = dead_letters + ?3,
               dead_letter_bytes = dead_letter_bytes + ?4, last_seq = coalesce(max(last_seq, ?5), last_seq, ?5)
             WHERE id = ?6",
        )?;
        for (webhook, counts) in &self.0 {
            statement.execute((
                counts.fresh,
                counts.retrying,
                counts.dead_letters,
                counts.dead_letter_bytes,
                counts.last_seq,
                webhook.0,
            ))?;
        }
        Ok(())
    }

    /// Returns how many rows went by webhook, deliveries and dead letters together.
    pub(super) fn dropped(&self) -> Dropped {
        let gone = |counts: &Counts| -(counts.fresh + counts.retrying + counts.dead_letters);
        self.0
            .iter()
            .filter_map(|(webhook, counts)| Some((*webhook, u64::try_from(gone(counts)).ok()?)))
            .filter(|(_, gone)| *gone > 0)
            .collect()
    }
}
