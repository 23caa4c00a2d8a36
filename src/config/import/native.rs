//! `NanoMQ`'s keys under our names, and what is different with mqhook.

use super::super::nanomq::{self, LISTENERS, WEBHOOK};
use super::super::problem::Problem;
use super::super::schema;
use super::super::value::{Entry, Node, Table, Value};
use super::mend::{World, resolved};
use super::{Note, Notes, Origin};

/// Files of a `tls` table.
const FILES: [&str; 3] = ["cacertfile", "certfile", "keyfile"];

/// Returns the tree of a configuration of ours.
///
/// # Errors
/// There is no webhook in it, or two have one name.
pub(super) fn convert(
    mut root: Table,
    origin: Origin,
    world: &World<'_>,
    notes: &mut Notes,
) -> Result<Table, Vec<Problem>> {
    let Some(mut webhook) = root.shift_remove(WEBHOOK) else {
        return Err(vec![no_webhook(&root)]);
    };
    let Value::Table(keys) = &mut webhook.node.value else {
        let message = format!("`{WEBHOOK}` must be a table");
        return Err(vec![Problem::error(webhook.node.span, message)]);
    };
    let named = root.get("webhooks").map(|entry| &entry.node.value);
    if let Some(Value::Table(named)) = named
        && let Some(second) = named.get(WEBHOOK)
    {
        return Err(vec![nanomq::second_of_name(second.key_span)]);
    }
    self::webhook(keys, origin, notes);
    let mut native = Table::new();
    broker(&mut root, world, &mut native);
    leave_sections(&mut root, notes);
    let webhooks = root.shift_remove("webhooks");
    let webhooks = webhooks.filter(|webhooks| webhooks.node.value != Value::Null);
    native.append(&mut root);
    let key_span = webhook.key_span;
    let webhooks = webhooks.unwrap_or_else(|| table(key_span, Table::new()));
    let webhooks = native.entry("webhooks".to_owned()).or_insert(webhooks);
    if let Value::Table(webhooks) = &mut webhooks.node.value {
        webhooks.insert(WEBHOOK.to_owned(), webhook);
    }
    Ok(native)
}

fn no_webhook(root: &Table) -> Problem {
    if root.contains_key("webhooks") {
        let message = "it has `webhooks` already: this is mqhook's own format";
        return Problem::error(None, message).help("mqhook check -c says whether it is good");
    }
    Problem::error(None, "there is no webhook in it").help(
        "NanoMQ has a block `webhook { .. }`, older versions and EMQX have lines `web.hook.url = ..`",
    )
}

fn table(span: super::Span, table: Table) -> Entry {
    let value = Value::Table(table);
    let node = Node { value, span };
    let key_span = span;
    Entry { key_span, node }
}

/// Says where the broker is, if the file says where it listens.
fn broker(root: &mut Table, world: &World<'_>, native: &mut Table) {
    let (config, _) = schema::read(&resolved(root, world), world.directory, world.outside);
    let listeners = root.shift_remove(LISTENERS);
    if let Some(broker) = root.shift_remove("broker") {
        native.insert("broker".to_owned(), broker);
    }
    let Some(listeners) = listeners else { return };
    let span = listeners.key_span;
    let broker = native.entry("broker".to_owned());
    let broker = broker.or_insert_with(|| table(span, Table::new()));
    if let Value::Table(broker) = &mut broker.node.value {
        let value = Value::String(config.broker.url.to_string());
        let node = Node { value, span };
        let key_span = span;
        let url = broker.entry("url".to_owned());
        url.or_insert(Entry { key_span, node });
    }
}

fn leave_sections(root: &mut Table, notes: &mut Notes) {
    let theirs: Vec<String> = root
        .keys()
        .filter(|key| nanomq::SECTIONS.contains(&key.as_str()))
        .cloned()
        .collect();
    for key in &theirs {
        root.shift_remove(key);
    }
    if !theirs.is_empty() {
        let theirs = theirs.join(", ");
        let text = format!("What is the broker's stays with the broker: {theirs}.");
        notes.different.push(text);
    }
}

fn webhook(keys: &mut Table, origin: Origin, notes: &mut Notes) {
    if let Some(mut timeout) = keys.shift_remove("cancel_timeout") {
        if let Value::Number(ms) = &timeout.node.value {
            timeout.node.value = Value::String(format!("{ms}ms"));
        }
        let text = "`cancel_timeout` was for connecting and for writing each; `timeout` is for the whole attempt, answer included";
        notes.doubtful.push(Note::new(timeout.key_span, text));
        keys.entry("timeout".to_owned()).or_insert(timeout);
    }
    if let Some(ssl) = keys.shift_remove("ssl") {
        keys.entry("tls".to_owned()).or_insert(ssl);
    }
    if let Some(headers) = keys.get_mut("headers") {
        self::headers(headers, notes);
    }
    tls(keys, notes);
    if let Some(url) = keys.get_mut("url") {
        self::url(url, notes);
    }
    let encoding = match keys.get("body").map(|entry| &entry.node.value) {
        Some(Value::Table(body)) => body.get("encoding"),
        _ => None,
    };
    let is_base62 = |entry: &&Entry| matches!(&entry.node.value, Value::String(text) if text.eq_ignore_ascii_case("base62"));
    if let Some(encoding) = encoding.filter(is_base62) {
        let text = match origin {
            Origin::Nanomq => {
                "base62 is that of NanoMQ 0.24.9 and later; before, it was something else"
            }
            Origin::Emqx => {
                "base62 is NanoMQ's, which EMQX's is not; base64 is the same everywhere"
            }
        };
        notes.doubtful.push(Note::new(encoding.key_span, text));
    }
}

/// Numbers and such were text on their way into a header; what looks like a template went there as it is.
fn headers(entry: &mut Entry, notes: &mut Notes) {
    let Value::Table(headers) = &mut entry.node.value else {
        return;
    };
    headers.retain(|name, header| {
        let value = &mut header.node.value;
        match value {
            Value::Number(text) => *value = Value::String(std::mem::take(text)),
            Value::Bool(flag) => *value = Value::String(flag.to_string()),
            Value::String(text) if text.contains("{{") || text.contains("{%") => {
                let text = format!("`headers.{name}`: its value would be a template");
                notes.left_out.push(Note::new(header.key_span, text));
                return false;
            }
            _ => {}
        }
        true
    });
}

/// What is in braces would be a template.
fn url(entry: &mut Entry, notes: &mut Notes) {
    let Value::String(url) = &mut entry.node.value else {
        return;
    };
    if url.contains(['{', '}']) {
        *url = url.replace('{', "%7B").replace('}', "%7D");
        let text = "braces in `url` are written as %7B and %7D; as they are they would name what is known of the event";
        notes.doubtful.push(Note::new(entry.key_span, text));
    }
}

fn is_https(webhook: &Table) -> bool {
    matches!(webhook.get("url").map(|entry| &entry.node.value),
        Some(Value::String(url)) if url.to_ascii_lowercase().starts_with("https:"))
}

fn tls(keys: &mut Table, notes: &mut Notes) {
    if !is_https(keys)
        && let Some(tls) = keys.shift_remove("tls")
    {
        let text = "`tls`: it has no effect, as `url` does not begin with https://";
        return notes.left_out.push(Note::new(tls.key_span, text));
    }
    let Some(Value::Table(tls)) = keys.get_mut("tls").map(|entry| &mut entry.node.value) else {
        return;
    };
    if let Some(name) = tls.shift_remove("server_name_indication") {
        match &name.node.value {
            Value::String(text) if !matches!(text.as_str(), "true" | "false" | "disable") => {
                tls.entry("server_name".to_owned()).or_insert(name);
            }
            _ => {
                let text = "`server_name_indication`: the name of the receiver is looked at whenever `verify` is true";
                notes.left_out.push(Note::new(name.key_span, text));
            }
        }
    }
    for key in FILES {
        let Some(file) = tls.get(key) else { continue };
        if matches!(&file.node.value, Value::String(path) if !path.starts_with('/')) {
            let text = format!(
                "`{key}` is relative: it begins at the folder of the file in which this is"
            );
            notes.doubtful.push(Note::new(file.key_span, text));
        }
    }
}

/// Notes what the receiver will notice.
pub(super) fn differences(native: &Table, origin: Origin, notes: &mut Notes) {
    let Some(webhook) = find(native, &["webhooks", WEBHOOK]) else {
        return;
    };
    let different = &mut notes.different;
    different.push(
        "What the receiver does not take is posted again, with the same webhook-id, until it is taken or given up; see `retry`."
            .to_owned(),
    );
    different.extend(verification(webhook));
    let has_content_type = webhook.get("headers").is_some_and(|entry| {
        matches!(&entry.node.value, Value::Table(headers)
            if headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")))
    });
    match origin {
        Origin::Nanomq => {
            if !has_content_type {
                different.push("Requests have content-type: application/json; NanoMQ's had none.".to_owned());
            }
            different.push("`reason` says why a client left; NanoMQ always said \"normal\".".to_owned());
        }
        Origin::Emqx => different.push(
            "Bodies have NanoMQ's keys, which are most of EMQX's; `body.format = \"json\"` has more, and a template has any."
                .to_owned(),
        ),
    }
    let events = match webhook.get("events").map(|entry| &entry.node.value) {
        Some(Value::Array(events)) => events.as_slice(),
        _ => &[],
    };
    let says = |event: &Node, key: &str, is_it: &dyn Fn(&str) -> bool| match &event.value {
        Value::Table(event) => match event.get(key).map(|entry| &entry.node.value) {
            Some(Value::String(text)) => is_it(text),
            _ => key == "topic",
        },
        _ => false,
    };
    let is_message = |event: &&Node| {
        says(event, "event", &|name| {
            name.eq_ignore_ascii_case("on_message_publish")
        })
    };
    let is_wide = |event: &Node| says(event, "topic", &|topic| topic.starts_with(['#', '+']));
    let messages: Vec<&Node> = events.iter().filter(is_message).collect();
    if !messages.is_empty() {
        different.push(
            "Who published a message is known only with mqhook's plugin for Mosquitto; otherwise from_client_id is null."
                .to_owned(),
        );
    }
    if messages.into_iter().any(is_wide) {
        different.push(
            "`#` and `+` at the start of a filter do not match topics that begin with `$`; name those in a rule of their own."
                .to_owned(),
        );
    }
}

/// Says that the receiver's certificate counts, unless it is said whether it does.
fn verification(webhook: &Table) -> Option<String> {
    let is_said = find(webhook, &["tls"]).is_some_and(|tls| tls.contains_key("verify"));
    let text = "The receiver's certificate is verified, which was not so without `verify`; `tls.cacertfile` names who may sign it, if nobody does whom this host trusts.";
    (is_https(webhook) && !is_said).then(|| text.to_owned())
}

fn find<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    let Some((first, rest)) = path.split_first() else {
        return Some(table);
    };
    match &table.get(*first)?.node.value {
        Value::Table(inner) => find(inner, rest),
        _ => None,
    }
}
