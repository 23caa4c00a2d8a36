//! `NanoMQ`'s own configuration file, as far as it concerns mqhook.
//!
//! | in `nanomq.conf` | here |
//! |---|---|
//! | `webhook { .. }` | the webhook named `webhook` |
//! | `listeners` | `broker.url`, unless that is given |
//! | every other section of `NanoMQ`'s | ignored, with all that is wrong in it |
//!
//! `broker`, `admin` and mqhook's other tables may stand beside them.

use super::parsed::Parsed;
use super::problem::{Problem, Severity};
use super::schema::Context;
use super::section::{Problems, Section, UnknownKey};
use super::source::{SourceId, Span};
use super::value::{Entry, Node, Table, Value};
use super::{Config, webhook};
use crate::mqtt::BrokerUrl;

/// The name of the one webhook that `NanoMQ` has.
pub(super) const WEBHOOK: &str = "webhook";

/// The section that says where `NanoMQ` listens.
pub(super) const LISTENERS: &str = "listeners";

/// The other sections of `nanomq.conf`, from 0.17 to 0.25.
pub(super) const SECTIONS: [&str; 29] = [
    "acl",
    "auth",
    "auth_http",
    "authorization",
    "aws_bridges",
    "blf",
    "bridge",
    "bridges",
    "cluster",
    "exchange_client",
    "exchange_server",
    "gateway",
    "http_server",
    "jwt",
    "license",
    "log",
    "max_packet_size",
    "mqtt",
    "nanomq",
    "parquet",
    "plugin",
    "plugins",
    "preset",
    "retain",
    "rules",
    "sqlite",
    "system",
    "vehicle",
    "websocket",
];

/// Where a listener of each kind is reached; the first that is written and enabled is used.
const KINDS: [(&str, &str); 4] = [
    ("tcp", "mqtt"),
    ("ws", "ws"),
    ("ssl", "mqtts"),
    ("wss", "wss"),
];

/// Returns whether the file is `NanoMQ`'s.
pub(super) fn is_nanomq(root: &Table) -> bool {
    root.contains_key(WEBHOOK) || root.contains_key(LISTENERS)
}

/// Returns a problem if the file is in the format that `NanoMQ` had before 0.14.
pub(super) fn old_format(root: &Table) -> Option<Problem> {
    let web = root.get("web")?;
    table(web)?.get("hook")?;
    let message = "this is the old format of nanomq.conf, with `web.hook.` before each key";
    let help = "`mqhook import` makes a new one of it";
    Some(Problem::error(web.key_span, message).help(help))
}

/// Returns the problem of a webhook that is named as `NanoMQ`'s one is, beside that one.
pub(super) fn second_of_name(key_span: Span) -> Problem {
    let message = format!("`webhooks.{WEBHOOK}`: the block `{WEBHOOK}` has this name already");
    Problem::error(key_span, message).help("give it another name, or remove one of the two")
}

/// Drops the problems that are in sections of `NanoMQ` alone, so that what `NanoMQ` understands
/// and we do not, or a file that we may not read, keeps nobody from using the rest.
///
/// Errors stay if nobody knows which keys they concern.
pub(super) fn forget_foreign(parsed: &mut Parsed) {
    let owners = Owners::of(&parsed.table);
    let torn = &parsed.torn;
    let is_ours = |problem: &Problem| {
        let is_foreign = problem.span.is_some_and(|span| {
            let is_certain = problem.severity == Severity::Warning || !torn.contains(&span.source);
            is_certain && owners.is_foreign(span)
        });
        !is_foreign
    };
    parsed.syntax.retain(is_ours);
    parsed.values.retain(is_ours);
}

/// Returns what tells whether a place belongs to `NanoMQ` alone.
pub(super) fn foreign(root: &Table) -> impl Fn(Span) -> bool + use<> {
    let owners = Owners::of(root);
    move |span| owners.is_foreign(span)
}

/// Reads what concerns mqhook.
pub(super) fn read(root: &mut Section<'_>, context: &Context<'_>, config: &mut Config) {
    if let Some(name) = named_webhook(root) {
        root.entry(WEBHOOK);
        let message = format!("`{WEBHOOK}` is NanoMQ's one webhook and has no name");
        let problem = Problem::error(root.span_of(WEBHOOK), message);
        root.report(problem.help(format!("did you mean `webhooks.{name}`?")));
    } else if let Some(section) = root.section(WEBHOOK) {
        config
            .webhooks
            .extend(webhook::read(section, WEBHOOK, context));
    } else if !root.has(WEBHOOK) && !root.has("webhooks") {
        let problem = Problem::error(None, "no webhook is configured");
        root.report(problem.help("add a block `webhook { .. }` with `url` and `events`"));
    }
    let is_url_given = root.find(&["broker", "url"]).is_some();
    if root.entry(LISTENERS).is_some() && !is_url_given {
        listeners(root, config);
    }
}

/// Returns whether a key that mqhook does not know is `NanoMQ`'s; one that is not known of
/// `NanoMQ` either is probably of a later version, unless it is like one of ours.
pub(super) fn is_theirs(unknown: UnknownKey<'_>, problems: &Problems) -> bool {
    if SECTIONS.contains(&unknown.key) {
        return true;
    }
    if unknown.meant.is_some() {
        return false;
    }
    let message = format!("unknown section `{}` is ignored", unknown.key);
    let problem = Problem::warning(unknown.span, message);
    problems
        .borrow_mut()
        .push(problem.help("neither NanoMQ up to 0.25 nor mqhook has it"));
    true
}

/// Returns the name that a webhook has where `webhooks` was meant.
fn named_webhook<'a>(root: &Section<'a>) -> Option<&'a str> {
    let webhook = table(root.find(&[WEBHOOK])?)?;
    let is_webhook = |entry: &Entry| table(entry).is_some_and(|table| table.contains_key("url"));
    let named = webhook.iter().find(|(_, entry)| is_webhook(entry));
    let (name, _) = named.filter(|_| !webhook.contains_key("url"))?;
    Some(name)
}

fn listeners(root: &Section<'_>, config: &mut Config) {
    let listener = KINDS.into_iter().find_map(|(kind, scheme)| {
        let listener = table(root.find(&[LISTENERS, kind])?)?;
        let is_enabled = listener
            .get("enable")
            .is_none_or(|entry| entry.node.value != Value::Bool(false));
        is_enabled.then_some((listener, kind, scheme))
    });
    let Some((listener, kind, scheme)) = listener else {
        return;
    };
    // Without `bind`, NanoMQ listens where it does by default, as we assume without it.
    let Some(node) = listener.get("bind").map(|entry| &entry.node) else {
        return;
    };
    let (Value::String(bind) | Value::Number(bind)) = &node.value else {
        return;
    };
    if let Some(url) = broker_url(scheme, bind) {
        config.broker.url = url;
        return;
    }
    let message = format!("`{LISTENERS}.{kind}.bind`: `{bind}` is not an address");
    let problem = Problem::warning(node.span, message);
    root.report(problem.help("say where the broker is with `broker.url`"));
}

fn table(entry: &Entry) -> Option<&Table> {
    match &entry.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// Returns where a listener is reached from the same host: one that is bound to every address is
/// reached over loopback.
fn broker_url(scheme: &str, bind: &str) -> Option<BrokerUrl> {
    let bind = bind.trim();
    let bind = bind.split_once("://").map_or(bind, |(_, bind)| bind);
    let (address, path) = match bind.find('/') {
        Some(slash) => bind.split_at(slash),
        None => (bind, ""),
    };
    let (host, port) = address.rsplit_once(':').unwrap_or(("", address));
    let port: u16 = port.parse().ok()?;
    let host = match host {
        "" | "*" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let path = if scheme.starts_with("ws") { path } else { "" };
    format!("{scheme}://{host}:{port}{path}").parse().ok()
}

/// Which top-level key each place of the files belongs to.
struct Owners {
    /// Where a key or value starts, and whether it belongs to `NanoMQ` alone; sorted.
    places: Vec<(SourceId, usize, bool)>,
}

impl Owners {
    fn of(root: &Table) -> Self {
        let mut owners = Self { places: Vec::new() };
        for (key, entry) in root {
            owners.add_entry(entry, SECTIONS.contains(&key.as_str()));
        }
        owners.places.sort_unstable();
        owners
    }

    fn add_entry(&mut self, entry: &Entry, is_foreign: bool) {
        let span = entry.key_span;
        self.places.push((span.source, span.start, is_foreign));
        self.add_node(&entry.node, is_foreign);
    }

    fn add_node(&mut self, node: &Node, is_foreign: bool) {
        let span = node.span;
        self.places.push((span.source, span.start, is_foreign));
        match &node.value {
            Value::Table(table) => {
                for entry in table.values() {
                    self.add_entry(entry, is_foreign);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.add_node(element, is_foreign);
                }
            }
            _ => {}
        }
    }

    /// Returns whether the last key or value that starts at or before `span` is `NanoMQ`'s.
    fn is_foreign(&self, span: Span) -> bool {
        let end = self
            .places
            .partition_point(|(source, start, _)| (*source, *start) <= (span.source, span.start));
        let before = self.places[..end].last();
        before.is_some_and(|(source, _, is_foreign)| *source == span.source && *is_foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_from_the_same_host() {
        let check = |bind, expected: Option<&str>| {
            let url = broker_url("mqtt", bind).map(|url| url.to_string());
            assert_eq!(url.as_deref(), expected, "{bind}");
        };
        check("0.0.0.0:1883", Some("mqtt://127.0.0.1:1883"));
        check("192.168.1.5:1884", Some("mqtt://192.168.1.5:1884"));
        check("[::]:1883", Some("mqtt://[::1]:1883"));
        check(":1883", Some("mqtt://127.0.0.1:1883"));
        check("1883", Some("mqtt://127.0.0.1:1883"));
        check("nmq-tcp://0.0.0.0:1883", Some("mqtt://127.0.0.1:1883"));
        check("broker.local:1883", Some("mqtt://broker.local:1883"));
        check("nonsense", None);
        check("0.0.0.0:port", None);
        let websocket = broker_url("ws", "0.0.0.0:8083/mqtt").map(|url| url.to_string());
        assert_eq!(websocket.as_deref(), Some("ws://127.0.0.1:8083/mqtt"));
    }
}
