//! What is known of Mosquitto's clients from earlier lines.

use bytestring::ByteString;

use super::line::Connected;
use crate::dialect::recent::Recent;
use crate::event::{Client, Timestamp};

/// How many connected clients are remembered.
const ONLINE: usize = 262_144;

/// How many clients are remembered that went and may have left a session.
const PAST: usize = 16_384;

/// The clients that are connected, and some that were.
#[derive(Debug)]
pub(super) struct Clients {
    online: Recent<Known>,
    past: Recent<Past>,
}

/// A connection that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Known {
    username: Option<ByteString>,
    address: ByteString,
    pub(super) connected_at: Timestamp,
    /// Whether the session may outlive the connection.
    lasting: bool,
}

/// A connection that ended.
#[derive(Debug)]
struct Past {
    username: Option<ByteString>,
    /// Its end was told when the next connection came, and its own line may follow.
    replaced: bool,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            online: Recent::new(ONLINE),
            past: Recent::new(PAST),
        }
    }
}

impl Clients {
    /// Returns whether a client of this identifier is connected.
    pub(super) fn is_online(&self, id: &str) -> bool {
        self.online.get(id).is_some()
    }

    /// Returns whether a client of this identifier is connected from this address.
    pub(super) fn is_online_at(&self, id: &str, address: &str) -> bool {
        let known = self.online.get(id);
        known.is_some_and(|known| known.address == address)
    }

    /// Returns whether a client of this identifier was connected and is not any more.
    pub(super) fn is_past(&self, id: &str) -> bool {
        self.past.get(id).is_some()
    }

    /// Returns whether the end was told before its own line came.
    pub(super) fn is_replaced(&self, id: &str) -> bool {
        self.past.get(id).is_some_and(|past| past.replaced)
    }

    /// Remembers a connection.
    pub(super) fn connected(&mut self, line: &Connected<'_>, connected_at: Timestamp) {
        let connection = &line.connection;
        let known = Known {
            username: line.username.map(ByteString::from),
            address: line.address.into(),
            connected_at,
            lasting: connection.clean_start != Some(true) || connection.protocol_version == Some(5),
        };
        self.past.remove(line.id);
        self.online.insert(line.id, known);
    }

    /// Remembers that a connection ended, and returns what was known of it.
    pub(super) fn ended(&mut self, id: &str) -> Option<Known> {
        let known = self.online.remove(id)?;
        if known.lasting {
            let username = known.username.clone();
            let replaced = false;
            self.past.insert(id, Past { username, replaced });
        }
        Some(known)
    }

    /// Remembers that a connection is replaced, and returns what was known of it.
    pub(super) fn replaced(&mut self, id: &str) -> Option<Known> {
        let known = self.online.remove(id);
        let username = known.as_ref().and_then(|known| known.username.clone());
        let replaced = true;
        self.past.insert(id, Past { username, replaced });
        known
    }

    /// Forgets a session that ended, and returns the client that had it.
    pub(super) fn expired(&mut self, id: ByteString) -> Client {
        let username = self.past.remove(&id).and_then(|past| past.username);
        Client {
            id: Some(id),
            username,
            address: None,
        }
    }

    /// Returns what is known of the client of this identifier.
    pub(super) fn client(&self, id: ByteString) -> Client {
        match self.online.get(&id) {
            Some(known) => known.client(id),
            None => Client {
                id: Some(id),
                ..Client::default()
            },
        }
    }
}

impl Known {
    /// Returns the client of this connection.
    pub(super) fn client(&self, id: ByteString) -> Client {
        Client {
            id: Some(id),
            username: self.username.clone(),
            address: Some(self.address.clone()),
        }
    }
}
