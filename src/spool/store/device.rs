//! The registry of devices: rows by client identifier.

mod tally;

use std::collections::HashMap;

use bytestring::ByteString;
use rusqlite::{Connection, Row};

use super::column::{Column, column};
use super::error::Unreadable;
use super::{Error, Store, begin, time_as_sql};
use crate::event::{Id, Reason, Status, Timestamp};

pub(super) use tally::{Tally, set_watch};

/// What is remembered of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// The client identifier.
    pub id: ByteString,
    /// The user name that it came with last.
    pub username: Option<ByteString>,
    /// The address from which it came last.
    pub address: Option<ByteString>,
    /// How it was when that was heard last; never [`Status::Decommissioned`].
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// The number of the watch in which that was heard.
    pub watch: u64,
    /// Since when it is so.
    pub since: Timestamp,
    /// When it was first accepted.
    pub first_seen: Timestamp,
    /// When it was heard of last, in coarse steps.
    pub last_seen: Timestamp,
}

impl DeviceRow {
    /// Returns whether the device is connected for all that is known: in this watch.
    #[must_use]
    pub fn is_online(&self, watch: u64) -> bool {
        self.status == Status::Connected && self.watch == watch
    }
}

/// How many devices there are, and the number of the latest watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceCounts {
    /// Rows.
    pub devices: u64,
    /// The latest watch.
    pub watch: u64,
}

/// A device that the operator has removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Its client identifier.
    pub id: ByteString,
    /// Under which id that is told.
    pub event: Id,
    /// When it was removed.
    pub at: Timestamp,
    /// What was known of it; `None` if it is gone.
    pub device: Option<DeviceRow>,
}

/// Which devices are meant: those that have all that is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// Those with this status when it was heard last.
    pub status: Option<Status>,
    /// Those of which nothing was heard since.
    pub not_seen_since: Option<Timestamp>,
}

const COLUMNS: &str =
    "d.id, d.username, d.address, d.status, d.reason, d.watch, d.since, d.first_seen, d.last_seen";

/// Devices that no operator has removed.
const REMAINING: &str = "d.id NOT IN (SELECT id FROM removals)";

impl Store {
    /// Returns what is remembered of these devices; one whose row somebody else has spoilt is as good as
    /// not known.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn devices(&self, ids: &[ByteString]) -> Result<HashMap<ByteString, DeviceRow>, Error> {
        let read = || {
            let mut found = HashMap::new();
            for id in ids {
                match device(&self.connection, id) {
                    Ok(Some(row)) => drop(found.insert(id.clone(), row)),
                    Ok(None) | Err(Error::Row { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(found)
        };
        self.noted(read())
    }

    /// Returns devices that were last seen before this time, and have been as they are since before it, at most `limit`,
    /// the longest unseen first; none that was connected when it was heard of last.
    /// Rows that somebody else has spoilt are left out.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn not_seen(&self, before: Timestamp, limit: usize) -> Result<Vec<DeviceRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM devices d WHERE d.status <> 1 AND d.last_seen < ?1 AND d.since < ?1
             ORDER BY d.last_seen LIMIT ?2"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query((time_as_sql(before), limit))?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                devices.extend(read_device(row, 0).ok());
            }
            Ok(devices)
        };
        self.noted(read())
    }

    /// Returns devices that were connected when they were heard of last, before a watch, of those that come
    /// behind a number: it looks at `limit` of these, and returns the number of the last. Devices that were removed and
    /// rows that somebody else has spoilt are left out.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn connected_before(
        &self,
        watch: u64,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<DeviceRow>, Option<u64>), Error> {
        let sql = format!(
            "SELECT {COLUMNS}, d.number, d.status = 1 AND d.watch < ? AND {REMAINING}
             FROM devices d WHERE d.number > ? ORDER BY d.number LIMIT ?"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query((watch.cast_signed(), after.cast_signed(), limit))?;
            let (mut devices, mut last) = (Vec::new(), None);
            while let Some(row) = rows.next()? {
                last = row.get::<_, i64>(9).ok().map(i64::cast_unsigned);
                if row.get(10).unwrap_or(false) {
                    devices.extend(read_device(row, 0).ok());
                }
            }
            Ok((devices, last))
        };
        self.noted(read())
    }

    /// Returns devices in the order in which they were first accepted, behind a number, with the
    /// number of each; at most `limit`. Those that were removed are left out.
    ///
    /// # Errors
    /// The database could not be read, or holds what is not valid.
    pub fn list_devices(
        &self,
        filter: DeviceFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DeviceRow)>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, d.number FROM devices d WHERE d.number > ?1 AND {REMAINING}
             AND (?2 IS NULL OR d.status = ?2) AND (?3 IS NULL OR d.last_seen < ?3)
             ORDER BY d.number LIMIT ?4"
        );
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let status = filter.status.map(status_as_sql);
            let before = filter.not_seen_since.map(time_as_sql);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query((after.cast_signed(), status, before, limit))?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                let number = column(9, "number").unsigned(row).map_err(of_devices)?;
                devices.push((number, read_device(row, 0).map_err(of_devices)?));
            }
            Ok(devices)
        };
        self.noted(read())
    }

    /// Returns what is remembered of a device, unless it was removed.
    ///
    /// # Errors
    /// The database could not be read, or holds what is not valid.
    pub fn device(&self, id: &str) -> Result<Option<DeviceRow>, Error> {
        let read = || {
            let removed = "SELECT 1 FROM removals WHERE id = ?";
            let mut statement = self.connection.prepare_cached(removed)?;
            if statement.exists([id])? {
                return Ok(None);
            }
            device(&self.connection, id)
        };
        self.noted(read())
    }

    /// Has a device forgotten, which the mqhook that runs, or the next, tells under this id. Returns
    /// whether there was one.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn remove_device(&mut self, id: &str, event: Id, at: Timestamp) -> Result<bool, Error> {
        let write = |connection: &mut Connection| {
            let transaction = begin(connection)?;
            let inserted = transaction.execute(
                "INSERT INTO removals (id, event_id, at)
                 SELECT id, ?2, ?3 FROM devices WHERE id = ?1 ON CONFLICT DO NOTHING",
                (id, event.to_string(), time_as_sql(at)),
            )?;
            transaction.commit()?;
            Ok(inserted > 0)
        };
        let result = write(&mut self.connection);
        self.noted(result.map_err(|error: rusqlite::Error| Error::from(error)))
    }

    /// Returns devices that were removed and of which that is not told, at most `limit`.
    /// Rows that somebody else has spoilt are left out.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn removals(&self, limit: usize) -> Result<Vec<Removal>, Error> {
        let read = || {
            let sql = "SELECT id, event_id, at FROM removals ORDER BY id LIMIT ?";
            let mut statement = self.connection.prepare_cached(sql)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query([limit])?;
            let mut removals = Vec::new();
            while let Some(row) = rows.next()? {
                removals.extend(read_removal(row).ok());
            }
            for removal in &mut removals {
                removal.device = device(&self.connection, &removal.id).unwrap_or(None);
            }
            Ok(removals)
        };
        self.noted(read())
    }

    /// Returns how many devices there are.
    ///
    /// # Errors
    /// The database could not be read.
    pub fn device_counts(&self) -> Result<DeviceCounts, Error> {
        let counter = |name: &str| {
            let sql = "SELECT value FROM counters WHERE name = ?";
            let value: i64 = self
                .connection
                .prepare_cached(sql)?
                .query_row([name], |row| row.get(0))?;
            Ok::<_, rusqlite::Error>(u64::try_from(value).unwrap_or(0))
        };
        let read = || {
            Ok(DeviceCounts {
                devices: counter("devices")?,
                watch: counter("watch")?,
            })
        };
        self.noted(read())
    }
}

fn device(connection: &Connection, id: &str) -> Result<Option<DeviceRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM devices d WHERE d.id = ?");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    match rows.next()? {
        Some(row) => read_device(row, 0).map(Some).map_err(of_devices),
        None => Ok(None),
    }
}

fn of_devices(source: Unreadable) -> Error {
    Error::Row {
        table: "devices",
        source,
    }
}

fn read_device(row: &Row<'_>, first: usize) -> Result<DeviceRow, Unreadable> {
    let at = |place: usize, name: &'static str| column(first + place, name);
    let text = |place, name| {
        let text = at(place, name).text_or_null(row)?;
        Ok(text.map(ByteString::from))
    };
    let time = |place, name| at(place, name).unsigned(row).map(Timestamp::from_millis);
    Ok(DeviceRow {
        id: at(0, "id").text(row)?.into(),
        username: text(1, "username")?,
        address: text(2, "address")?,
        status: read_status(at(3, "status"), row)?,
        reason: read_reason(at(4, "reason"), row)?,
        watch: at(5, "watch").unsigned(row)?,
        since: time(6, "since")?,
        first_seen: time(7, "first_seen")?,
        last_seen: time(8, "last_seen")?,
    })
}

fn read_removal(row: &Row<'_>) -> Result<Removal, Unreadable> {
    Ok(Removal {
        id: column(0, "id").text(row)?.into(),
        event: column(1, "event_id").parsed(row)?,
        at: Timestamp::from_millis(column(2, "at").unsigned(row)?),
        device: None,
    })
}

fn read_status(column: Column, row: &Row<'_>) -> Result<Status, Unreadable> {
    let number = column.integer(row)?;
    let mut all = Status::ALL.into_iter();
    all.find(|status| status_as_sql(*status) == number)
        .ok_or_else(|| column.unreadable())
}

fn read_reason(column: Column, row: &Row<'_>) -> Result<Option<Reason>, Unreadable> {
    let Some(name) = column.text_or_null(row)? else {
        return Ok(None);
    };
    let reason = Reason::all().find(|reason| reason.name() == name);
    reason.map(Some).ok_or_else(|| column.unreadable())
}

const fn status_as_sql(status: Status) -> i64 {
    match status {
        Status::Connected => 1,
        Status::Disconnected => 2,
        Status::Refused => 3,
        Status::Decommissioned => 4,
    }
}
