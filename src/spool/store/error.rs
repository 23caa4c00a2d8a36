//! What can go wrong with the database, told apart by what has to be done about it.

use std::path::PathBuf;
use std::{fs, io};

use rusqlite::ErrorCode;
use thiserror::Error;

use super::{Due, Seq};

/// Why the database could not be read or written.
///
/// Nothing was changed, whatever the variant; the same call may be made again.
#[derive(Debug, Error)]
pub enum Error {
    /// Space has to be made; the same call works then.
    #[error("use the spool, as its file system is full")]
    Full {
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// Someone has to make the file system or the files writable; the same call works then.
    #[error("write to the spool, as it is read-only")]
    ReadOnly {
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// The disk or its driver failed; it may pass.
    #[error("use the spool's files")]
    Io {
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// The database is damaged. It was marked, so that the next [`open`](super::Store::open) reads
    /// all of it and sets it aside.
    #[error("use the spool, as its database is damaged")]
    Corrupt {
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// Another process held the database for longer than ten seconds; it will pass.
    #[error("use the spool, as another process holds it")]
    Busy {
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
    /// The database is sound, but what it holds for a delivery makes no event: somebody else wrote
    /// there. [`Change::Settle`](super::Change::Settle) takes the delivery away.
    #[error("read event {} back from the spool", seq.0)]
    Delivery {
        /// The event.
        seq: Seq,
        /// When the delivery is due.
        due: Due,
        /// What is wrong.
        source: Unreadable,
    },
    /// The same of any other row.
    #[error("read a row of {table} back from the spool")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong.
        source: Unreadable,
    },
    /// Anything else; a bug.
    #[error("use the spool's database")]
    Other {
        /// What `SQLite` says.
        source: rusqlite::Error,
    },
}

/// A value in the database that mqhook would not have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("`{column}` is not valid")]
pub struct Unreadable {
    /// The column that holds it.
    pub column: &'static str,
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        // A full disk also shows when SQLite cannot lengthen the index of its log, which it maps
        // into memory.
        if extended_code(&source) == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
            return Self::Full { source };
        }
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { source },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { source },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Io { source },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt { source },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { source },
            _ => Self::Other { source },
        }
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

impl Error {
    /// Returns the error of a failed input or output by what a write of our own meets.
    ///
    /// `SQLite` tells a full disk, but neither a file system that went read-only under it nor a
    /// used up quota.
    pub(super) fn told_apart(self, probe: impl FnOnce() -> io::Result<()>) -> Self {
        let Self::Io { source } = self else {
            return self;
        };
        match probe().map_err(|error| error.kind()) {
            Err(io::ErrorKind::ReadOnlyFilesystem) => Self::ReadOnly { source },
            Err(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Self::Full { source },
            _ => Self::Io { source },
        }
    }
}

/// Writes a file and takes it away again, to learn what keeps files from being written here.
pub(super) fn probe(file: &std::path::Path) -> io::Result<()> {
    let written = fs::write(file, [0; 4_096]).and_then(|()| fs::File::open(file)?.sync_all());
    // What cannot be removed was most likely never made.
    let _ = fs::remove_file(file);
    written
}

/// Why a spool could not be opened. Nothing was changed, unless the variant says so.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process runs on the directory.
    #[error("open the spool {}: another mqhook runs on it; stop that one, or give this one a `spool.dir` of its own", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// There is no database; only [`attach`](super::Store::attach) says so.
    #[error("find a spool in {}; is it the `spool.dir` of an mqhook that has run?", dir.display())]
    Missing {
        /// The directory.
        dir: PathBuf,
    },
    /// A newer mqhook has written the database.
    #[error("read the spool {}: its version is {found}, and this mqhook knows versions up to {known}; use the newer mqhook, or another `spool.dir`", dir.display())]
    Newer {
        /// The directory.
        dir: PathBuf,
        /// The version of the database.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// An older mqhook has written the database; only [`attach`](super::Store::attach) says so, as
    /// [`open`](super::Store::open) migrates it.
    #[error("read the spool {}: its version is {found}, and this mqhook reads version {known}; start `mqhook run` of this version once", dir.display())]
    Older {
        /// The directory.
        dir: PathBuf,
        /// The version of the database.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// Another program's database has the name of ours.
    #[error("use {}, a database that is not mqhook's; set another `spool.dir`", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The directory or a file in it cannot be used.
    #[error("use {}; make it a directory that mqhook may write to, or set another `spool.dir`", path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database is damaged; only [`attach`](super::Store::attach) says so, as
    /// [`open`](super::Store::open) sets it aside.
    #[error("read the spool {}, as its database is damaged; `mqhook run` sets it aside and begins a new one", dir.display())]
    Damaged {
        /// The directory.
        dir: PathBuf,
        /// What `SQLite` says.
        source: Error,
    },
    /// The database cannot be used. A migration that failed left the version as it was.
    #[error("open the spool {}", dir.display())]
    Database {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: Error,
    },
}
