//! Writing devices, and how many there are.

use bytestring::ByteString;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{DeviceRow, status_as_sql};
use crate::event::Reason;
use crate::spool::store::time_as_sql;

/// What a row takes beside its identifier, which the index has again, its user name and its address; measured.
const BESIDE_TEXTS_BYTES: usize = 85;

/// What a transaction changes of the counts.
#[derive(Debug, Default)]
pub(in super::super) struct Tally {
    devices: i64,
    bytes: i64,
}

impl Tally {
    /// Writes what is known of a device, new or not.
    pub(in super::super) fn put(
        &mut self,
        transaction: &Connection,
        device: &DeviceRow,
    ) -> rusqlite::Result<()> {
        let values = params![
            &*device.id,
            device.username.as_deref(),
            device.address.as_deref(),
            status_as_sql(device.status),
            device.reason.map(Reason::name),
            device.watch.cast_signed(),
            time_as_sql(device.since),
            time_as_sql(device.first_seen),
            time_as_sql(device.last_seen),
        ];
        let before = texts(transaction, &device.id)?;
        let len = |text: &Option<ByteString>| text.as_ref().map_or(0, |text| text.len());
        let bytes = len(&device.username) + len(&device.address);
        self.bytes += i64::try_from(bytes).unwrap_or(0) - before.unwrap_or(0);
        let mut update = transaction.prepare_cached(
            "UPDATE devices SET username = ?2, address = ?3, status = ?4, reason = ?5, watch = ?6,
               since = ?7, first_seen = ?8, last_seen = ?9 WHERE id = ?1",
        )?;
        if before.is_some() {
            update.execute(values)?;
        } else {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO devices (id, username, address, status, reason, watch, since, first_seen,
                   last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            insert.execute(values)?;
            self.add(1, &device.id);
        }
        Ok(())
    }

    /// Takes a device away, and that it was removed.
    pub(in super::super) fn forget(
        &mut self,
        transaction: &Connection,
        id: &str,
    ) -> rusqlite::Result<()> {
        if let Some(bytes) = texts(transaction, id)? {
            let sql = "DELETE FROM devices WHERE id = ?";
            transaction.prepare_cached(sql)?.execute([id])?;
            self.add(-1, id);
            self.bytes -= bytes;
        }
        let sql = "DELETE FROM removals WHERE id = ?";
        transaction.prepare_cached(sql)?.execute([id]).map(drop)
    }

    fn add(&mut self, rows: i64, id: &str) {
        self.devices += rows;
        let bytes = BESIDE_TEXTS_BYTES + 2 * id.len();
        self.bytes += rows * i64::try_from(bytes).unwrap_or(0);
    }

    pub(in super::super) fn write(&self, transaction: &Connection) -> rusqlite::Result<()> {
        for (name, change) in [("devices", self.devices), ("device_bytes", self.bytes)] {
            if change != 0 {
                let sql = "UPDATE counters SET value = value + ? WHERE name = ?";
                transaction.prepare_cached(sql)?.execute((change, name))?;
            }
        }
        Ok(())
    }
}

/// Returns what the user name and the address of a device take; `None` if there is no such device.
fn texts(transaction: &Connection, id: &str) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT ifnull(octet_length(username), 0) + ifnull(octet_length(address), 0)
         FROM devices WHERE id = ?";
    let mut select = transaction.prepare_cached(sql)?;
    select.query_row([id], |row| row.get(0)).optional()
}

pub(in super::super) fn set_watch(transaction: &Connection, watch: u64) -> rusqlite::Result<()> {
    let sql = "UPDATE counters SET value = ? WHERE name = 'watch'";
    let watch = [watch.cast_signed()];
    transaction.prepare_cached(sql)?.execute(watch).map(drop)
}
