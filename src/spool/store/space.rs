//! What the file system has left. Taking a delivery away needs space, too: a disk that is filled to
//! the last byte cannot be emptied any more.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::StatVfs;

use super::open::LOG_FILE;
use super::{Error, Store};

/// What is left to others and to emptying the store, in bytes.
const RESERVE: u64 = 16 << 20;

/// Of a small file system a quarter is left.
const RESERVED_SHARE: u64 = 4;

/// The pages of the log after which it is moved into the database, beside a large reserve: 16 MiB, so that what
/// comes and goes is written to the database seldom.
const LOG_PAGES: u64 = 4_000;

/// Bytes of the log that a page takes.
const PAGE: u64 = 4_096;

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
    /// Returns how many bytes a backlog may still take. It leaves half of the reserve more, for what comes of
    /// webhooks that keep up.
    #[must_use]
    pub const fn spare(&self) -> u64 {
        self.available.saturating_sub(self.kept())
    }

    /// Returns how many bytes those that keep up may still take.
    #[must_use]
    pub const fn spare_when_little(&self) -> u64 {
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
        self.available.saturating_add(self.unused) > self.kept()
    }

    /// Returns whether there is so much room that it is worth to go on after there was none.
    #[must_use]
    pub const fn has_plenty(&self) -> bool {
        self.available >= 2 * self.reserve + self.log
    }

    const fn kept(&self) -> u64 {
        self.reserve + self.reserve / 2 + self.log
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
            reserve: reserve(&system),
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

/// Returns after how many pages the log of a database in this directory is to be moved into it: no more than
/// half of the reserve has room for.
pub(super) fn log_pages(dir: &Path) -> u64 {
    let Ok(system) = rustix::fs::statvfs(dir) else {
        return LOG_PAGES;
    };
    match reserve(&system) {
        RESERVE => LOG_PAGES,
        reserve => (reserve / 2 / PAGE).clamp(1, LOG_PAGES),
    }
}

fn reserve(system: &StatVfs) -> u64 {
    RESERVE.min(system.f_blocks.saturating_mul(system.f_frsize) / RESERVED_SHARE)
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
            assert_eq!(space.has_room_when_tidy(), available >= 160, "{available}");
        };
        check(159, false, false);
        check(160, false, false);
        check(161, true, false);
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
