//! `NanoMQ`, all versions that tell of clients.
//!
//! | version | topic | payload |
//! |---|---|---|
//! | from 0.24.1 | `$SYS/brokers/client_status/<id>` | `{"status":"online", ..}` or `{"status":"offline", ..}` |
//! | before | `$SYS/brokers/connected` | the same without `status` |
//! | before | `$SYS/brokers/disconnected` | the same without `status` |
//!
//! What is heard and what is told (codes are hexadecimal):
//!
//! | heard | told |
//! |---|---|
//! | online, `return_code` 0 | accepted |
//! | online, another `return_code` | refused |
//! | offline behind a refusal | disconnected, for the reason of the refusal, as `NanoMQ`'s own webhook has it |
//! | offline behind a second online with Clean Start | disconnected, `taken_over` |
//! | offline, `reason_code` 8b | disconnected, `connection_closed`: `NanoMQ` writes it for FIN and RST |
//! | offline, another `reason_code` | disconnected, the reason of that code |
//!
//! The payload is written by `snprintf` into 255 bytes, without escaping (see [`layout`]),
//! and for clients of MQTT 5 it starts with a null byte (nanomq issue 2170). The
//! identifier is therefore taken from the topic where the topic has it. What was cut off
//! is "not told"; an online that lost its `return_code` counts as accepted.
//!
//! `NanoMQ` does not tell when a client goes that asked for its session to be kept (Clean
//! Start 0), and nothing of subscriptions.

mod layout;

use super::recent::Recent;
use super::told::{About, plausible};
use super::{Dialect, Heard, Unreadable};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Reason, Timestamp};
use layout::{Report, Status};

/// How many connected clients are remembered.
const CLIENTS: usize = 262_144;

/// How many refusals and takeovers are remembered; their offline follows at once.
const PENDING: usize = 1_024;

/// How much later than the new connection's online the old one's offline may come.
const TAKEOVER_MS: u64 = 5_000;

/// Reads what `NanoMQ` tells.
#[derive(Debug)]
pub(super) struct Nanomq {
    online: Recent<Online>,
    replaced: Recent<Replaced>,
    refused: Recent<Reason>,
}

/// A connection that was accepted.
#[derive(Debug, Clone, Copy)]
struct Online {
    connected_at: Timestamp,
    clean_start: bool,
}

/// A connection whose client identifier came again.
#[derive(Debug, Clone, Copy)]
struct Replaced {
    connected_at: Timestamp,
    at: Timestamp,
}

impl Default for Nanomq {
    fn default() -> Self {
        Self {
            online: Recent::new(CLIENTS),
            replaced: Recent::new(PENDING),
            refused: Recent::new(PENDING),
        }
    }
}

impl Dialect for Nanomq {
    fn kinds(&self) -> KindSet {
        KindSet::of(&[
            Kind::ClientConnack,
            Kind::ClientConnected,
            Kind::ClientDisconnected,
        ])
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &[
            "$SYS/brokers/client_status/#",
            "$SYS/brokers/connected",
            "$SYS/brokers/disconnected",
        ]
    }

    fn setup(&self) -> &'static str {
        ""
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        let Some((status, id)) = place(heard.topic.as_str()) else {
            return Ok(());
        };
        let text = readable(heard.payload);
        let report = Report::read(text, status, id)?;
        match report.status {
            Status::Online => self.online(&report, heard.now, told),
            Status::Offline => told.push(self.offline(&report, heard.now)),
        }
        Ok(())
    }
}

impl Nanomq {
    fn online(&mut self, report: &Report, now: Timestamp, told: &mut Vec<Happening>) {
        let about = about(report);
        let connection = Connection {
            protocol_version: report.protocol_version,
            keep_alive: report.keep_alive,
            clean_start: report.clean_start,
            refused: None,
        };
        if let Some(reason) = report.code.and_then(Reason::refused_by) {
            self.refused.insert(&report.id, reason);
            told.push(about.refused(reason, connection));
            return;
        }
        self.accept(report, about.time.unwrap_or(now));
        told.extend(about.accepted(connection));
    }

    fn accept(&mut self, report: &Report, at: Timestamp) {
        if let Some(old) = self.online.remove(&report.id)
            && old.clean_start
        {
            let connected_at = old.connected_at;
            self.replaced
                .insert(&report.id, Replaced { connected_at, at });
        }
        let online = Online {
            connected_at: at,
            clean_start: report.clean_start.unwrap_or(false),
        };
        self.online.insert(&report.id, online);
    }

    fn offline(&mut self, report: &Report, now: Timestamp) -> Happening {
        let about = about(report);
        if let Some(reason) = self.refused.remove(&report.id) {
            return about.disconnected(reason, None);
        }
        let at = about.time.unwrap_or(now).as_millis();
        if let Some(old) = self.replaced.remove(&report.id)
            && at.saturating_sub(old.at.as_millis()) <= TAKEOVER_MS
        {
            return about.disconnected(Reason::TakenOver, Some(old.connected_at));
        }
        let connected_at = self.online.remove(&report.id).map(|old| old.connected_at);
        about.disconnected(reason(report.code), connected_at)
    }
}

fn about(report: &Report) -> About {
    About {
        time: report.ms.and_then(plausible),
        client: Client {
            id: Some(report.id.clone()),
            username: report.username.clone(),
            address: report.address.clone(),
        },
    }
}

fn reason(code: Option<u8>) -> Reason {
    match code {
        None => Reason::Unknown,
        Some(0x8B) => Reason::ConnectionClosed,
        Some(code) => Reason::from_code(code),
    }
}

/// Returns what a topic says of its message: whether online or offline, and of whom.
fn place(topic: &str) -> Option<(Option<Status>, Option<&str>)> {
    match topic.strip_prefix("$SYS/brokers/")? {
        "connected" => Some((Some(Status::Online), None)),
        "disconnected" => Some((Some(Status::Offline), None)),
        rest => {
            let id = rest.strip_prefix("client_status/")?;
            Some((None, (!id.is_empty()).then_some(id)))
        }
    }
}

/// Returns the text of a payload without the null bytes around it, up to where it is UTF-8:
/// the cut at 255 bytes may go through a character. No version writes as much as 4096.
fn readable(payload: &[u8]) -> &str {
    let payload = &payload[..payload.len().min(4_096)];
    let start = payload.iter().position(|byte| *byte != 0);
    let end = payload.iter().rposition(|byte| *byte != 0);
    let payload = match (start, end) {
        (Some(start), Some(end)) => &payload[start..=end],
        _ => &[],
    };
    match payload.utf8_chunks().next() {
        Some(chunk) => chunk.valid(),
        None => "",
    }
}

#[cfg(test)]
mod tests;
