//! Opening the database, and setting it aside.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Error, FILE, Store, file};

/// Marks the file as mqhook's: "mqhd".
const APPLICATION_ID: i64 = 0x6d71_6864;

const VERSION: i64 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// How long another process may hold the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

impl Store {
    /// Opens the database to write to it, and makes it where it is missing.
    pub(in super::super) fn open(dir: &Path) -> Result<Self, Error> {
        let file = file(dir);
        // Not opened when it is there: closing it again would end the locks of a connection that reads.
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let mut connection = connect(&file)?;
        connection.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA wal_autocheckpoint = 256;
             PRAGMA journal_size_limit = 1048576;
             PRAGMA cache_size = -512;
             PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;",
        )?;
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if is_empty(&step)? {
            step.execute_batch(SCHEMA)?;
            step.pragma_update(None, "application_id", APPLICATION_ID)?;
            step.pragma_update(None, "user_version", VERSION)?;
        } else if !is_ours(&step)? {
            return Err(Error::Foreign { file });
        }
        step.commit()?;
        Ok(Self {
            connection,
            dir: dir.to_owned(),
        })
    }

    /// Opens the database to read it, beside the process that writes to it or without one; `None` if there
    /// is none.
    pub(in super::super) fn attach(dir: &Path) -> Result<Option<Self>, Error> {
        let file = file(dir);
        match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let connection = connect(&file)?;
        if is_empty(&connection)? {
            return Ok(None);
        }
        if !is_ours(&connection)? {
            return Err(Error::Foreign { file });
        }
        connection.execute_batch(
            "PRAGMA query_only = ON; PRAGMA cache_size = -512; PRAGMA trusted_schema = OFF;
             PRAGMA cell_size_check = ON;",
        )?;
        Ok(Some(Self {
            connection,
            dir: dir.to_owned(),
        }))
    }

    /// Moves a damaged database out of the way, in place of one that was before; returns its new name.
    pub(in super::super) fn set_aside(dir: &Path) -> io::Result<PathBuf> {
        let aside = format!("{FILE}.corrupt");
        // The log goes first: SQLite would read it into the new database.
        for ending in ["-wal", "-shm", ""] {
            let (from, to) = (format!("{FILE}{ending}"), format!("{aside}{ending}"));
            match fs::rename(dir.join(from), dir.join(to)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(dir.join(aside))
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(tables == 0)
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok(pragma("application_id")? == APPLICATION_ID && pragma("user_version")? == VERSION)
}
