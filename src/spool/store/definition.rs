//! What is configured over the admin API: webhooks and groups, as JSON; and how often webhooks were attempted.

use std::str::FromStr;

use rusqlite::{Connection, Row};

use super::column::column;
use super::error::Unreadable;
use super::{Error, Store, begin, time_as_sql};
use crate::event::Timestamp;

/// The most definitions, webhooks and groups together.
pub const MAX_DEFINITIONS: usize = 1_000;

/// What is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Defines {
    /// A group; webhooks may be of it.
    Group,
    /// A webhook.
    Webhook,
}

impl Defines {
    /// Returns the word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Webhook => "webhook",
        }
    }
}

impl FromStr for Defines {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Group, Self::Webhook]
            .into_iter()
            .find(|defines| defines.name() == text)
            .ok_or(())
    }
}

/// One webhook or group.
#[derive(Clone, PartialEq, Eq)]
pub struct Definition {
    /// Names it for ever.
    pub id: String,
    /// What it defines.
    pub defines: Defines,
    /// Its name, which no other of the kind has.
    pub name: String,
    /// The group that a webhook is of.
    pub group: Option<String>,
    /// What is configured, as JSON; secrets included.
    pub json: String,
    /// From 1; each change adds 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub last_modified_at: Timestamp,
    /// When all secrets that sign but the first are to be dropped; `None`: never.
    pub overlaps_until: Option<Timestamp>,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What it says may hold secrets.
        f.debug_struct("Definition")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// How often a webhook was attempted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activity {
    /// The webhook's name.
    pub webhook: String,
    /// Attempts.
    pub attempts: u64,
    /// When the last of them ended, about; `None`: there was none.
    pub last_triggered: Option<Timestamp>,
}

impl Store {
    /// Returns all definitions, in the order in which they were made.
    ///
    /// # Errors
    /// The database could not be read, or holds what is not valid.
    pub fn definitions(&self) -> Result<Vec<Definition>, Error> {
        self.noted(definitions(&self.connection))
    }

    /// Adds a definition.
    ///
    /// # Errors
    /// Nothing was added; so if one of its kind has the name already.
    pub fn add_definition(&mut self, new: &Definition) -> Result<(), Error> {
        let result = add(&mut self.connection, new).map_err(Error::from);
        self.noted(result)
    }

    /// Puts another in place of the definition with its id; returns whether there was one.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn set_definition(&mut self, new: &Definition) -> Result<bool, Error> {
        let sql = "UPDATE definitions SET in_group = ?, definition = ?, version = ?, last_modified_at = ?,
                     overlaps_until = ? WHERE id = ?";
        let set = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            let changed = transaction.execute(
                sql,
                (
                    &new.group,
                    &new.json,
                    new.version.cast_signed(),
                    time_as_sql(new.last_modified_at),
                    new.overlaps_until.map(time_as_sql),
                    &new.id,
                ),
            )?;
            transaction.commit()?;
            Ok(changed > 0)
        };
        let result = set(&mut self.connection).map_err(|error: rusqlite::Error| error.into());
        self.noted(result)
    }

    /// Removes a definition; returns whether there was one.
    ///
    /// # Errors
    /// Nothing was removed.
    pub fn remove_definition(&mut self, id: &str) -> Result<bool, Error> {
        let remove = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            let removed = transaction.execute("DELETE FROM definitions WHERE id = ?", [id])?;
            transaction.commit()?;
            Ok(removed > 0)
        };
        let result = remove(&mut self.connection).map_err(|error: rusqlite::Error| error.into());
        self.noted(result)
    }

    /// Returns how often each webhook was attempted that was ever registered.
    ///
    /// # Errors
    /// The database could not be read, or holds what is not valid.
    pub fn activity(&self) -> Result<Vec<Activity>, Error> {
        self.noted(activity(&self.connection))
    }

    /// Adds attempts to those that are counted; of webhooks that are not registered none are.
    ///
    /// # Errors
    /// Nothing was added.
    pub fn add_activity(&mut self, more: &[Activity]) -> Result<(), Error> {
        let add = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            let mut statement = transaction.prepare_cached(
                "UPDATE webhooks SET attempts = attempts + ?1,
                   last_triggered = max(ifnull(last_triggered, 0), ifnull(?2, 0)) WHERE name = ?3",
            )?;
            for activity in more {
                statement.execute((
                    activity.attempts.cast_signed(),
                    activity.last_triggered.map(time_as_sql),
                    &activity.webhook,
                ))?;
            }
            drop(statement);
            transaction.commit()
        };
        let result = add(&mut self.connection).map_err(Error::from);
        self.noted(result)
    }
}

fn definitions(connection: &Connection) -> Result<Vec<Definition>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, kind, name, in_group, definition, version, created_at, last_modified_at,
                overlaps_until
         FROM definitions ORDER BY number",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row).map_err(|source| Error::Row {
            table: "definitions",
            source,
        })?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Definition, Unreadable> {
    let time = |at, name| column(at, name).unsigned(row).map(Timestamp::from_millis);
    Ok(Definition {
        id: column(0, "id").text(row)?.to_owned(),
        defines: column(1, "kind").parsed(row)?,
        name: column(2, "name").text(row)?.to_owned(),
        group: column(3, "in_group").text_or_null(row)?.map(str::to_owned),
        json: column(4, "definition").text(row)?.to_owned(),
        version: column(5, "version").unsigned(row)?,
        created_at: time(6, "created_at")?,
        last_modified_at: time(7, "last_modified_at")?,
        overlaps_until: column(8, "overlaps_until")
            .unsigned_or_null(row)?
            .map(Timestamp::from_millis),
    })
}

fn add(connection: &mut Connection, new: &Definition) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    transaction.execute(
        "INSERT INTO definitions (id, kind, name, in_group, definition, version, created_at, last_modified_at,
                                  overlaps_until)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            &new.id,
            new.defines.name(),
            &new.name,
            &new.group,
            &new.json,
            new.version.cast_signed(),
            time_as_sql(new.created_at),
            time_as_sql(new.last_modified_at),
            new.overlaps_until.map(time_as_sql),
        ),
    )?;
    transaction.commit()
}

fn activity(connection: &Connection) -> Result<Vec<Activity>, Error> {
    let sql = "SELECT name, attempts, last_triggered FROM webhooks ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let read = || {
            let last = column(2, "last_triggered").unsigned_or_null(row)?;
            Ok(Activity {
                webhook: column(0, "name").text(row)?.to_owned(),
                attempts: column(1, "attempts").unsigned(row)?,
                last_triggered: last.map(Timestamp::from_millis),
            })
        };
        found.push(read().map_err(|source| Error::Row {
            table: "webhooks",
            source,
        })?);
    }
    Ok(found)
}
