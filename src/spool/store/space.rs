//! What the file system has left. Taking a delivery away needs space, too: a disk that is filled to
//! the last byte cannot be emptied any more.

use std::fs;
use std::io;

use super::open::LOG_FILE;
use super::{Error, Store};

/// What is left to others and to emptying the store, in bytes.
const RESERVE: u64 = 16 << 20;

/// Of a small file system a quarter is left.
const RESERVED_SHARE: u64 = 4;

/// How the file system of a store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that could still be written.
    pub available: u64,
    /// Bytes of the database that are not in use and can be given back.
    pub unused: u64,
    /// Bytes of the log, which need as much again when they go into the database.
    pub log: u64,
    /// Bytes that shall be left.
    pub reserve: u64,
}

impl Space {
    /// Returns how many bytes may still be put on disk.
    #[must_use]
    pub const fn spare(&self) -> u64 {
        self.available.saturating_sub(self.reserve + self.log)
    }

    /// Returns whether anything may be put on disk.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.spare() > 0
    }

    /// Returns whether there would be room if what is not in use were given back.
    #[must_use]
    pub const fn has_room_when_tidy(&self) -> bool {
        self.available.saturating_add(self.unused) > self.reserve + self.log
    }

    /// Returns whether there is so much room that it is worth to go on after there was none.
    #[must_use]
    pub const fn has_plenty(&self) -> bool {
        self.available >= 2 * self.reserve + self.log
    }
}

impl Store {
    /// Returns how the file system stands.
    ///
    /// # Errors
    /// It does not say.
    pub fn space(&self) -> io::Result<Space> {
        let system = rustix::fs::statvfs(&self.dir)?;
        let log = match fs::metadata(self.dir.join(LOG_FILE)) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Space {
            available: system.f_bavail.saturating_mul(system.f_frsize),
            unused: self.unused_bytes().unwrap_or(0),
            log,
            reserve: RESERVE.min(system.f_blocks.saturating_mul(system.f_frsize) / RESERVED_SHARE),
        })
    }

    /// Moves the log into the database, and gives its space back.
    ///
    /// # Errors
    /// Nothing was moved, or not all; nothing is lost.
    pub fn checkpoint(&mut self) -> Result<(), Error> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let result = self.connection.query_row(sql, [], |_| Ok(()));
        self.noted(result.map_err(Error::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_while_the_log_and_the_reserve_fit() {
        let check = |available, has_room, has_plenty| {
            let space = Space {
                available,
                unused: 1,
                log: 10,
                reserve: 100,
            };
            assert_eq!(space.has_room(), has_room, "{available}");
            assert_eq!(space.has_plenty(), has_plenty, "{available}");
            assert_eq!(space.has_room_when_tidy(), available >= 110, "{available}");
        };
        check(109, false, false);
        check(110, false, false);
        check(111, true, false);
        check(209, true, false);
        check(210, true, true);
    }

    #[test]
    fn the_log_is_given_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("it opens").store;
        store.register("a").expect("it can be written");
        assert!(store.space().expect("it is said").log > 0);
        store.checkpoint().expect("nobody reads");
        let space = store.space().expect("it is said");
        assert_eq!(space.log, 0);
        assert!(space.reserve > 0 && space.reserve <= RESERVE);
    }
}
