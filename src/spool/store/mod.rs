//! The spool's database: `SQLite`, in a directory of its own.
//!
//! ```text
//! events        seq -> the event                  once, however many webhooks it goes to
//! deliveries    (webhook, due, seq) -> failures   due 0: fresh; above: the time of the next attempt;
//!                                                 below: parked, behind others of the key -due
//! shares        seq -> open                       deliveries left of an event that had several
//! dead_letters  id -> the event and its last outcome
//! webhooks      id -> name, state, counts
//! devices       number -> client identifier, status, when it was seen; removals: those to be forgotten
//! definitions   number -> webhooks and groups of the admin API, as JSON
//! tokens        id -> name, hash, role              of the admin API
//! ```
//!
//! The key of `deliveries` serves both reads: fresh deliveries in the order in which they were
//! accepted, and those that wait for another attempt in the order in which they are due.
//!
//! What [`Store::commit`] has returned from survives a crash and the loss of power: the log is
//! synchronised with every transaction. What failed has changed nothing and can be repeated. One
//! process runs on the directory, which a lock file ensures; the command line
//! [attaches](Store::attach) beside it, and the running process
//! [notices](Store::changed_by_others).
//!
//! A store is synchronous and meant for a thread of its own. It decides nothing: what to attempt,
//! to give up or to drop, and when, is for its caller to say.

mod again;
mod attributes;
mod batch;
mod bound;
mod column;
mod dead_letter;
mod definition;
mod device;
mod error;
mod event;
mod load;
mod open;
mod parked;
mod properties;
mod replay;
mod schema;
mod space;
mod token;
mod webhook;
mod whereabouts;

use std::fs::File;
use std::path::PathBuf;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::event::Timestamp;

pub use batch::Change;
pub use bound::DroppedUpTo;
pub(crate) use column::column;
pub use dead_letter::{DeadLetter, DeadLetterId, Filter, GaveUp};
pub use definition::{Activity, Defines, Definition, MAX_DEFINITIONS};
pub use device::{DeviceCounts, DeviceFilter, DeviceRow, Removal};
pub use error::{Error, OpenError, Unreadable};
pub(crate) use event::{Columns as EventColumns, read as read_event};
pub use load::{Loaded, Window};
pub use open::{Opened, is_in_use};
pub use parked::{Key, PutOff};
pub use space::Space;
pub use token::{Limit, MAX_TOKENS, Made, NewToken, Role, TokenId, TokenRow};
pub use webhook::{Backlog, Status, WebhookKey, WebhookState};
pub use whereabouts::Whereabouts;

/// The number of an accepted event; a later event has a higher one.
///
/// The caller counts, from behind [`Store::last_seq`]. Numbers from 2^62 on belong to replayed dead
/// letters, which the store counts: another process replays them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seq(pub u64);

impl Seq {
    /// The first number of a replayed dead letter.
    const REPLAYED: i64 = 1 << 62;

    /// Returns whether it is that of a replayed dead letter.
    #[must_use]
    pub const fn is_replayed(self) -> bool {
        self.0 >= Self::REPLAYED.cast_unsigned()
    }

    fn as_sql(self) -> i64 {
        self.0.cast_signed()
    }

    fn from_sql(value: i64) -> Self {
        Self(value.cast_unsigned())
    }
}

/// When a delivery is to be attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Due {
    /// In its turn: no attempt has failed yet.
    Fresh,
    /// Not before this time, by the system's clock.
    At(Timestamp),
    /// Behind others of this key, until it is asked for.
    Parked(Key),
}

impl Due {
    /// Returns 0 for a fresh delivery, the negative key of a parked one, otherwise the milliseconds
    /// since the epoch, at least 1.
    fn as_sql(self) -> i64 {
        match self {
            Self::Fresh => 0,
            Self::At(time) => time_as_sql(time).max(1),
            Self::Parked(key) => key.as_sql(),
        }
    }

    fn from_sql(value: i64) -> Self {
        match value {
            0 => Self::Fresh,
            ms @ 1.. => Self::At(time_from_sql(ms)),
            key => Self::Parked(Key::from_sql(key)),
        }
    }
}

/// How many deliveries or dead letters of which webhook were dropped; no webhook is named twice.
pub type Dropped = Vec<(WebhookKey, u64)>;

/// A spool's database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// Where the database is.
    dir: PathBuf,
    /// Of the last [`changed_by_others`](Store::changed_by_others).
    data_version: i64,
    dropped_up_to: DroppedUpTo,
    /// Held open by the process that runs on the directory; closing it ends its claim. `None` for
    /// one that has attached.
    _lock: Option<File>,
}

impl Store {
    /// Returns whether another process has changed the database since the last call, or since it
    /// was opened.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn changed_by_others(&mut self) -> Result<bool, Error> {
        let version = data_version(&self.connection).map_err(Error::from);
        let version = self.noted(version)?;
        Ok(std::mem::replace(&mut self.data_version, version) != version)
    }

    /// Returns the result as it is to be reported, having marked a database that is damaged.
    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| {
            let error = error.told_apart(|| error::probe(&self.dir.join(open::PROBE_FILE)));
            if matches!(error, Error::Corrupt { .. }) {
                // Without the mark the next start believes the database until it meets the damage
                // again.
                let _ = File::create(self.dir.join(open::SUSPECT_FILE));
            }
            error
        })
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

/// Begins a transaction that writes, having ended one that failed and could not be ended then.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Returns a time of ours as the database keeps it; one beyond the year 292 million is that year.
fn time_as_sql(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn time_from_sql(ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
