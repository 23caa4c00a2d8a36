//! What concerns many devices at once, a few at a time: those that were removed, that were not seen for long, and that are
//! found not to be connected.

use std::time::{Duration, Instant};

use tracing::info;

use super::super::presence::Own;
use super::super::reckoning::Finding;
use super::super::registry;
use super::Registrar;
use crate::ack::Ticket;
use crate::dialect::Vital;
use crate::event::{Reason, Timestamp};
use crate::spool::store::{Change, Removal};

/// Devices that are told of at a time, at most.
const STEP: usize = 256;

/// How often devices are looked for that were not seen for long.
const SWEEP: Duration = Duration::from_mins(1);

/// How soon a round goes on that did not come to its end.
const GO_ON: Duration = Duration::from_millis(100);

/// How soon it is seen again whether there is room for what a round tells.
pub(super) const ROOM_AGAIN: Duration = Duration::from_secs(1);

/// Devices that are found not to be connected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absent {
    /// They were connected before this watch.
    watch: u64,
    /// Since when that is known.
    pub(super) at: Timestamp,
    /// Up to which number they were looked for.
    after: u64,
    /// How many were found.
    found: u64,
}

impl Registrar {
    /// Takes what the broker said of itself at this time.
    pub(super) fn hear(&mut self, vital: Vital, own: Own, at: Timestamp) {
        let is_old = !self.is_listening && matches!(vital, Vital::Uptime(_));
        if is_old || self.has_missed {
            return;
        }
        match self.reckoning.hear(vital, own, (at, Instant::now())) {
            Finding::Nothing => {}
            Finding::Company => {
                if self.absent.take().is_some() {
                    self.reckoning.undone();
                }
            }
            Finding::Alone => self.queue.probe.notify_one(),
        }
    }

    /// Begins to tell that nobody was there at this time who was connected before the watch, and has not come since.
    pub(super) fn find_absent(&mut self, at: Timestamp) {
        self.absent = Some(Absent {
            watch: self.watch,
            at,
            after: 0,
            found: 0,
        });
    }

    /// Tells of some that are found not to be connected; returns how long to wait until the next.
    pub(super) async fn tell_absent(&mut self) -> Duration {
        let Some(absent) = self.absent else {
            return ROOM_AGAIN;
        };
        if !self.has_room(STEP) {
            return ROOM_AGAIN;
        }
        let some = (absent.after, STEP);
        let Some((rows, last)) = self.spool.connected_before(absent.watch, some).await else {
            return ROOM_AGAIN;
        };
        let found = absent.found + rows.len() as u64;
        for row in rows {
            let verdict = registry::find_absent(&row, absent.watch, absent.at);
            self.cache.put(row.id.clone(), Some(row));
            self.perform(verdict, None, Ticket::none());
        }
        self.cache.age();
        self.absent = last.map(|after| Absent {
            after,
            found,
            ..absent
        });
        if last.is_none() {
            info!(
                devices = found,
                "devices are known not to be connected, by what the broker says of itself"
            );
        }
        Duration::ZERO
    }

    /// Forgets devices that the operator has removed, and tells it; returns whether there was room for that.
    pub(super) async fn forget_removed(&mut self) -> bool {
        while let Some(removed) = self.spool.removed_devices(STEP).await {
            let is_all = removed.len() < STEP;
            if !removed.is_empty() && !self.has_room(STEP) {
                return false;
            }
            for Removal {
                id,
                event,
                at,
                device,
            } in removed
            {
                if let Some(row) = device {
                    let verdict = registry::decommission(&row, Reason::Removed, at);
                    self.cache.put(id, Some(row));
                    self.perform(verdict, Some(event), Ticket::none());
                } else {
                    let change = Change::Forget { id };
                    self.spool.record([change], [], Ticket::none());
                }
            }
            self.cache.age();
            if is_all {
                break;
            }
        }
        true
    }

    /// Forgets some of the devices that were not seen for too long; returns how long to wait until the
    /// next.
    pub(super) async fn sweep(&mut self) -> Duration {
        let Some(age) = self.config.retire_after else {
            return SWEEP;
        };
        if !self.has_room(STEP) {
            return ROOM_AGAIN;
        }
        let Some(unseen) = self.spool.devices_not_seen(age, STEP).await else {
            return SWEEP;
        };
        let has_more = unseen.len() == STEP;
        let now = Timestamp::now();
        for row in unseen {
            let verdict = registry::decommission(&row, Reason::NotSeen, now);
            self.cache.put(row.id.clone(), Some(row));
            self.perform(verdict, None, Ticket::none());
        }
        self.cache.age();
        if has_more { GO_ON } else { SWEEP }
    }
}
