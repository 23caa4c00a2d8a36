//! Whether there is room for an event, and where it is put.
//!
//! Whatever is accepted for a durable webhook may have to be written. So there is room in memory only if what is there
//! would find its place on disk as well. When a backlog has taken what it may, the rest is for webhooks that keep up:
//! little of them is in memory at a time, and next to nothing of it is written.

use super::account::{Account, Keeping};
use super::{Inner, OnFull, Place};

/// The most deliveries on disk and not in memory of a webhook that keeps up: some may have failed, and the rows of
/// others may be about to go.
const FEW: usize = 256;

impl Inner {
    pub(super) fn has_room(&self, account: &Account, size: usize) -> bool {
        match account.keeping {
            Keeping::Loose => true,
            Keeping::Held => account.has_memory(size),
            Keeping::Durable(_) => {
                let in_memory = account.has_memory(size) && self.takes_in_memory(account);
                !self.disk.is_behind() && (in_memory || self.disk.has_room() || self.may_drop())
            }
        }
    }

    pub(super) fn has_plenty(&self, account: &Account) -> bool {
        match account.keeping {
            Keeping::Loose => true,
            Keeping::Held => account.is_half_empty(),
            Keeping::Durable(_) => {
                let half_empty = !account.is_spilled() && account.is_half_empty();
                let in_memory = half_empty && (self.disk.fits_again() || self.fits_little(account));
                let on_disk = self.disk.has_room_again() || self.may_drop();
                self.disk.keeps_up() && (in_memory || on_disk)
            }
        }
    }

    /// Returns whether events may be dropped for lack of room. While the disk fails they may not: it is not known what is there.
    pub(super) fn may_drop(&self) -> bool {
        self.on_full != OnFull::Block && !self.disk.is_failing()
    }

    pub(super) fn place(&self, account: &Account, size: usize, is_awaited: bool) -> Place {
        let has_memory = account.has_memory(size);
        match account.keeping {
            Keeping::Held if has_memory || is_awaited => Place::Memory,
            Keeping::Loose if has_memory => Place::Memory,
            Keeping::Held | Keeping::Loose => Place::Nowhere,
            Keeping::Durable(_) => self.place_durable(account, has_memory, is_awaited),
        }
    }

    fn place_durable(&self, account: &Account, has_memory: bool, is_awaited: bool) -> Place {
        if !self.disk.is_behind() && has_memory && self.takes_in_memory(account) {
            return Place::Memory;
        }
        if self.disk.has_room() {
            return Place::Disk;
        }
        match self.on_full {
            OnFull::DropNewest if self.may_drop() => Place::Nowhere,
            OnFull::DropOldest if self.may_drop() && !self.disk.is_behind() => Place::Disk,
            // It was let in: there was room when that was asked.
            _ if is_awaited => Place::Disk,
            _ => Place::Nowhere,
        }
    }

    /// Returns whether what is put into memory for a durable webhook keeps its order, and would find its place on
    /// disk if it had to be written.
    fn takes_in_memory(&self, account: &Account) -> bool {
        !account.is_spilled() && (self.disk.fits() || self.fits_little(account))
    }

    fn fits_little(&self, account: &Account) -> bool {
        let little = self.disk.little();
        (self.disk.fits_little() && account.keeps_up(little, FEW))
            || (self.disk.fits_unwritten() && account.keeps_up(little, 0))
    }
}
