//! How much may wait, where, and what happens beyond that; the `spool` table.

use std::path::PathBuf;
use std::time::Duration;

const MEBIBYTE: u64 = 1 << 20;
const DAY: Duration = Duration::from_hours(24);

/// How much may wait, where, and what happens beyond that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where events wait.
    pub backend: Backend,
    /// The most memory that waiting events may take, in bytes, all webhooks together; default 64
    /// MiB.
    pub max_memory_bytes: usize,
    /// The most space that waiting events may take on disk, in bytes; default 1 GiB.
    /// Dead letters have a bound of their own. Means nothing to a backend in memory.
    pub max_bytes: u64,
    /// How long an event may wait, counted from when it was accepted; default 7 days.
    pub max_age: Duration,
    /// What happens to an event for which there is no room.
    pub on_full: OnFull,
    /// Whether an event may be attempted before it is on disk, so that one that is delivered soon
    /// is never written; default true. Off, every event is written first, which costs a write per
    /// event.
    pub elide: bool,
    /// How much of what was given up is kept.
    pub dead_letters: DeadLetters,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            max_memory_bytes: 64 * 1024 * 1024,
            max_bytes: 1_024 * MEBIBYTE,
            max_age: DAY * 7,
            on_full: OnFull::default(),
            elide: true,
            dead_letters: DeadLetters::default(),
        }
    }
}

/// Where events wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// In memory only: what waits is lost when mqhook ends, so nothing is acknowledged before it is
    /// delivered.
    Memory,
    /// In a `SQLite` database.
    Sqlite {
        /// The directory of the database, which is made if it is missing; for one mqhook at a time.
        /// Default: see [`default_dir`].
        dir: PathBuf,
    },
}

impl Default for Backend {
    /// Returns `SQLite` in the directory of an mqhook that was started by hand.
    fn default() -> Self {
        Self::Sqlite {
            dir: default_dir(None),
        }
    }
}

/// What happens to an event for which there is no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It is not acknowledged, so that the broker keeps it; what the broker does not keep is
    /// dropped. The default.
    #[default]
    Block,
    /// The oldest events that wait are dropped for it.
    DropOldest,
    /// It is acknowledged and dropped.
    DropNewest,
}

/// How much of what was given up is kept; beyond it the oldest are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetters {
    /// The most space that dead letters may take on disk, in bytes; default 256 MiB, 0 keeps none.
    pub max_bytes: u64,
    /// How long one is kept, counted from when it was given up; default 30 days.
    pub max_age: Duration,
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            max_bytes: 256 * MEBIBYTE,
            max_age: DAY * 30,
        }
    }
}

/// Returns where the database is when the configuration does not say.
///
/// `state_directory` is the variable `STATE_DIRECTORY`, in which systemd names the directories that
/// a unit may keep state in, with colons between them (systemd.exec(5)); the first is taken.
/// Without one it is `mqhook-spool` in the working directory.
#[must_use]
pub fn default_dir(state_directory: Option<&str>) -> PathBuf {
    let first = state_directory.and_then(|list| list.split(':').find(|dir| !dir.is_empty()));
    PathBuf::from(first.unwrap_or("./mqhook-spool"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory_of_the_unit_is_taken() {
        let check = |list, expected: &str| {
            assert_eq!(default_dir(list), PathBuf::from(expected), "{list:?}");
        };
        check(None, "./mqhook-spool");
        check(Some(""), "./mqhook-spool");
        check(Some("/var/lib/mqhook"), "/var/lib/mqhook");
        check(Some("/var/lib/one:/var/lib/two"), "/var/lib/one");
        check(Some(":/var/lib/two"), "/var/lib/two");
    }
}
