//! Lines of `key = value`: the webhook of EMQX 3 and 4, and of `NanoMQ` before 0.14.
//!
//! A `#` at the start of a line makes it a comment, and so does one behind a space, unless that is within a
//! JSON object. Of a key that is written more than once the last counts.

use std::collections::HashMap;
use std::path::Path;

use serde::de::IgnoredAny;

use super::super::source::{SourceId, Sources, Span};
use super::super::value::{Entry, Node, Table, Value};
use super::{Foreign, Note, Notes, Origin};

const PREFIX: &str = "web.hook.";

/// Keys that only EMQX has.
const EMQX_ONLY: [&str; 5] = [
    "web.hook.api.url",
    "web.hook.encode_payload",
    "web.hook.enable_pipelining",
    "web.hook.ssl.cafile",
    "web.hook.ssl.depth",
];

/// Where old `NanoMQ`s are told to listen: what says whether, what says where, and which kind of listener
/// that is today.
const LISTENERS: [(Option<&str>, &str, &str); 4] = [
    (None, "url", "tcp"),
    (Some("websocket.enable"), "websocket.url", "ws"),
    (Some("tls.enable"), "tls.url", "ssl"),
    (Some("websocket.enable"), "websocket.tls_url", "wss"),
];

/// One line.
struct Setting<'a> {
    key: &'a str,
    value: &'a str,
    /// Where the key is.
    key_span: Span,
    /// Where the value is.
    span: Span,
}

/// Returns whether a text has such lines about a webhook.
pub(super) fn are_in(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    lines.any(|line| line.starts_with(PREFIX) && line.contains('='))
}

/// Returns what the lines say, as the tree of values that newer `NanoMQ`s have.
pub(super) fn read(sources: &Sources, root: SourceId, path: &Path) -> Foreign {
    let text = &sources.get(root).text;
    let settings = settings(text, root);
    let origin = origin(&settings, path);
    let mut foreign = Foreign {
        origin,
        table: Table::new(),
        notes: Notes::default(),
    };
    let last_of: HashMap<&str, Span> = settings
        .iter()
        .map(|setting| (setting.key, setting.key_span))
        .collect();
    let hooks = settings
        .iter()
        .filter(|setting| setting.key.starts_with(PREFIX));
    for setting in hooks {
        if last_of[setting.key] == setting.key_span {
            hook(setting, &mut foreign);
        } else {
            let text = format!(
                "`{}`: it is written again, and the last counts",
                setting.key
            );
            foreign
                .notes
                .left_out
                .push(Note::new(setting.key_span, text));
        }
    }
    let last = |key: &str| settings.iter().rev().find(|setting| setting.key == key);
    if origin == Origin::Nanomq && last("web.hook.enable").is_none() {
        let text = "NanoMQ posts nothing without `web.hook.enable=true`; mqhook does";
        foreign.notes.doubtful.push(Note::new(None, text));
    }
    let is_on = |key: Option<&str>| {
        key.is_none_or(|key| last(key).is_some_and(|setting| setting.value == "true"))
    };
    let mut listeners = LISTENERS.iter().filter(|(enable, ..)| is_on(*enable));
    let listener = listeners.find_map(|(_, key, kind)| Some((last(key)?, *kind)));
    if let Some((setting, kind)) = listener {
        let path = ["listeners", kind, "bind"];
        put(&mut foreign.table, &path, setting, string(setting.value));
    }
    foreign
}

fn settings(text: &str, root: SourceId) -> Vec<Setting<'_>> {
    let mut settings = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim_start_matches('\u{feff}').trim(), value.trim());
        if key.starts_with('#') || key.is_empty() {
            continue;
        }
        let value = unquoted(without_comment(value));
        let span = |part: &str| {
            let offset = part.as_ptr() as usize - line.as_ptr() as usize;
            Span::new(root, at + offset, at + offset + part.len())
        };
        settings.push(Setting {
            key,
            value,
            key_span: span(key),
            span: span(value),
        });
    }
    settings
}

fn without_comment(value: &str) -> &str {
    let end_of_object = || {
        let mut json = serde_json::Deserializer::from_str(value).into_iter::<IgnoredAny>();
        json.next().and_then(Result::ok)?;
        let end = json.byte_offset();
        value[end..].trim_start().starts_with('#').then_some(end)
    };
    let comment = if value.starts_with('{') {
        end_of_object()
    } else {
        value.find(" #")
    };
    comment.map_or(value, |at| value[..at].trim_end())
}

fn unquoted(value: &str) -> &str {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Whoever says nothing that only the other would say is told apart by what `NanoMQ` needs.
fn origin(settings: &[Setting<'_>], path: &Path) -> Origin {
    let is_named = |name: &str| {
        let file = path.file_name().and_then(|file| file.to_str());
        file.is_some_and(|file| file.to_ascii_lowercase().contains(name))
    };
    let has = |keys: &[&str]| settings.iter().any(|setting| keys.contains(&setting.key));
    let is_emqx = has(&EMQX_ONLY) || is_named("emqx");
    let is_nanomq =
        has(&["web.hook.enable", "url", "web.hook.cancel_timeout"]) || is_named("nanomq");
    if is_emqx || !is_nanomq {
        Origin::Emqx
    } else {
        Origin::Nanomq
    }
}

/// Puts one line where newer versions have it.
fn hook(setting: &Setting<'_>, foreign: &mut Foreign) {
    let key = &setting.key[PREFIX.len()..];
    let table = &mut foreign.table;
    let mut put = |path: &[&str], value: Value| {
        let path: Vec<&str> = std::iter::once("webhook")
            .chain(path.iter().copied())
            .collect();
        put(table, &path, setting, value);
    };
    let value = setting.value;
    match key {
        "enable" => put(&["enable"], boolean(value)),
        "url" | "api.url" => put(&["url"], string(value)),
        "pool_size" => put(&["pool_size"], Value::Number(value.to_owned())),
        "cancel_timeout" => put(&["cancel_timeout"], Value::Number(value.to_owned())),
        "request_timeout" => put(&["timeout"], string(value)),
        "connect_timeout" => put(&["connect_timeout"], string(value)),
        "body.encoding_of_payload_field" | "encode_payload" => {
            put(&["body", "encoding"], string(value));
        }
        "ssl.cacertfile" | "ssl.cafile" => put(&["tls", "cacertfile"], string(value)),
        "ssl.certfile" => put(&["tls", "certfile"], string(value)),
        "ssl.keyfile" => put(&["tls", "keyfile"], string(value)),
        "ssl.verify" => put(&["tls", "verify"], boolean(value)),
        "ssl.server_name_indication" => put(&["tls", "server_name_indication"], string(value)),
        "enable_pipelining" => foreign.notes.left_out.push(Note::new(
            setting.key_span,
            "`enable_pipelining`: requests do not share a connection before they are answered; `http_version = \"2\"` comes nearest",
        )),
        other => match (other.strip_prefix("headers."), other.strip_prefix("rule.")) {
            (Some(name), _) => put(&["headers", name], string(value)),
            (_, Some(rule)) => self::rule(rule, setting, foreign),
            _ => foreign.notes.left_out.push(Note::new(
                setting.key_span,
                format!("`{}`: unknown key", setting.key),
            )),
        },
    }
}

/// Reads `client.connack.1 = {"action": "on_client_connack"}`: the key names the event.
fn rule(name: &str, setting: &Setting<'_>, foreign: &mut Foreign) {
    let left_out = &mut foreign.notes.left_out;
    let mut parts = name.splitn(3, '.');
    let (Some(class), Some(what)) = (parts.next(), parts.next()) else {
        let text = format!("`{}`: it names no event", setting.key);
        return left_out.push(Note::new(setting.key_span, text));
    };
    let event = format!("on_{class}_{what}");
    let Ok(serde_json::Value::Object(mut rule)) = serde_json::from_str(setting.value) else {
        let text = format!("`{}`: its value is not a JSON object", setting.key);
        return left_out.push(Note::new(setting.span, text));
    };
    let action = rule.remove("action");
    if action.as_ref().and_then(serde_json::Value::as_str) != Some(&event) {
        let text = format!(
            "`{}`: the key says `{event}`, and the action something else",
            setting.key
        );
        foreign
            .notes
            .doubtful
            .push(Note::new(setting.key_span, text));
    }
    let entry = |value: Value| Entry {
        key_span: setting.span,
        node: Node {
            value,
            span: setting.span,
        },
    };
    let mut table = Table::new();
    table.insert("event".to_owned(), entry(Value::String(event)));
    for (key, value) in rule {
        let value = match value {
            serde_json::Value::String(text) if key == "topic" => Value::String(text),
            // Without its topic the rule would say something else.
            _ if key == "topic" => {
                let text = format!("`{}`: its topic is not a string", setting.key);
                return left_out.push(Note::new(setting.span, text));
            }
            _ => {
                let text = format!("`{}`: `{key}` is not known", setting.key);
                left_out.push(Note::new(setting.span, text));
                continue;
            }
        };
        table.insert(key, entry(value));
    }
    add_event(&mut foreign.table, setting, table);
}

fn add_event(root: &mut Table, setting: &Setting<'_>, event: Table) {
    let node = |value| Node {
        value,
        span: setting.span,
    };
    let webhook = inner(root, "webhook", setting);
    let events = webhook.entry("events".to_owned()).or_insert_with(|| Entry {
        key_span: setting.key_span,
        node: node(Value::Array(Vec::new())),
    });
    if let Value::Array(events) = &mut events.node.value {
        events.push(node(Value::Table(event)));
    }
}

/// Puts a value under a path of keys; what is in the way gives way.
fn put(table: &mut Table, path: &[&str], setting: &Setting<'_>, value: Value) {
    match path {
        [] => {}
        [key] => {
            let node = Node {
                value,
                span: setting.span,
            };
            let entry = Entry {
                key_span: setting.key_span,
                node,
            };
            table.insert((*key).to_owned(), entry);
        }
        [key, rest @ ..] => put(inner(table, key, setting), rest, setting, value),
    }
}

fn inner<'a>(table: &'a mut Table, key: &str, setting: &Setting<'_>) -> &'a mut Table {
    let fresh = || Entry {
        key_span: setting.key_span,
        node: Node {
            value: Value::Table(Table::new()),
            span: setting.key_span,
        },
    };
    let entry = table.entry(key.to_owned()).or_insert_with(fresh);
    if !matches!(entry.node.value, Value::Table(_)) {
        *entry = fresh();
    }
    match &mut entry.node.value {
        Value::Table(table) => table,
        _ => unreachable!("it was made a table just now"),
    }
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn boolean(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" => Value::Bool(true),
        "false" | "off" => Value::Bool(false),
        _ => string(text),
    }
}
