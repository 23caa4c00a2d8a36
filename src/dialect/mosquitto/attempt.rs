//! CONNECTs that mqhook's plugin saw, of which Mosquitto itself writes no line.
//!
//! With `plugin_opt_connects` the plugin writes `mqhook: connect {..}` before the broker decides, so
//! the next line is the outcome: the broker has one thread, and decides at once. 2.0 writes no name
//! when it refuses, which are then these. If another line comes between, or the next one comes late,
//! lines were lost, and nobody is named.

use bytestring::ByteString;
use serde::Deserialize;

use crate::event::{Client, Connection, Timestamp};

/// How the plugin's lines begin; no line of a client's making does.
pub(super) const BEGINNING: &str = "mqhook: connect ";

/// Longest time from a CONNECT to the line about its outcome, in milliseconds.
const SOON_MS: u64 = 2_000;

/// A CONNECT that the broker has still to answer.
#[derive(Debug)]
pub(super) struct Attempt {
    heard_at: Timestamp,
    pub(super) client: Client,
    pub(super) connection: Connection,
}

#[derive(Deserialize)]
struct Json {
    client_id: Option<String>,
    username: Option<String>,
    address: Option<String>,
    protocol_version: Option<u8>,
    keep_alive: Option<u16>,
    clean_start: Option<bool>,
}

impl Attempt {
    /// Reads what follows the beginning; `None` if it was cut.
    pub(super) fn read(json: &str, heard_at: Timestamp) -> Option<Self> {
        let json: Json = serde_json::from_str(json).ok()?;
        let text =
            |text: Option<String>| text.filter(|text| !text.is_empty()).map(ByteString::from);
        Some(Self {
            heard_at,
            client: Client {
                id: text(json.client_id),
                username: text(json.username),
                address: text(json.address),
            },
            connection: Connection {
                protocol_version: json.protocol_version,
                keep_alive: json.keep_alive,
                clean_start: json.clean_start,
                refused: None,
            },
        })
    }

    /// Returns whether what is heard now may be the outcome.
    pub(super) fn is_fresh(&self, now: Timestamp) -> bool {
        now.as_millis().abs_diff(self.heard_at.as_millis()) <= SOON_MS
    }

    /// Returns what is known of a refused connection, given what the broker's line says of the client.
    pub(super) fn refused(attempt: Option<Self>, said: Client) -> (Client, Connection) {
        let is_same = |attempt: &Self| said.id.is_none() || said.id == attempt.client.id;
        match attempt.filter(is_same) {
            None => (said, Connection::default()),
            Some(attempt) => {
                let client = Client {
                    // The line has the port as well, where it has an address.
                    address: said.address.or(attempt.client.address),
                    ..attempt.client
                };
                (client, attempt.connection)
            }
        }
    }
}
