//! What is known of a device: a client that was accepted once and is remembered.

use std::fmt;
use std::str::FromStr;

use super::{Reason, Timestamp};

/// How a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It has a connection.
    Connected,
    /// Its connection ended.
    Disconnected,
    /// It has none, and the last that it asked for was refused.
    Refused,
    /// It is not remembered any more.
    Decommissioned,
}

impl Status {
    /// Every status, in the order of the documentation.
    pub const ALL: [Self; 4] = [
        Self::Connected,
        Self::Disconnected,
        Self::Refused,
        Self::Decommissioned,
    ];

    /// Returns the word that bodies carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Refused => "refused",
            Self::Decommissioned => "decommissioned",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut all = Self::ALL.into_iter();
        all.find(|status| status.name() == text).ok_or(())
    }
}

/// What an event tells of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// How it is now.
    pub status: Status,
    /// How it was before, as far as that was known; `None` for one that was not known.
    pub previous: Option<Status>,
    /// Why it is so now, if that was told.
    pub reason: Option<Reason>,
    /// When it was first accepted.
    pub first_seen: Timestamp,
    /// When it was heard of last.
    pub last_seen: Timestamp,
}
