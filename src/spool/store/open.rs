//! Opening the database: the directory, the lock, what is set aside, and how `SQLite` is set up.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::schema::{self, Found, MIGRATIONS};
use super::space::log_pages;
use super::{DroppedUpTo, Error, OpenError, Store, data_version};
use crate::event::Timestamp;

/// The name of the database; its log has `-wal` behind it, the log's index `-shm`.
const DATABASE_FILE: &str = "spool.db";

/// The name of the log.
pub(super) const LOG_FILE: &str = "spool.db-wal";

/// The file whose lock says that a process runs on the directory.
const LOCK_FILE: &str = "spool.lock";

/// For how long a lock that another process has is waited for: one that only looks has it for an
/// instant.
const LOCK_WAIT: Duration = Duration::from_millis(200);

/// How often it is tried meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// Is there when the database was found damaged while it was in use.
pub(super) const SUSPECT_FILE: &str = "spool.suspect";

/// Is written and removed to learn why a write failed.
pub(super) const PROBE_FILE: &str = "spool.probe";

/// How long another process may hold the database before a call gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many statements are kept prepared: all of them.
const STATEMENTS: usize = 64;

/// What `open` returns.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Where a damaged database was moved to, for somebody to look at; an empty one was begun in
    /// its place.
    pub set_aside: Option<PathBuf>,
}

impl Store {
    /// Opens the database in a directory, and claims the directory for this process until the store
    /// is dropped.
    ///
    /// A directory that is missing is made, for this user only, and so is the database. One of an
    /// older version is brought to this one. One that is damaged is set aside, and a new one is
    /// begun.
    ///
    /// Looking through all of a large database takes seconds, and minutes on a slow card, during
    /// which nothing would be accepted. So damage is looked for where it hurts first, at the head
    /// of the file and both ends of each table. All is read only if damage was met when the
    /// database was last in use.
    ///
    /// # Errors
    /// Every variant but [`OpenError::Missing`], [`OpenError::Older`] and [`OpenError::Damaged`].
    pub fn open(dir: &Path) -> Result<Opened, OpenError> {
        create(dir).map_err(|source| io_error(dir, source))?;
        let lock = lock(dir)?;
        let (connection, set_aside) = match open_sound(dir) {
            Err(OpenError::Damaged { .. }) => {
                let aside = set_aside(dir).map_err(|source| io_error(dir, source))?;
                (open_sound(dir)?, Some(aside))
            }
            result => (result?, None),
        };
        let store = Store::new(connection, dir, Some(lock))?;
        Ok(Opened { store, set_aside })
    }

    /// Opens the database in a directory beside the process that runs on it, or without one.
    ///
    /// # Errors
    /// Every variant but [`OpenError::InUse`].
    pub fn attach(dir: &Path) -> Result<Self, OpenError> {
        let file = dir.join(DATABASE_FILE);
        match fs::metadata(&file) {
            Ok(metadata) if metadata.len() > 0 => {}
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&file, source));
            }
            _ => {
                return Err(OpenError::Missing {
                    dir: dir.to_owned(),
                });
            }
        }
        let of_database = |source| of_database(dir, source);
        let (connection, found) = connect(&file).map_err(of_database)?;
        match found {
            Found::Ours(version) if version < schema::current() => Err(OpenError::Older {
                dir: dir.to_owned(),
                found: version,
                known: schema::current(),
            }),
            found => {
                refuse_unknown(dir, found)?;
                set_up(&connection, dir).map_err(of_database)?;
                Self::new(connection, dir, None)
            }
        }
    }

    /// Has calls give up earlier than after ten seconds when another process holds the database.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn wait_at_most(&self, wait: Duration) -> Result<(), Error> {
        self.connection.busy_timeout(wait).map_err(Error::from)
    }

    /// Has a call give up soon after this says so: what was read or changed by then comes to nothing. It is asked
    /// every ten thousand steps or so of `SQLite`'s, which take about a millisecond.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn give_up_when(
        &mut self,
        is_over: impl FnMut() -> bool + Send + 'static,
    ) -> Result<(), Error> {
        let asked = self.connection.progress_handler(10_000, Some(is_over));
        asked.map_err(Error::from)
    }

    /// Reads without an end.
    #[cfg(test)]
    pub(crate) fn count_for_ever(&self) -> Result<i64, Error> {
        let sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
        let count = self.connection.query_row(sql, [], |row| row.get(0));
        count.map_err(Error::from)
    }

    fn new(connection: Connection, dir: &Path, lock: Option<File>) -> Result<Self, OpenError> {
        let data_version = data_version(&connection).map_err(|source| of_database(dir, source))?;
        Ok(Self {
            connection,
            dir: dir.to_owned(),
            data_version,
            dropped_up_to: DroppedUpTo::default(),
            _lock: lock,
        })
    }
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

fn of_database(dir: &Path, source: rusqlite::Error) -> OpenError {
    let dir = dir.to_owned();
    match Error::from(source) {
        source @ Error::Corrupt { .. } => OpenError::Damaged { dir, source },
        source => OpenError::Database { dir, source },
    }
}

/// Makes the directory and the file of the database where they are missing, readable for this user
/// only.
///
/// `SQLite` would let everybody read the file, and gives its log the permissions of the file.
fn create(dir: &Path) -> io::Result<()> {
    let dir = std::path::absolute(dir)?;
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    // SQLite synchronises the directory with the files that it makes, but not the entry of the
    // directory itself. One that was there is left alone: systemd keeps some in a place that only
    // root may read.
    for parent in missing.into_iter().filter_map(Path::parent) {
        File::open(parent)?.sync_all()?;
    }
    open_private(&dir.join(DATABASE_FILE))?;
    Ok(())
}

fn open_private(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let file = open_private(&path).map_err(|source| io_error(&path, source))?;
    let give_up_at = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up_at => {
                thread::sleep(LOCK_POLL);
            }
            Err(TryLockError::WouldBlock) => {
                let dir = dir.to_owned();
                return Err(OpenError::InUse { dir });
            }
            Err(TryLockError::Error(source)) => return Err(io_error(&path, source)),
        }
    }
}

/// Returns whether a store is open on a directory, here or in another process.
///
/// # Errors
/// The lock cannot be looked at.
pub fn is_in_use(dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join(LOCK_FILE);
    let file = match File::open(&path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error(&path, source)),
        Ok(file) => file,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
    }
}

/// Opens the database, brings it to this version and looks for damage.
fn open_sound(dir: &Path) -> Result<Connection, OpenError> {
    let file = dir.join(DATABASE_FILE);
    let of_database = |source| of_database(dir, source);
    let (mut connection, found) = connect(&file).map_err(of_database)?;
    let version = refuse_unknown(dir, found)?;
    set_up_file(&connection, version).map_err(of_database)?;
    schema::migrate(&mut connection, version, MIGRATIONS).map_err(of_database)?;
    let suspect = dir.join(SUSPECT_FILE);
    if suspect.exists() {
        read_all(&connection).map_err(of_database)?;
        fs::remove_file(&suspect).map_err(|source| io_error(&suspect, source))?;
    } else {
        read_ends(&connection).map_err(of_database)?;
    }
    set_up(&connection, dir).map_err(of_database)?;
    Ok(connection)
}

/// Returns the version of a database that this program can use or bring to its own.
fn refuse_unknown(dir: &Path, found: Found) -> Result<u32, OpenError> {
    match found {
        Found::Ours(version) if version <= schema::current() => Ok(version),
        Found::Ours(version) => Err(OpenError::Newer {
            dir: dir.to_owned(),
            found: version,
            known: schema::current(),
        }),
        Found::Foreign => Err(OpenError::Foreign {
            file: dir.join(DATABASE_FILE),
        }),
    }
}

/// Opens a file that exists, and says what it is. This changes nothing, whatever it is.
fn connect(file: &Path) -> rusqlite::Result<(Connection, Found)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // What cannot be used is left with its log, as it was found.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let found = schema::found(&connection)?;
    Ok((connection, found))
}

/// Sets up what the file remembers.
fn set_up_file(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    if version == 0 {
        // Free pages can be given back; to be said before there is a table.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    // A transaction is one write and one synchronisation, and readers do not hinder it.
    connection.execute_batch("PRAGMA journal_mode = WAL")
}

/// Sets up what only the connection knows.
fn set_up(connection: &Connection, dir: &Path) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    connection.pragma_update(None, "wal_autocheckpoint", log_pages(dir).cast_signed())?;
    connection.execute_batch(
        "-- A transaction has reached the disk when it returns.
         PRAGMA synchronous = FULL;
         PRAGMA journal_size_limit = 16777216;
         -- 4 MiB of memory, whatever waits.
         PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = OFF;
         PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;",
    )
}

/// Reads the ends of each table, where most damage shows.
fn read_ends(connection: &Connection) -> rusqlite::Result<()> {
    for (table, key) in [
        ("webhooks", "id"),
        ("events", "seq"),
        ("deliveries", "webhook"),
        ("shares", "seq"),
        ("dead_letters", "id"),
        ("counters", "name"),
        ("devices", "number"),
        ("removals", "id"),
        ("tokens", "id"),
        ("definitions", "number"),
    ] {
        for order in ["ASC", "DESC"] {
            let sql = format!("SELECT * FROM {table} ORDER BY {key} {order} LIMIT 1");
            let mut statement = connection.prepare(&sql)?;
            statement.query([])?.next()?;
        }
    }
    Ok(())
}

/// Reads all of the database; damage is an error like any that a read meets.
fn read_all(connection: &Connection) -> rusqlite::Result<()> {
    let answer: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if answer == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(answer)))
}

/// Moves the files of a damaged database out of the way, under names that no file has, and makes an
/// empty one; returns its new name.
fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    let named = |name: &str, ending: &str| dir.join(format!("{name}{ending}"));
    let mut time = Timestamp::now().as_millis();
    let aside = loop {
        let name = format!("{DATABASE_FILE}.corrupt-{time}");
        if !dir.join(&name).exists() {
            break name;
        }
        time += 1;
    };
    // The log goes first: SQLite would read it into the new database.
    for ending in ["-wal", "-shm", ""] {
        match fs::rename(named(DATABASE_FILE, ending), named(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match fs::remove_file(dir.join(SUSPECT_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::open(dir)?.sync_all()?;
    create(dir)?;
    Ok(dir.join(aside))
}
