//! EMQX 4, 5 and 6, and RMQTT, which copied its topics.
//!
//! | topic under `$SYS/brokers/<node>/` | EMQX | RMQTT |
//! |---|---|---|
//! | `clients/<id>/connected` | accepted | accepted |
//! | `clients/<id>/disconnected` | disconnected | disconnected |
//! | `clients/<id>/subscribed`, `unsubscribed` | 5 and 6, off by default | |
//! | `gateway/<name>/clients/<id>/...` | the same four, of a gateway's clients | |
//! | `session/<id>/subscribed`, `unsubscribed` | | subscribed, unsubscribed |
//! | `session/<id>/terminated` | | session terminated |
//! | `session/<id>/created` | | nothing: `connected` follows |
//!
//! The identifier in the topic may contain slashes; the `clientid` of the JSON is taken.
//! Both write no user name as `"undefined"`, so a user of that name cannot be told from none.
//! Refusals are not told by either.

mod reason;

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;
use serde_json::Value;

use super::recent::Recent;
use super::told::{About, plausible};
use super::{Dialect, Heard, Name, Unreadable};
use crate::event::{Client, Connection, Happening, Kind, KindSet, Reason, Timestamp};

/// How many of RMQTT's connected clients are remembered.
const CLIENTS: usize = 262_144;

/// Reads what EMQX tells; needs no memory.
#[derive(Debug, Default)]
pub(super) struct Emqx;

impl Dialect for Emqx {
    fn kinds(&self) -> KindSet {
        KindSet::of(&[
            Kind::ClientConnack,
            Kind::ClientConnected,
            Kind::ClientDisconnected,
            Kind::ClientSubscribe,
            Kind::ClientUnsubscribe,
            Kind::SessionSubscribed,
            Kind::SessionUnsubscribed,
        ])
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &[
            "$SYS/brokers/+/clients/#",
            "$SYS/brokers/+/gateway/+/clients/#",
        ]
    }

    fn setup(&self) -> &'static str {
        "EMQX 5 and 6 tell of subscriptions only if emqx.conf says so:\n\
         \n\
         sys_topics.sys_event_messages.client_subscribed = true\n\
         sys_topics.sys_event_messages.client_unsubscribed = true\n\
         \n\
         acl.conf denies $SYS by default. For a user named mqhook, put before its deny rules:\n\
         \n\
         {allow, {username, \"mqhook\"}, subscribe, [\"$SYS/#\", {eq, \"#\"}]}.\n"
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        let Some(act) = act(heard.topic.as_str()) else {
            return Ok(());
        };
        let report = Report::read(heard.payload)?;
        let connected_at = report.connected_at.and_then(plausible);
        report.tell(act, reason::of_emqx, connected_at, told)
    }
}

/// Reads what RMQTT tells. Remembers when clients connected, as RMQTT does not repeat it.
#[derive(Debug)]
pub(super) struct Rmqtt {
    connected_at: Recent<Timestamp>,
}

impl Default for Rmqtt {
    fn default() -> Self {
        Self {
            connected_at: Recent::new(CLIENTS),
        }
    }
}

impl Dialect for Rmqtt {
    fn kinds(&self) -> KindSet {
        let mut kinds = Emqx.kinds();
        kinds.insert(Kind::SessionTerminated);
        kinds
    }

    fn topic_filters(&self) -> &'static [&'static str] {
        &["$SYS/brokers/+/clients/#", "$SYS/brokers/+/session/#"]
    }

    fn setup(&self) -> &'static str {
        "The plugin rmqtt-sys-topic is off by default; rmqtt.toml must name it, and the plugin\n\
         rmqtt-acl lets only 127.0.0.1 and the user dashboard read $SYS:\n\
         \n\
         plugins.default_startups = [\"rmqtt-acl\", \"rmqtt-sys-topic\"]\n"
    }

    fn decode(&mut self, heard: &Heard<'_>, told: &mut Vec<Happening>) -> Result<(), Unreadable> {
        let Some(act) = act(heard.topic.as_str()) else {
            return Ok(());
        };
        let report = Report::read(heard.payload)?;
        let connected_at = match act {
            Act::Connected => {
                let at = report.connected_at.and_then(plausible);
                let at = at.unwrap_or(heard.now);
                self.connected_at.insert(&report.clientid, at);
                Some(at)
            }
            Act::Disconnected => self.connected_at.remove(&report.clientid),
            Act::Subscribed | Act::Unsubscribed | Act::Terminated => None,
        };
        report.tell(act, reason::of_rmqtt, connected_at, told)
    }
}

/// Returns which of the two wrote a message under `clients/`: RMQTT numbers its nodes.
pub(super) fn which(payload: &Bytes) -> Name {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default)]
        node: Value,
    }
    match serde_json::from_slice::<Probe>(payload) {
        Ok(probe) if probe.node.is_number() => Name::Rmqtt,
        _ => Name::Emqx,
    }
}

/// What a topic says that its message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Connected,
    Disconnected,
    Subscribed,
    Unsubscribed,
    Terminated,
}

fn act(topic: &str) -> Option<Act> {
    let (_, rest) = topic.strip_prefix("$SYS/brokers/")?.split_once('/')?;
    let (rest, act) = rest.rsplit_once('/')?;
    let clients = match rest.strip_prefix("gateway/") {
        Some(gateway) => gateway.split_once('/')?.1,
        None => rest,
    };
    let of_client = clients.starts_with("clients/");
    let of_session = rest.starts_with("session/");
    match act {
        "connected" if of_client => Some(Act::Connected),
        "disconnected" if of_client => Some(Act::Disconnected),
        "subscribed" if of_client || of_session => Some(Act::Subscribed),
        "unsubscribed" if of_client || of_session => Some(Act::Unsubscribed),
        "terminated" if of_session => Some(Act::Terminated),
        _ => None,
    }
}

/// The keys of either broker's JSON that say something.
///
/// Keys that an event can do without are `Value`s, so that an odd one costs that key only.
#[derive(Debug, Deserialize)]
struct Report {
    clientid: String,
    #[serde(default)]
    username: Value,
    #[serde(default)]
    ipaddress: Value,
    #[serde(default)]
    proto_ver: Value,
    #[serde(default)]
    keepalive: Value,
    #[serde(default)]
    clean_start: Value,
    #[serde(default)]
    clean_session: Value,
    #[serde(default)]
    connack: Value,
    #[serde(default, deserialize_with = "milliseconds")]
    connected_at: Option<u64>,
    #[serde(default, deserialize_with = "milliseconds")]
    disconnected_at: Option<u64>,
    #[serde(default, deserialize_with = "milliseconds")]
    ts: Option<u64>,
    #[serde(default)]
    reason: Value,
    #[serde(default)]
    topic: Value,
    #[serde(default)]
    subopts: Value,
    #[serde(default)]
    opts: Value,
}

fn milliseconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Value::deserialize(from).map(|value| value.as_u64())
}

impl Report {
    fn read(payload: &Bytes) -> Result<Self, Unreadable> {
        let report: Self = serde_json::from_slice(payload)
            .map_err(|_| Unreadable("not an object with a `clientid`"))?;
        if report.clientid.is_empty() {
            return Err(Unreadable("the client identifier is empty"));
        }
        Ok(report)
    }

    fn tell(
        &self,
        act: Act,
        reason: fn(&str) -> Reason,
        connected_at: Option<Timestamp>,
        told: &mut Vec<Happening>,
    ) -> Result<(), Unreadable> {
        let reason = reason(self.reason.as_str().unwrap_or_default());
        match act {
            Act::Connected => {
                let about = self.about(self.connected_at.or(self.ts));
                match small(&self.connack).and_then(Reason::refused_by) {
                    Some(refused) => told.push(about.refused(refused, self.connection())),
                    None => told.extend(about.accepted(self.connection())),
                }
            }
            Act::Disconnected => {
                let about = self.about(self.disconnected_at.or(self.ts));
                told.push(about.disconnected(reason, connected_at));
            }
            Act::Terminated => {
                told.push(self.about(self.ts).terminated(reason, None));
            }
            Act::Subscribed => {
                let qos = small(&self.subopts["qos"]).or(small(&self.opts["qos"]));
                told.extend(self.about(self.ts).subscribed(self.topic_filter()?, qos));
            }
            Act::Unsubscribed => {
                told.extend(self.about(self.ts).unsubscribed(self.topic_filter()?));
            }
        }
        Ok(())
    }

    fn about(&self, ms: Option<u64>) -> About {
        About {
            time: ms.and_then(plausible),
            client: Client {
                id: Some(self.clientid.as_str().into()),
                username: said(&self.username),
                address: said(&self.ipaddress),
            },
        }
    }

    fn connection(&self) -> Connection {
        Connection {
            protocol_version: small(&self.proto_ver),
            keep_alive: self.keepalive.as_u64().and_then(|s| s.try_into().ok()),
            clean_start: self.clean_start.as_bool().or(self.clean_session.as_bool()),
            refused: None,
        }
    }

    fn topic_filter(&self) -> Result<ByteString, Unreadable> {
        said(&self.topic).ok_or(Unreadable("the subscription has no `topic`"))
    }
}

/// Returns a text, `None` for what both brokers write where they know none.
fn said(value: &Value) -> Option<ByteString> {
    value
        .as_str()
        .filter(|text| !text.is_empty() && *text != "undefined")
        .map(ByteString::from)
}

fn small(value: &Value) -> Option<u8> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

#[cfg(test)]
mod tests;
