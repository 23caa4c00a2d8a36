//! What a decoder remembers of clients, within bounds.

use std::collections::{BTreeMap, HashMap};

use bytestring::ByteString;

/// The mean length of a client identifier that the bound in bytes allows for.
const MEAN_ID_BYTES: usize = 256;

/// A value per client identifier, for the clients that were put in last.
///
/// Identifiers are hostile in number and in length, so both are bounded: beyond
/// `clients` entries, or beyond 256 bytes of identifier for each of these, the entry
/// that was put in first is forgotten.
#[derive(Debug)]
pub(super) struct Recent<V> {
    clients: usize,
    bytes: usize,
    turn: u64,
    values: HashMap<ByteString, (u64, V)>,
    order: BTreeMap<u64, ByteString>,
}

impl<V> Recent<V> {
    /// Returns an empty memory of at most `clients` clients.
    pub(super) fn new(clients: usize) -> Self {
        Self {
            clients,
            bytes: 0,
            turn: 0,
            values: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// Returns what is remembered of a client.
    pub(super) fn get(&self, id: &str) -> Option<&V> {
        self.values.get(id).map(|(_, value)| value)
    }

    /// Remembers a client as the latest, instead of what was known of it.
    pub(super) fn insert(&mut self, id: &str, value: V) {
        self.remove(id);
        // A copy: a slice would keep the whole packet that it came in alive.
        let id = ByteString::from(id);
        self.bytes += id.len();
        self.order.insert(self.turn, id.clone());
        self.values.insert(id, (self.turn, value));
        self.turn += 1;
        while self.values.len() > self.clients || self.bytes > self.clients * MEAN_ID_BYTES {
            let Some((_, oldest)) = self.order.first_key_value() else {
                break;
            };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    /// Forgets a client and returns what was known of it.
    pub(super) fn remove(&mut self, id: &str) -> Option<V> {
        let (turn, value) = self.values.remove(id)?;
        self.order.remove(&turn);
        self.bytes -= id.len();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_put_in_first_is_forgotten_first() {
        let mut recent = Recent::new(2);
        recent.insert("a", 1);
        recent.insert("b", 2);
        recent.insert("a", 3);
        recent.insert("c", 4);
        assert_eq!(recent.get("b"), None);
        assert_eq!(recent.get("a"), Some(&3));
        assert_eq!(recent.remove("c"), Some(4));
        assert_eq!(recent.remove("c"), None);
    }

    #[test]
    fn long_identifiers_count_for_more() {
        let mut recent = Recent::new(4);
        for name in ["a", "b", "c"] {
            recent.insert(&name.repeat(500), ());
        }
        assert!(recent.get(&"a".repeat(500)).is_none());
        assert!(recent.get(&"b".repeat(500)).is_some());
        assert_eq!(recent.bytes, 1_000);
        recent.insert(&"d".repeat(5_000), ());
        assert_eq!((recent.bytes, recent.order.len()), (0, 0));
    }
}
