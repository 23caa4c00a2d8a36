//! What was remembered of the devices that were heard of last.

use std::collections::HashMap;

use bytestring::ByteString;

use crate::spool::store::DeviceRow;

/// How many of each generation.
const GENERATION: usize = 4_096;

/// What the store has, or will have after its next commit, of the devices that were heard of last: in
/// two generations, of which the elder goes when the younger is full.
#[derive(Debug, Default)]
pub(super) struct Cache {
    young: HashMap<ByteString, Option<DeviceRow>>,
    old: HashMap<ByteString, Option<DeviceRow>>,
}

impl Cache {
    /// Returns whether it is known here what the store has of a device.
    pub(super) fn has(&self, id: &str) -> bool {
        self.young.contains_key(id) || self.old.contains_key(id)
    }

    /// Returns what the store has of a device; `None` also where that is not known here.
    pub(super) fn get(&self, id: &str) -> Option<&DeviceRow> {
        let found = self.young.get(id).or_else(|| self.old.get(id));
        found.and_then(Option::as_ref)
    }

    /// Notes what the store has of a device, `None` for nothing. What this makes old is not lost before
    /// [`age`](Self::age).
    pub(super) fn put(&mut self, id: ByteString, row: Option<DeviceRow>) {
        self.young.insert(id, row);
    }

    /// Forgets what was not needed for long, if there is much.
    pub(super) fn age(&mut self) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
    }
}
