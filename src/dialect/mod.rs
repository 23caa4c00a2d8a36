//! Dialects: how families of brokers tell what happens to their clients.
//!
//! A [`Dialect`] turns a message that the broker published about itself into
//! [`Happening`]s. It does no I/O and reads no clock. Some keep a table of the clients
//! they heard of, because their broker tells half of an event at one time and half at
//! another. Messages that clients publish need no dialect.
//!
//! | name | broker | where it tells |
//! |---|---|---|
//! | `nanomq` | `NanoMQ` | JSON under `$SYS/brokers/client_status/` |
//! | `mosquitto` | Mosquitto 2.0 and 2.1 | log lines under `$SYS/broker/log/` |
//! | `mosquitto-plugin` | Mosquitto 2.1 with mqhook's plugin | JSON under `$SYS/broker/mqhook/` |
//! | `emqx` | EMQX 4, 5 and 6 | JSON under `$SYS/brokers/<node>/clients/` |
//! | `rmqtt` | RMQTT with rmqtt-sys-topic | the same, and `$SYS/brokers/<node>/session/` |
//! | `aedes` | Aedes | `$SYS/<broker>/new/clients` and beside it |
//! | `nats` | NATS server, which must be told to | JSON under `$mqhook/$SYS/` |
//! | `plain` | any other | nowhere: it tells published messages only |
//!
//! To add one: write its file, add it to [`Name`] and to [`Name::ALL`], and bring
//! captured lines; `tests/dialects` walks the list and fails without them.

mod aedes;
mod emqx;
mod mosquitto;
mod mosquitto_plugin;
mod nanomq;
mod nats;
mod plain;
mod recent;
mod told;
mod vital;

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use thiserror::Error;

pub(crate) use told::plausible;
pub use vital::Vital;

use crate::event::{Happening, Kind, KindSet, Timestamp, TopicName};

/// How one family of brokers tells of events.
pub trait Dialect: Send + Sync {
    /// Returns the kinds that this dialect can tell beside `on_message_publish`, which all can.
    fn kinds(&self) -> KindSet;

    /// Returns the kinds that it can tell beside these with mqhook's plugin for the broker.
    fn plugin_kinds(&self) -> KindSet {
        KindSet::default()
    }

    /// Returns the topic filters under which the broker tells; empty if it does not.
    fn topic_filters(&self) -> &'static [&'static str];

    /// Returns what the operator must configure at the broker for it to tell, as lines to
    /// copy and a sentence around them; empty if nothing.
    fn setup(&self) -> &'static str;

    /// Returns the topic filters under which the broker says how it is itself; empty if it does not.
    fn vital_filters(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns what a message says of the broker itself; `None` if it is not about that.
    fn vital(&self, _heard: &Heard<'_>) -> Option<Vital> {
        None
    }

    /// Returns when a message was written by the broker's clock, if it says so; never later.
    fn clock(&self, _heard: &Heard<'_>) -> Option<Timestamp> {
        None
    }

    /// Appends what a message tells to `told`: nothing, if it is not about an event.
    ///
    /// # Errors
    /// The message is about an event and cannot be read. The dialect is unchanged and goes on.
    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable>;
}

/// A message that the broker published about itself.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Where.
    pub topic: &'a TopicName,
    /// What; hostile, as client identifiers and user names are part of it.
    pub payload: &'a Bytes,
    /// When it arrived.
    pub now: Timestamp,
}

/// The message is about an event and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// The dialects by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Name {
    /// `NanoMQ`.
    Nanomq,
    /// Mosquitto.
    Mosquitto,
    /// Mosquitto with mqhook's plugin and `plugin_opt_events`.
    MosquittoPlugin,
    /// EMQX.
    Emqx,
    /// RMQTT.
    Rmqtt,
    /// Aedes.
    Aedes,
    /// NATS server.
    Nats,
    /// Any broker; messages only.
    Plain,
}

impl Name {
    /// Every dialect, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Nanomq,
        Self::Mosquitto,
        Self::MosquittoPlugin,
        Self::Emqx,
        Self::Rmqtt,
        Self::Aedes,
        Self::Nats,
        Self::Plain,
    ];

    /// Returns the name that `broker.dialect` takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nanomq => "nanomq",
            Self::Mosquitto => "mosquitto",
            Self::MosquittoPlugin => "mosquitto-plugin",
            Self::Emqx => "emqx",
            Self::Rmqtt => "rmqtt",
            Self::Aedes => "aedes",
            Self::Nats => "nats",
            Self::Plain => "plain",
        }
    }

    /// Returns whether a broker that tells in this way is to be heard so, though it was found to tell in
    /// the other way, too.
    #[must_use]
    pub fn supersedes(self, other: Self) -> bool {
        (self, other) == (Self::MosquittoPlugin, Self::Mosquitto)
    }

    /// Returns whether this dialect tells what events of a kind are made of. Those of devices are made
    /// of connections.
    #[must_use]
    pub fn tells(self, kind: Kind) -> bool {
        let kind = if kind.is_device() {
            Kind::ClientConnected
        } else {
            kind
        };
        self.decoder().kinds().contains(kind)
    }

    /// Returns a decoder that has heard nothing yet.
    #[must_use]
    pub fn decoder(self) -> Box<dyn Dialect> {
        match self {
            Self::Nanomq => Box::new(nanomq::Nanomq::default()),
            Self::Mosquitto => Box::new(mosquitto::Mosquitto::default()),
            Self::MosquittoPlugin => Box::new(mosquitto_plugin::MosquittoPlugin::default()),
            Self::Emqx => Box::new(emqx::Emqx),
            Self::Rmqtt => Box::new(emqx::Rmqtt::default()),
            Self::Aedes => Box::new(aedes::Aedes),
            Self::Nats => Box::new(nats::Nats),
            Self::Plain => Box::new(plain::Plain),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// Returns the dialect that a reserved topic gives away, if it gives one away.
#[must_use]
pub fn recognise(heard: &Heard<'_>) -> Option<Name> {
    let levels: Vec<&str> = heard.topic.levels().collect();
    match levels.as_slice() {
        ["$SYS", "broker", "mqhook", ..] => mosquitto_plugin::recognise(heard),
        ["$SYS", "broker", "log", ..] => Some(Name::Mosquitto),
        ["$SYS", "broker", "version"] => heard
            .payload
            .starts_with(b"mosquitto")
            .then_some(Name::Mosquitto),
        [
            "$SYS",
            "brokers",
            "client_status" | "connected" | "disconnected",
            ..,
        ] => Some(Name::Nanomq),
        ["$SYS", "brokers", _, "session", ..] => Some(Name::Rmqtt),
        ["$SYS", "brokers", _, "clients", ..] => Some(emqx::which(heard.payload)),
        ["$SYS", "brokers", _, "gateway", _, "clients", ..] => Some(Name::Emqx),
        ["$SYS", _, "new" | "disconnect", "clients"] | ["$SYS", _, "heartbeat"] => {
            Some(Name::Aedes)
        }
        ["$mqhook", "$SYS", "ACCOUNT" | "SERVER", ..] => Some(Name::Nats),
        _ => None,
    }
}

/// Returns what to tell the operator about rules for a kind that the broker never tells,
/// `dialect` being its dialect, if it is known.
#[must_use]
pub fn untold(kind: Kind, dialect: Option<Name>) -> String {
    let others: Vec<&str> = Name::ALL
        .into_iter()
        .filter(|name| name.tells(kind))
        .map(Name::as_str)
        .collect();
    let who = match dialect {
        Some(name) => format!("a broker of the dialect {name}"),
        None => "a broker without plugin".to_owned(),
    };
    let with_plugin = |name: &Name| name.decoder().plugin_kinds().contains(kind);
    if Name::ALL.iter().any(with_plugin) {
        format!("{who} does not tell of `{kind}`: only Mosquitto with mqhook's plugin does")
    } else if others.is_empty() {
        format!("{who} never tells of `{kind}`: its rules never match")
    } else {
        let others = others.join(", ");
        format!(
            "{who} never tells of `{kind}`: its rules do not match; these dialects do: {others}"
        )
    }
}
