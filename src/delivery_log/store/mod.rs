//! The log's database: a file beside the spool's, and nothing that anybody depends on.
//!
//! A commit is in the operating system's hands and not yet on the disk (`synchronous = NORMAL`), so a loss of
//! power may cost the last seconds. What is damaged is set aside, and only the latest of those is kept.

mod open;
mod read;
mod write;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};
use thiserror::Error;

use super::attempt::AttemptId;

pub use read::Kept;
pub(super) use read::Rows;

/// The name of the database.
const FILE: &str = "deliveries.db";

/// Why the log could not be read or written. Nothing else was changed.
#[derive(Debug, Error)]
pub enum Error {
    /// Another program, or a newer mqhook, has written the file; it is left as it is.
    #[error("use {}, which this mqhook has not written", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file is damaged; `mqhook run` sets it aside.
    #[error("use the delivery log, as its file is damaged")]
    Corrupt(#[source] rusqlite::Error),
    /// It would take space that others need.
    #[error("write the delivery log, as its file system is full")]
    NoSpace,
    /// The file or its directory cannot be used; it may pass.
    #[error("use the file of the delivery log")]
    Io(#[from] std::io::Error),
    /// The same, or a bug.
    #[error("use the delivery log")]
    Database(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            Some(ErrorCode::DiskFull) => Self::NoSpace,
            _ => Self::Database(error),
        }
    }
}

/// The database of the log.
#[derive(Debug)]
pub(super) struct Store {
    connection: Connection,
    dir: PathBuf,
}

/// Returns the file of a directory's log.
pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

impl AttemptId {
    fn as_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}
