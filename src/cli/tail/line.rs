//! What comes, in one line each, for people.

use serde_json::Value;

use crate::cli::output::escape;

/// Returns an accepted event in one line.
pub(super) fn accepted(event: &Value, has_colour: bool) -> String {
    let webhooks = event["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
    let webhooks: Vec<String> = webhooks
        .iter()
        .filter_map(Value::as_str)
        .map(escape)
        .collect();
    let kind = paint(&shown(&event["kind"]), "36", has_colour);
    let mut line = format!("{} {kind}", clock(&event["time"]));
    for key in ["topic", "client_id", "username"] {
        if !event[key].is_null() {
            line = format!("{line} {}", shown(&event[key]));
        }
    }
    line = format!(
        "{line} {} B -> {}",
        shown(&event["bytes"]),
        webhooks.join(", ")
    );
    if !event["payload"].is_null() {
        line = format!("{line} {}", shown(&event["payload"]));
    }
    line
}

/// Returns an attempt in one line.
pub(super) fn attempt(attempt: &Value, has_colour: bool) -> String {
    let colour = match attempt["outcome"].as_str() {
        Some("delivered") => "32",
        Some("retry") => "33",
        _ => "31",
    };
    let outcome = paint(&shown(&attempt["outcome"]), colour, has_colour);
    let mut line = format!(
        "{} {outcome} {}",
        clock(&attempt["at"]),
        shown(&attempt["webhook"])
    );
    for key in ["kind", "topic", "status", "class", "detail"] {
        if !attempt[key].is_null() && attempt[key] != "" {
            line = format!("{line} {}", shown(&attempt[key]));
        }
    }
    let (number, latency) = (shown(&attempt["attempt"]), shown(&attempt["latency_ms"]));
    format!(
        "{line} (attempt {number}, {latency} ms, {})",
        shown(&attempt["event_id"])
    )
}

/// Returns a value, safe to write.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => escape(text),
        other => escape(&other.to_string()),
    }
}

/// Returns the time of day of a point in time.
fn clock(value: &Value) -> String {
    let time = value.as_str().and_then(|time| time.split_once('T'));
    time.map_or_else(
        || shown(value),
        |(_, time)| escape(time.trim_end_matches('Z')),
    )
}

fn paint(text: &str, colour: &str, has_colour: bool) -> String {
    if has_colour {
        format!("\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_terminal_gets_a_line_that_it_does_not_obey() {
        let event = json!({ "kind": "on_message_publish", "time": "2026-01-01T01:02:03.004Z", "topic": "a\u{1b}[2J",
            "client_id": null, "webhooks": ["w", "x"], "bytes": 7, "payload": "p\nq" });
        assert_eq!(
            accepted(&event, true),
            "01:02:03.004 \u{1b}[36mon_message_publish\u{1b}[0m a\\u{1b}[2J 7 B -> w, x p\\nq"
        );
        let ended = json!({ "at": "2026-01-01T01:02:03.004Z", "webhook": "w", "event_id": "e", "kind": "on_client_connack",
            "topic": null, "attempt": 2, "outcome": "retry", "status": 500, "class": "status_5xx", "detail": "", "latency_ms": 1.5 });
        assert_eq!(
            attempt(&ended, false),
            "01:02:03.004 retry w on_client_connack 500 status_5xx (attempt 2, 1.5 ms, e)"
        );
    }
}
