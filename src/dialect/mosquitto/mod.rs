//! Mosquitto 2.0 and 2.1, by the lines of its log.
//!
//! | topic under `$SYS/broker/log/` | line | told as |
//! |---|---|---|
//! | `I` | `mqhook: connect ..` of mqhook's plugin, see [`attempt`] | asked for a connection |
//! | `N` | `New client connected from ..`, `New bridge connected from ..` | accepted |
//! | `N` | `Client .. disconnected ..` and the like, see [`reason`] | disconnected, or refused |
//! | `E` | 2.0: `Client .. already connected, closing old connection.` | disconnected, `taken_over`; its own line is not waited for, as there is none |
//! | `N` | `Expiring client .. due to timeout.` | session terminated, `session_expired` |
//! | `I` | 2.0: `Invalid protocol version .. in CONNECT from ..` | refused, `unsupported_protocol_version` |
//! | `I` | 2.1: `.. CONNECT with zero length clientid when forbidden.` | refused, `client_identifier_not_valid` |
//! | `M/subscribe` | `<id> <qos> <filter>` | subscribed; denied if the qos is 128 or more |
//! | `M/unsubscribe` | `<id> <filter>` | unsubscribed |
//! | any | anything else | nothing |
//!
//! A line about an end is a **refusal** if its reason is one for which a CONNECT is
//! refused and the client is not known to be connected (from that address, if the line has
//! one). A connection that never sent a whole CONNECT is written as `<unknown>` by 2.0 and
//! by its address by 2.1. Of these, refusals are told (2.0 tells them without any
//! attribute), and the rest is nothing: port scans, health checks, garbage. Between the
//! two is what 2.0 refuses by CONNACK and logs as `<unknown> .. due to protocol error`,
//! such as an empty identifier with Clean Session 0; it looks like garbage and is nothing.
//!
//! 2.1 also writes `session taken over` when a client comes back to a session that it had
//! left (`connect__on_authorised` does not ask whether it is connected; read, not
//! captured). That is nothing, if it is known that the client had gone or if there is no
//! address in the line.
//!
//! The lines have no user name at the end, and identifiers are not quoted, so this keeps a
//! table of clients. An identifier cannot pass for another in a line about its end if both
//! clients' connect lines were heard. A user name that holds `) (p4, c1, k60, u'` can move
//! the border to its identifier; only whoever hands out user names can do that.

mod attempt;
mod clients;
mod line;
mod reason;

use bytes::Bytes;
use bytestring::ByteString;

use super::told::About;
use super::{Dialect, Heard, Unreadable, Vital, vital};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Reason, Timestamp};
use attempt::Attempt;
use clients::Clients;
use line::{Connected, Ended, Line, Message};

/// How many borders between identifier and filter are tried against the table.
const BORDERS: usize = 64;

/// Reads Mosquitto's log.
#[derive(Debug)]
pub(super) struct Mosquitto {
    clients: Clients,
    /// The CONNECT that the plugin saw, if it told of that in the line before.
    attempt: Option<Attempt>,
    /// Whether lines have a time in front, as the last one showed of which it is certain.
    stamped: bool,
}

impl Default for Mosquitto {
    fn default() -> Self {
        Self {
            clients: Clients::default(),
            attempt: None,
            stamped: true,
        }
    }
}

impl Dialect for Mosquitto {
    fn kinds(&self) -> KindSet {
        KindSet::of(&[
            Kind::ClientConnack,
            Kind::ClientConnected,
            Kind::ClientDisconnected,
            Kind::ClientSubscribe,
            Kind::ClientUnsubscribe,
            Kind::SessionSubscribed,
            Kind::SessionUnsubscribed,
            Kind::SessionTerminated,
        ])
    }

    fn plugin_kinds(&self) -> KindSet {
        KindSet::of(&[Kind::ClientConnect])
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &["$SYS/broker/log/#"]
    }

    fn setup(&self) -> &'static str {
        "mosquitto.conf must send the log to topics. The first log_dest replaces the default\n\
         ones, so name those too that you want to keep, such as stderr or file:\n\
         \n\
         log_dest stderr\n\
         log_dest topic\n\
         log_type error\n\
         log_type notice\n\
         log_type information\n\
         log_type subscribe\n\
         log_type unsubscribe\n\
         connection_messages true\n\
         \n\
         With an acl_file, mqhook's user needs:\n\
         \n\
         topic read $SYS/broker/log/#\n"
    }

    fn vital_filters(&self) -> &'static [&'static str] {
        &vital::MOSQUITTO
    }

    fn vital(&self, heard: &Heard<'_>) -> Option<Vital> {
        vital::mosquitto(heard)
    }

    fn clock(&self, heard: &Heard<'_>) -> Option<Timestamp> {
        vital::stamp(heard.payload)
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        let text = readable(heard.payload);
        match heard.topic.as_str().strip_prefix("$SYS/broker/log/") {
            Some("N" | "E" | "I" | "W") => self.log(&text, heard.now, told),
            Some("M/subscribe") => self.subscribe(&text, heard.now, told),
            Some("M/unsubscribe") => self.unsubscribe(&text, heard.now, told),
            _ => Ok(()),
        }
    }
}

/// A line being told: its text, and when it was written.
#[derive(Clone, Copy)]
struct Told<'a> {
    text: &'a ByteString,
    time: Option<Timestamp>,
    now: Timestamp,
}

impl Told<'_> {
    /// Returns a part of the text, sharing its buffer.
    fn share(&self, part: &str) -> ByteString {
        self.text.slice_ref(part)
    }

    fn about(&self, client: Client) -> About {
        let time = self.time;
        About { time, client }
    }

    fn stranger(&self, address: &str) -> About {
        self.about(Client {
            address: Some(self.share(address)),
            ..Client::default()
        })
    }
}

impl Mosquitto {
    fn log(
        &mut self,
        text: &ByteString,
        now: Timestamp,
        told: &mut Vec<Happening>,
    ) -> Result<(), Unreadable> {
        let attempt = self.attempt.take().filter(|attempt| attempt.is_fresh(now));
        let line = Line::of_log(text);
        let message = Message::read(&line)?;
        if line.is_known() {
            self.stamped = line.stamped;
        }
        let time = line.time(now);
        let by = Told { text, time, now };
        match message {
            Message::Attempted { json } => told.push(self.attempted(by, json)?),
            Message::Connected(line) => told.extend(self.connected(by, line)),
            Message::Ended(line, old) => {
                let line = self.choose(line, old);
                told.extend(self.ended(by, line, attempt));
            }
            Message::Replaced { id } => told.push(self.replaced(by, id)),
            Message::Expired { id } => {
                let client = self.clients.expired(by.share(id));
                told.push(by.about(client).terminated(Reason::SessionExpired, None));
            }
            Message::BadVersion { address } => {
                let reason = Reason::UnsupportedProtocolVersion;
                told.push(by.stranger(address).refused(reason, Connection::default()));
            }
            Message::NoIdentifier { address } => {
                let reason = Reason::ClientIdentifierNotValid;
                told.push(by.stranger(address).refused(reason, Connection::default()));
            }
            Message::Other => {}
        }
        Ok(())
    }

    fn attempted(&mut self, by: Told<'_>, json: &str) -> Result<Happening, Unreadable> {
        let attempt = Attempt::read(json, by.now)
            .ok_or(Unreadable("the plugin's line about a CONNECT was cut"))?;
        let about = by.about(attempt.client.clone());
        let asked = about.requested(attempt.connection.clone());
        self.attempt = Some(attempt);
        Ok(asked)
    }

    fn connected(&mut self, by: Told<'_>, line: Connected<'_>) -> [Happening; 2] {
        self.clients.connected(&line, by.time.unwrap_or(by.now));
        let client = Client {
            id: Some(by.share(line.id)),
            username: line.username.map(|username| by.share(username)),
            address: Some(by.share(line.address)),
        };
        by.about(client).accepted(line.connection)
    }

    fn replaced(&mut self, by: Told<'_>, id: &str) -> Happening {
        let known = self.clients.replaced(id);
        let id = by.share(id);
        let connected_at = known.as_ref().map(|known| known.connected_at);
        let client = match known {
            Some(known) => known.client(id),
            None => self.clients.client(id),
        };
        by.about(client)
            .disconnected(Reason::TakenOver, connected_at)
    }

    /// Chooses between the readings of 2.1 and of 2.0, which differ only for an identifier
    /// that ends like ` [1.2.3.4:5]`.
    fn choose<'a>(&self, new: Ended<'a>, old: Option<Ended<'a>>) -> Ended<'a> {
        let certain = |line: &Ended<'_>| match line.address {
            Some(address) => self.clients.is_online_at(line.id, address),
            None => self.clients.is_online(line.id),
        };
        old.filter(|old| !certain(&new) && certain(old))
            .unwrap_or(new)
    }

    fn ended(
        &mut self,
        by: Told<'_>,
        line: Ended<'_>,
        attempt: Option<Attempt>,
    ) -> Option<Happening> {
        let here = match line.address {
            Some(address) => self.clients.is_online_at(line.id, address),
            None => self.clients.is_online(line.id),
        };
        let is_stranger = is_stranger(&line);
        // A client may be called like strangers of 2.0, but what befalls only those is theirs.
        let is_nameless = line.address.is_none() && is_stranger;
        if here && !(is_nameless && (attempt.is_some() || line.ending.refusal)) {
            return Some(self.disconnected(by, line));
        }
        if is_stranger && !line.ending.refusal {
            return None;
        }
        if line.ending.refusal {
            let said = Client {
                id: (!is_stranger).then(|| by.share(line.id)),
                username: None,
                address: line.address.map(|address| by.share(address)),
            };
            let (client, connection) = Attempt::refused(attempt, said);
            return Some(by.about(client).refused(line.ending.reason, connection));
        }
        let returned = line.ending.reason == Reason::TakenOver
            && (self.clients.is_past(line.id) || line.address.is_some_and(is_missing));
        let told = returned || self.clients.is_replaced(line.id);
        (!told).then(|| self.disconnected(by, line))
    }

    fn disconnected(&mut self, by: Told<'_>, line: Ended<'_>) -> Happening {
        let id = by.share(line.id);
        // A connection from another address is not the one that ended.
        let ours = line
            .address
            .is_none_or(|address| self.clients.is_online_at(line.id, address));
        let known = ours.then(|| self.clients.ended(line.id)).flatten();
        let connected_at = known.as_ref().map(|known| known.connected_at);
        let client = match known {
            Some(known) => known.client(id),
            None => Client {
                id: Some(id),
                username: None,
                address: line.address.map(|address| by.share(address)),
            },
        };
        by.about(client)
            .disconnected(line.ending.reason, connected_at)
    }

    fn subscribe(
        &mut self,
        text: &ByteString,
        now: Timestamp,
        told: &mut Vec<Happening>,
    ) -> Result<(), Unreadable> {
        let line = self.subscription(text)?;
        let (id, (qos, filter)) = self
            .split(line.message, qos_and_filter)
            .ok_or(Unreadable("not an identifier, a qos and a filter"))?;
        let time = line.time(now);
        let by = Told { text, time, now };
        let about = by.about(self.clients.client(by.share(id)));
        let filter = by.share(filter);
        if qos < 128 {
            told.extend(about.subscribed(filter, Some(qos)));
        } else {
            told.push(about.denied(filter));
        }
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        text: &ByteString,
        now: Timestamp,
        told: &mut Vec<Happening>,
    ) -> Result<(), Unreadable> {
        let line = self.subscription(text)?;
        let filter = |rest| Some(rest).filter(|filter: &&str| !filter.is_empty());
        let (id, filter) = self
            .split(line.message, filter)
            .ok_or(Unreadable("not an identifier and a filter"))?;
        let time = line.time(now);
        let by = Told { text, time, now };
        let about = by.about(self.clients.client(by.share(id)));
        told.extend(about.unsubscribed(by.share(filter)));
        Ok(())
    }

    fn subscription<'a>(&self, text: &'a ByteString) -> Result<Line<'a>, Unreadable> {
        let line = Line::of_subscription(text, self.stamped);
        if line.cut {
            return Err(Unreadable("a subscription line was cut"));
        }
        Ok(line)
    }

    /// Splits a line at the space behind the longest identifier that is known, otherwise
    /// at the first space behind which the rest can be read.
    fn split<'a, T>(
        &self,
        message: &'a str,
        read: impl Fn(&'a str) -> Option<T>,
    ) -> Option<(&'a str, T)> {
        let at = |(at, _): (usize, &str)| {
            let (id, rest) = (&message[..at], &message[at + 1..]);
            (!id.is_empty()).then_some(())?;
            Some((id, read(rest)?))
        };
        let known = message.rmatch_indices(' ').take(BORDERS);
        let known = known
            .filter(|(at, _)| self.clients.is_online(&message[..*at]))
            .find_map(at);
        known.or_else(|| message.match_indices(' ').find_map(at))
    }
}

/// Returns whether a connection ended that never sent a whole CONNECT.
fn is_stranger(line: &Ended<'_>) -> bool {
    match line.address {
        None => line.id == "<unknown>",
        Some(address) => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            line.id == host
        }
    }
}

/// Returns whether 2.1 knew no address to write.
fn is_missing(address: &str) -> bool {
    address.starts_with("(null)")
}

fn qos_and_filter(rest: &str) -> Option<(u8, &str)> {
    let (qos, filter) = rest.split_once(' ')?;
    let is_number = qos.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !filter.is_empty()).then_some((qos.parse().ok()?, filter))
}

/// Returns the text of a line, up to where it is UTF-8: the cut may go through a character.
fn readable(payload: &Bytes) -> ByteString {
    let valid = payload.utf8_chunks().next();
    let length = valid.map_or(0, |chunk| chunk.valid().len());
    ByteString::try_from(payload.slice(..length)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
