//! The text that `NanoMQ` writes, taken apart without trusting its quotes.
//!
//! ```text
//! {"status":"online", "username":"U", "ts":1,"proto_name":"MQTT","keepalive":60,
//!  "return_code":"0","proto_ver":4,"client_id":"C","clean_start":1, "IPv4":"127.0.0.1"}
//! {"status":"offline", "username":"U","ts":1,"reason_code":"0","client_id":"C","IPv4":"127.0.0.1"}
//! ```
//!
//! (One line each. Older versions have no `status`, still older ones no `IPv4`; the space
//! behind some commas comes and goes. `mqtt_parser.c`, `nano_msg_notify`; `CONNECT_MSG`
//! and `DISCONNECT_MSG` in `nng_mqtt.h`.) U and C are hostile and not escaped. The keys
//! between them, the *middle*, are `NanoMQ`'s own and have a strict form, so the text is
//! split at a middle:
//!
//! - The topic names the client: at the last middle that its identifier follows. A user
//!   name or an identifier that imitates a middle does not get through, unless the cut at
//!   255 bytes took the true one away.
//! - The topic does not: at the first middle. A user name that imitates one gets through;
//!   an identifier does not.
//!
//! Text that has another layout, as a later version might write it, is read as JSON.

use bytestring::ByteString;
use serde::Deserialize;
use serde_json::Value;

use crate::dialect::Unreadable;

/// Whether a client came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It sent CONNECT, which was accepted or refused.
    Online,
    /// Its connection ended.
    Offline,
}

/// What a message says; `None` is "cut off" or "not told".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) status: Status,
    pub(super) id: ByteString,
    pub(super) username: Option<ByteString>,
    pub(super) address: Option<ByteString>,
    /// Milliseconds since the epoch, unchecked.
    pub(super) ms: Option<u64>,
    /// Of CONNACK when online, of DISCONNECT when offline.
    pub(super) code: Option<u8>,
    pub(super) protocol_version: Option<u8>,
    pub(super) keep_alive: Option<u16>,
    pub(super) clean_start: Option<bool>,
}

impl Report {
    /// Reads a text. `status` and `id` are what the topic said.
    ///
    /// # Errors
    /// The text has not `NanoMQ`'s layout and is not JSON either, or does not say who.
    pub(super) fn read(
        text: &str,
        status: Option<Status>,
        id: Option<&str>,
    ) -> Result<Self, Unreadable> {
        let split = Split::of(text, status, id);
        match split {
            Some(split) if split.username.is_some() => split.report(id),
            split => from_json(text, status, id)
                .or_else(|error| split.map_or(Err(error), |split| split.report(id))),
        }
    }
}

/// A text in `NanoMQ`'s layout, split around the user name and the identifier.
#[derive(Debug)]
struct Split<'a> {
    status: Status,
    /// `None` where it was cut.
    username: Option<&'a str>,
    middle: Middle,
    /// What follows the opening quote of the identifier; empty where it was cut before.
    tail: &'a str,
}

impl<'a> Split<'a> {
    fn of(text: &'a str, status: Option<Status>, id: Option<&str>) -> Option<Self> {
        let (status, text) = head(text, status)?;
        let mut best: Option<(Fit, Self)> = None;
        for (at, _) in text.match_indices("\"ts\":") {
            let Some(username) = before(&text[..at]) else {
                continue;
            };
            let mut scan = Scan(&text[at + "\"ts\":".len()..]);
            let mut middle = Middle::default();
            let tail = match middle.fill(&mut scan, status) {
                Ok(()) => scan.0,
                Err(Stop::Cut) => "",
                Err(Stop::Mismatch) => continue,
            };
            let fit = id.map_or(Fit::None, |id| Fit::of(tail, id));
            let better = match &best {
                None => true,
                Some((best, _)) => fit > *best || fit == Fit::Whole,
            };
            if better {
                let username = Some(username);
                let split = Self {
                    status,
                    username,
                    middle,
                    tail,
                };
                best = Some((fit, split));
            }
        }
        let cut = || Self {
            status,
            username: None,
            middle: Middle::default(),
            tail: "",
        };
        Some(best.map_or_else(cut, |(_, split)| split))
    }

    fn report(self, id: Option<&str>) -> Result<Report, Unreadable> {
        let (written, end) = self.identifier(id);
        let Some(id) = id.or(written) else {
            return Err(Unreadable("the client identifier was cut off"));
        };
        Ok(Report {
            status: self.status,
            id: id.into(),
            username: self.username.and_then(present),
            address: end.address,
            ms: self.middle.ms,
            code: self.middle.code,
            protocol_version: self.middle.protocol_version,
            keep_alive: self.middle.keep_alive,
            clean_start: end.clean_start,
        })
    }

    /// Returns the identifier that the text has, if it has it whole, and what follows.
    fn identifier(&self, id: Option<&str>) -> (Option<&'a str>, End) {
        let known = id.filter(|id| Fit::of(self.tail, id) == Fit::Whole);
        let length = match (known, self.status) {
            (Some(id), _) => Some(id.len()),
            (None, Status::Online) => closing_quote(self.tail, "clean_start"),
            (None, Status::Offline) => {
                closing_quote(self.tail, "IPv4").or(self.tail.strip_suffix("\"}").map(str::len))
            }
        };
        match length.and_then(|length| self.tail.split_at_checked(length)) {
            Some((id, end)) => (Some(id).filter(|id| !id.is_empty()), End::of(end)),
            None => (None, End::default()),
        }
    }
}

/// How well what follows a middle agrees with the identifier that the topic names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    None,
    /// It is the identifier up to where the text was cut off.
    Cut,
    Whole,
}

impl Fit {
    fn of(tail: &str, id: &str) -> Self {
        match tail.strip_prefix(id) {
            Some(rest) if rest.starts_with('"') => Self::Whole,
            Some("") => Self::Cut,
            None if id.starts_with(tail) => Self::Cut,
            _ => Self::None,
        }
    }
}

/// Takes the text apart up to the user name's first character.
fn head(text: &str, status: Option<Status>) -> Option<(Status, &str)> {
    let text = text.strip_prefix('{')?;
    let (status, text) = match text.strip_prefix("\"status\":\"") {
        Some(rest) => match rest.strip_prefix("online\",") {
            Some(rest) => (Status::Online, rest),
            None => (Status::Offline, rest.strip_prefix("offline\",")?),
        },
        None => (status?, text),
    };
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some((status, text.strip_prefix("\"username\":\"")?))
}

/// Takes the closing quote and the comma behind a user name off.
fn before(text: &str) -> Option<&str> {
    let text = text.strip_suffix(' ').unwrap_or(text);
    text.strip_suffix("\",")
}

/// Returns where the last value ends that the key follows.
fn closing_quote(text: &str, key: &str) -> Option<usize> {
    let (value, _) = text.rsplit_once(&format!("\"{key}\":"))?;
    before(value).map(str::len)
}

/// Returns a user name, `None` for what `NanoMQ` writes where there is none.
fn present(username: &str) -> Option<ByteString> {
    (!username.is_empty() && username != "(null)").then(|| username.into())
}

/// The keys between the user name and the identifier.
#[derive(Debug, Default)]
struct Middle {
    ms: Option<u64>,
    code: Option<u8>,
    protocol_version: Option<u8>,
    keep_alive: Option<u16>,
}

impl Middle {
    /// Reads from behind `"ts":` up to the identifier's first character. What was read
    /// before a cut stays.
    fn fill(&mut self, scan: &mut Scan<'_>, status: Status) -> Result<(), Stop> {
        self.ms = scan.number()?.parse().ok();
        match status {
            Status::Online => {
                scan.key("proto_name")?;
                scan.quoted()?;
                scan.key("keepalive")?;
                self.keep_alive = scan.number()?.parse().ok();
                scan.key("return_code")?;
                self.code = hexadecimal(scan.quoted()?)?;
                scan.key("proto_ver")?;
                self.protocol_version = scan.number()?.parse().ok();
            }
            Status::Offline => {
                scan.key("reason_code")?;
                self.code = hexadecimal(scan.quoted()?)?;
            }
        }
        scan.key("client_id")?;
        scan.literal("\"")
    }
}

/// The keys behind the identifier.
#[derive(Debug, Default)]
struct End {
    clean_start: Option<bool>,
    address: Option<ByteString>,
}

impl End {
    /// Reads from the identifier's closing quote on, as far as it goes.
    fn of(text: &str) -> Self {
        let mut end = Self::default();
        let mut scan = Scan(text.strip_prefix('"').unwrap_or(text));
        let mut behind = scan;
        if behind.key("clean_start").is_ok() {
            end.clean_start = behind.number().ok().map(|number| number != "0");
            scan = behind;
        }
        if scan.key("IPv4").is_ok() {
            end.address = scan.quoted().ok().and_then(present);
        }
        end
    }
}

fn hexadecimal(text: &str) -> Result<Option<u8>, Stop> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Stop::Mismatch);
    }
    Ok(u8::from_str_radix(text, 16).ok())
}

/// Why a scan stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The text ended, and was right up to there.
    Cut,
    /// The text says something else.
    Mismatch,
}

/// The text that is still to be read.
#[derive(Debug, Clone, Copy)]
struct Scan<'a>(&'a str);

impl<'a> Scan<'a> {
    /// Longest number or quoted value of `NanoMQ`'s own: keeps hostile text linear.
    const LONGEST: usize = 64;

    fn literal(&mut self, literal: &str) -> Result<(), Stop> {
        match self.0.strip_prefix(literal) {
            Some(rest) => {
                self.0 = rest;
                Ok(())
            }
            None if literal.starts_with(self.0) => Err(Stop::Cut),
            None => Err(Stop::Mismatch),
        }
    }

    fn key(&mut self, name: &str) -> Result<(), Stop> {
        self.literal(",")?;
        self.0 = self.0.strip_prefix(' ').unwrap_or(self.0);
        self.literal("\"")?;
        self.literal(name)?;
        self.literal("\":")
    }

    fn number(&mut self) -> Result<&'a str, Stop> {
        let text = self.0;
        let text = text.strip_prefix('-').unwrap_or(text);
        let digits = text.bytes().take(Self::LONGEST);
        let digits = digits.take_while(u8::is_ascii_digit).count();
        let length = self.0.len() - text.len() + digits;
        let (number, rest) = self.0.split_at(length);
        if rest.is_empty() {
            return Err(Stop::Cut);
        }
        self.0 = rest;
        if digits == 0 {
            return Err(Stop::Mismatch);
        }
        Ok(number)
    }

    fn quoted(&mut self) -> Result<&'a str, Stop> {
        self.literal("\"")?;
        let quote = self.0.bytes().take(Self::LONGEST).position(|b| b == b'"');
        let Some((value, rest)) = quote.and_then(|quote| self.0.split_at_checked(quote)) else {
            let cut = self.0.len() < Self::LONGEST;
            return Err(if cut { Stop::Cut } else { Stop::Mismatch });
        };
        self.0 = &rest[1..];
        Ok(value)
    }
}

/// Reads the keys in any order.
fn from_json(text: &str, status: Option<Status>, id: Option<&str>) -> Result<Report, Unreadable> {
    let json: Json = serde_json::from_str(text)
        .map_err(|_| Unreadable("neither in the layout of NanoMQ nor JSON"))?;
    let status = match (json.status.as_str(), status) {
        (Some("online"), _) | (None, Some(Status::Online)) => Status::Online,
        (Some("offline"), _) | (None, Some(Status::Offline)) => Status::Offline,
        _ => return Err(Unreadable("the `status` is neither online nor offline")),
    };
    let Some(id) = id.or(json.client_id.as_str()).filter(|id| !id.is_empty()) else {
        return Err(Unreadable("there is no `client_id`"));
    };
    let code = match status {
        Status::Online => &json.return_code,
        Status::Offline => &json.reason_code,
    };
    Ok(Report {
        status,
        id: id.into(),
        username: json.username.as_str().and_then(present),
        address: json.address.as_str().and_then(present),
        ms: json.ts.as_u64(),
        code: code
            .as_str()
            .and_then(|code| u8::from_str_radix(code, 16).ok()),
        protocol_version: json.proto_ver.as_u64().and_then(|n| n.try_into().ok()),
        keep_alive: json.keepalive.as_u64().and_then(|n| n.try_into().ok()),
        clean_start: json.clean_start.as_u64().map(|number| number != 0),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Json {
    status: Value,
    client_id: Value,
    username: Value,
    #[serde(rename = "IPv4")]
    address: Value,
    ts: Value,
    return_code: Value,
    reason_code: Value,
    proto_ver: Value,
    keepalive: Value,
    clean_start: Value,
}
