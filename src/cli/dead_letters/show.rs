//! `mqhook dead-letters show`.

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::output::{Output, Record, count, escape};
use super::super::place::Spool;
use super::super::time;
use super::list;
use crate::event::{Detail, Event, Properties, Reason, Status};
use crate::spool::store::{DeadLetter, DeadLetterId};
use crate::terminal::is_hostile;

pub(super) const KEYS: &str = "\
Keys of the JSON object: those of `mqhook dead-letters list`, and
  event_time            when it happened, by the broker's clock where the broker tells, RFC 3339
  client_id, username, address    of the client that it is about; null: the broker did not tell
of messages:
  qos, retain           as the message came
  protocol_version      of the publisher, if the broker tells
  payload_encoding      text, or base64 for a payload that is not UTF-8
  payload               the payload
of messages, those that an MQTT 5 publisher gave:
  content_type, response_topic, correlation_data (base64), payload_is_text, message_expiry_s,
  user_properties       a list of names and values
of connections:
  protocol_version, keep_alive_s, clean_start, refused
of ends of connections and sessions:
  reason, connected_at
of subscriptions:
  topic_filter, qos
of on_delivery_failed and on_webhook_disabled:
  about_webhook, about_event_id, about_kind, about_attempts, reason
of on_device_provisioned, on_device_status_changed and on_device_decommissioned:
  status, previous_status, reason, first_seen, last_seen";

/// Writes everything as an object.
pub(super) fn json(spool: &Spool, output: &mut Output, id: DeadLetterId) -> Result<()> {
    let (letter, event) = find(spool, id)?;
    let record = match payload(&event) {
        None => record(&letter, &event),
        Some(payload) => {
            let (encoding, text) = match std::str::from_utf8(payload) {
                Ok(text) => ("text", text.to_owned()),
                Err(_) => ("base64", STANDARD.encode(payload)),
            };
            record(&letter, &event)
                .with("payload_encoding", encoding)
                .with("payload", text)
        }
    };
    output.line(&record.to_json())
}

/// Writes everything for people, the payload last.
pub(super) fn text(spool: &Spool, output: &mut Output, id: DeadLetterId) -> Result<()> {
    let (letter, event) = find(spool, id)?;
    for line in record(&letter, &event).to_lines() {
        output.line(&line)?;
    }
    match payload(&event) {
        None => Ok(()),
        Some([]) => output.line("\nthe payload is empty"),
        Some(payload) => {
            let (encoding, text) = readable(payload);
            let size = count(payload.len() as u64, "byte");
            output.line(&format!("\npayload ({size}, {encoding}):\n{text}"))
        }
    }
}

fn find(spool: &Spool, id: DeadLetterId) -> Result<(DeadLetter, Event)> {
    match spool.store.dead_letter(id)? {
        Some(found) => Ok(found),
        None => bail!(
            "find dead letter {}; it may have been replayed, dropped or too old",
            id.0
        ),
    }
}

fn payload(event: &Event) -> Option<&[u8]> {
    match &event.detail {
        Detail::Message(message) => Some(&message.payload),
        _ => None,
    }
}

/// Returns a payload as it may be written to a terminal, and how that was done.
fn readable(payload: &[u8]) -> (&'static str, String) {
    let is_shown = |character: char| !is_hostile(character) || matches!(character, '\n' | '\t');
    match std::str::from_utf8(payload) {
        Ok(text) if text.chars().all(is_shown) => ("text", text.to_owned()),
        Ok(text) => {
            let lines = text.split('\n').map(escape).collect::<Vec<_>>();
            ("text, control characters escaped", lines.join("\n"))
        }
        Err(_) => ("base64, as it is not UTF-8", STANDARD.encode(payload)),
    }
}

/// Returns all but the payload, under the keys of [`KEYS`].
fn record(letter: &DeadLetter, event: &Event) -> Record {
    list::record(letter)
        .with("event_time", time::show(event.time))
        .with("client_id", event.client.id.as_deref())
        .with("username", event.client.username.as_deref())
        .with("address", event.client.address.as_deref())
        .and(detail(&event.detail))
}

fn detail(detail: &Detail) -> Record {
    let record = Record::default();
    match detail {
        Detail::Connection(connection) => record
            .with("protocol_version", connection.protocol_version)
            .with("keep_alive_s", connection.keep_alive)
            .with("clean_start", connection.clean_start)
            .with("refused", connection.refused.map(Reason::name)),
        Detail::End(end) => record
            .with("reason", end.reason.name())
            .with("connected_at", end.connected_at.map(time::show)),
        Detail::Subscription(subscription) => record
            .with("topic_filter", &*subscription.topic_filter)
            .with("qos", subscription.qos),
        Detail::Message(message) => {
            let mut record = record
                .with("qos", message.qos)
                .with("retain", message.retain);
            if let Some(version) = message.protocol_version {
                record = record.with("protocol_version", version);
            }
            record.and(properties(message.properties.as_deref()))
        }
        Detail::Notice(notice) => record
            .with("about_webhook", &*notice.webhook)
            .with("about_event_id", notice.event.map(|(id, _)| id.to_string()))
            .with("about_kind", notice.event.map(|(_, kind)| kind.name()))
            .with("about_attempts", notice.attempts)
            .with("reason", &*notice.reason),
        Detail::Device(device) => record
            .with("status", device.status.name())
            .with("previous_status", device.previous.map(Status::name))
            .with("reason", device.reason.map(Reason::name))
            .with("first_seen", time::show(device.first_seen))
            .with("last_seen", time::show(device.last_seen)),
    }
}

/// Returns the properties that there are.
fn properties(properties: Option<&Properties>) -> Record {
    let mut record = Record::default();
    let Some(properties) = properties else {
        return record;
    };
    let texts = [
        ("content_type", &properties.content_type),
        ("response_topic", &properties.response_topic),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            record = record.with(key, &**text);
        }
    }
    if let Some(data) = &properties.correlation_data {
        record = record.with("correlation_data", STANDARD.encode(data));
    }
    if let Some(is_text) = properties.is_text {
        record = record.with("payload_is_text", is_text);
    }
    if let Some(expiry_s) = properties.expiry_s {
        record = record.with("message_expiry_s", expiry_s);
    }
    if properties.user.is_empty() {
        return record;
    }
    let user = properties.user.iter();
    let user: Vec<_> = user
        .map(|(name, value)| serde_json::json!({"name": **name, "value": **value}))
        .collect();
    record.with("user_properties", user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_shown_as_they_are_where_that_is_safe() {
        let check = |payload: &[u8], encoding: &str, expected: &str| {
            let (said, text) = readable(payload);
            assert!(said.starts_with(encoding), "{payload:?}: {said}");
            assert_eq!(text, expected);
        };
        let json = "{\n\t\"t\": \"21.5 \\u00b0C\"\n}";
        check(json.as_bytes(), "text", json);
        check(
            b"a\x1b[2J\\n\n\tb\r\n",
            "text, control",
            "a\\u{1b}[2J\\\\n\n\\tb\\r\n",
        );
        check(b"\xff\x00", "base64", "/wA=");
    }
}
