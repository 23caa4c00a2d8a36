//! What of deliveries is remembered; the `delivery_log` table.

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);
const MEBIBYTE: u64 = 1 << 20;

/// What of deliveries is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where attempts that delivered are remembered; default in memory.
    pub successes: Successes,
    /// Whether events that were delivered are kept whole, so that they can be replayed; default no. Means
    /// nothing unless successes are on disk.
    pub keep_events: bool,
    /// How much of an answer's body is remembered, in bytes; 0 for nothing, default 256, at most 1,024.
    pub response_bytes: usize,
    /// How long an attempt is remembered on disk; default 7 days.
    pub max_age: Duration,
    /// The most space that the log may take on disk, in bytes; 0 for none, so that everything is in
    /// memory; default 64 MiB.
    pub max_bytes: u64,
}

/// Where attempts that delivered are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Successes {
    /// In memory, the last 128 of each webhook.
    #[default]
    Memory,
    /// On disk, like those that failed.
    Disk,
    /// Nowhere.
    Off,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            successes: Successes::Memory,
            keep_events: false,
            response_bytes: 256,
            max_age: 7 * DAY,
            max_bytes: 64 * MEBIBYTE,
        }
    }
}
