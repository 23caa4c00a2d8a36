//! What follows from what is heard of a device: what is remembered of it from then on, and what is told.
//! Pure.

use std::time::Duration;

use bytestring::ByteString;
use smallvec::SmallVec;

use crate::event::{Client, Detail, Device, Happening, Kind, Reason, Status, Timestamp};
use crate::spool::store::DeviceRow;

/// The steps in which it is remembered when a device was seen.
const SEEN_STEP: Duration = Duration::from_mins(1);

/// What was heard of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The client, with an identifier.
    pub client: Client,
    /// What.
    pub sight: Sight,
    /// When it happened.
    pub time: Timestamp,
    /// When it was heard, by our clock, which tells when a device was seen.
    pub now: Timestamp,
}

/// What can be heard of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It was accepted.
    Accepted,
    /// It was refused.
    Refused(Reason),
    /// Its connection ended, and it did not have another one by then.
    Gone(Reason),
    /// Its session expired.
    Expired,
    /// It did something.
    Seen,
    /// It did something in this watch, as is known from elsewhere: what the broker tells of its end may have been heard
    /// before.
    Present,
}

impl Sight {
    /// Returns what a happening says of its client; `None` for what says nothing, or says it again.
    #[must_use]
    pub fn of(happening: &Happening) -> Option<Self> {
        Some(match (happening.kind, &happening.detail) {
            (Kind::ClientConnected, _) => Self::Accepted,
            (Kind::ClientConnack, Detail::Connection(it)) => Self::Refused(it.refused?),
            // The client is where it was before, over another connection.
            (Kind::ClientDisconnected, Detail::End(end)) if end.reason == Reason::TakenOver => {
                Self::Seen
            }
            (Kind::ClientDisconnected, Detail::End(end)) => Self::Gone(end.reason),
            (Kind::SessionTerminated, Detail::End(end)) => {
                // That of a clean session ends with its connection, which says nothing of the device.
                (end.reason == Reason::SessionExpired).then_some(Self::Expired)?
            }
            (
                Kind::SessionSubscribed
                | Kind::SessionUnsubscribed
                | Kind::MessagePublish
                | Kind::MessageAcked,
                _,
            ) => Self::Seen,
            _ => return None,
        })
    }
}

/// What follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of what is remembered.
    pub entry: Entry,
    /// What is told.
    pub told: SmallVec<[Happening; 2]>,
}

/// What becomes of what is remembered of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Entry {
    /// It stays as it is.
    #[default]
    Kept,
    /// It is this.
    Written(Box<DeviceRow>),
    /// It is nothing.
    Forgotten(ByteString),
}

/// Judges what was heard of a device in a watch.
#[must_use]
pub fn judge(known: Option<&DeviceRow>, heard: &Observation, watch: u64) -> Verdict {
    let Some(known) = known else {
        return match heard.sight {
            Sight::Accepted => provision(heard, watch),
            _ => Verdict::default(),
        };
    };
    match heard.sight {
        Sight::Accepted => set(known, heard, watch, (Status::Connected, None)),
        Sight::Gone(reason) => set(known, heard, watch, (Status::Disconnected, Some(reason))),
        // Somebody else used its name: what is connected stays so, and what was before a gap may be.
        Sight::Refused(_) if known.status == Status::Connected => Verdict::default(),
        Sight::Expired if known.is_online(watch) => Verdict::default(),
        // That shows nothing of what is connected under that name, so it is no word of this watch.
        Sight::Refused(reason) => set(known, heard, known.watch, (Status::Refused, Some(reason))),
        Sight::Expired => decommission(known, Reason::SessionExpired, heard.time),
        Sight::Present if known.status != Status::Connected && known.watch < watch => {
            set(known, heard, watch, (Status::Connected, None))
        }
        Sight::Seen | Sight::Present => see(known, heard, watch),
    }
}

/// Notes that a device that was connected before a watch is not in it.
#[must_use]
pub fn find_absent(known: &DeviceRow, watch: u64, time: Timestamp) -> Verdict {
    let gone = DeviceRow {
        status: Status::Disconnected,
        reason: Some(Reason::Unknown),
        watch,
        since: time,
        ..known.clone()
    };
    let previous = Some(known.status);
    let happening = tell(Kind::DeviceStatusChanged, &gone, previous, Some(time));
    Verdict {
        entry: Entry::Written(Box::new(gone)),
        told: SmallVec::from_iter([happening]),
    }
}

/// Forgets a device.
#[must_use]
pub fn decommission(known: &DeviceRow, reason: Reason, time: Timestamp) -> Verdict {
    let gone = DeviceRow {
        status: Status::Decommissioned,
        reason: Some(reason),
        ..known.clone()
    };
    let happening = tell(
        Kind::DeviceDecommissioned,
        &gone,
        Some(known.status),
        Some(time),
    );
    Verdict {
        entry: Entry::Forgotten(known.id.clone()),
        told: SmallVec::from_iter([happening]),
    }
}

fn provision(heard: &Observation, watch: u64) -> Verdict {
    let Some(id) = heard.client.id.clone() else {
        return Verdict::default();
    };
    let row = DeviceRow {
        id,
        username: heard.client.username.clone(),
        address: heard.client.address.clone(),
        status: Status::Connected,
        reason: None,
        watch,
        since: heard.time,
        first_seen: heard.now,
        last_seen: heard.now,
    };
    let kinds = [Kind::DeviceProvisioned, Kind::DeviceStatusChanged];
    let told = kinds.map(|kind| tell(kind, &row, None, Some(heard.time)));
    Verdict {
        entry: Entry::Written(Box::new(row)),
        told: told.into(),
    }
}

/// Notes the status of a device, and tells it if it is another than what was told last.
fn set(
    known: &DeviceRow,
    heard: &Observation,
    watch: u64,
    (status, reason): (Status, Option<Reason>),
) -> Verdict {
    let client = &heard.client;
    let has_changed = known.status != status;
    let row = DeviceRow {
        id: known.id.clone(),
        // A broker that does not tell it at the end has told it at the beginning.
        username: client.username.clone().or_else(|| known.username.clone()),
        address: client.address.clone().or_else(|| known.address.clone()),
        status,
        reason,
        watch,
        since: if has_changed { heard.time } else { known.since },
        first_seen: known.first_seen,
        last_seen: heard.now,
    };
    let mut told = SmallVec::new();
    if has_changed {
        let previous = Some(known.status);
        let time = Some(heard.time);
        told.push(tell(Kind::DeviceStatusChanged, &row, previous, time));
    } else if is_alike(known, &row) {
        return Verdict::default();
    }
    Verdict {
        entry: Entry::Written(Box::new(row)),
        told,
    }
}

/// Returns whether nothing is new but when the device was seen, and that not by much.
fn is_alike(known: &DeviceRow, row: &DeviceRow) -> bool {
    let seen = DeviceRow {
        last_seen: known.last_seen,
        ..row.clone()
    };
    seen == *known && is_about(row.last_seen, known.last_seen)
}

/// Returns whether two times are the same, as far as it is remembered; a clock may be set back.
pub(super) fn is_about(time: Timestamp, other: Timestamp) -> bool {
    time.since(other) < SEEN_STEP && other.since(time) < SEEN_STEP
}

/// Notes that a device did something. If it was connected before the watch, it still is.
fn see(known: &DeviceRow, heard: &Observation, watch: u64) -> Verdict {
    let row = DeviceRow {
        last_seen: heard.now,
        watch: match known.status {
            Status::Connected => watch,
            _ => known.watch,
        },
        ..known.clone()
    };
    if is_alike(known, &row) {
        return Verdict::default();
    }
    Verdict {
        entry: Entry::Written(Box::new(row)),
        told: SmallVec::new(),
    }
}

fn tell(
    kind: Kind,
    row: &DeviceRow,
    previous: Option<Status>,
    time: Option<Timestamp>,
) -> Happening {
    Happening {
        kind,
        time,
        client: Client {
            id: Some(row.id.clone()),
            username: row.username.clone(),
            address: row.address.clone(),
        },
        detail: Detail::Device(Device {
            status: row.status,
            previous,
            reason: row.reason,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
        }),
    }
}
