//! `mqhook status`.

mod next;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use http::Uri;
use serde_json::{Value, json};

use super::api_client::{Access, Client, Error};
use super::output::{Output, Record, Table, count, escape, show_size};
use crate::http::query;

/// The most webhooks of one answer.
const PAGE: &str = "500";

/// The most webhooks that are asked for.
const MOST_PAGES: usize = 40;

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
pub(super) struct Arguments {
    #[command(flatten)]
    access: Access,

    /// Write one JSON object, in a line.
    #[arg(long)]
    json: bool,
}

const KEYS: &str = "\
With --json the object has the keys `ready`, `status` (what GET /status answers), `webhooks` (what
GET /webhooks answers), and `next` (what to do, in words).

Exit status: 0 mqhook is ready, 1 it is not, or does not answer.";

/// Says how mqhook does, and what to do about it.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    arguments.access.with_api(async |client| {
        let state = State::of(client).await?;
        let mut output = Output::new();
        if arguments.json {
            output.line(&state.record().to_json())?;
        } else {
            state.show(&mut output)?;
        }
        output.flush()?;
        let status = if state.is_ready() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
        Ok(status)
    })
}

/// What mqhook says of itself.
#[derive(Debug)]
struct State {
    status: Value,
    webhooks: Vec<Value>,
}

impl State {
    async fn of(client: &Client) -> Result<Self> {
        let status = client.get(Uri::from_static("/status")).await?;
        let mut webhooks = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let pairs = [("limit", Some(PAGE)), ("cursor", cursor.as_deref())];
            let mut page = match client.get(query("/webhooks", &pairs)).await {
                Ok(page) => page,
                // The status says why.
                Err(Error::Refused(refusal)) if refusal.status.is_server_error() => break,
                Err(error) => return Err(error.into()),
            };
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                webhooks.extend(items);
            }
            cursor = page.get("next").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        Ok(Self { status, webhooks })
    }

    fn is_ready(&self) -> bool {
        self.status["ready"] == true
    }

    fn record(&self) -> Record {
        Record::default()
            .with("ready", self.is_ready())
            .with("status", self.status.clone())
            .with("webhooks", self.webhooks.clone())
            .with("next", json!(self.next()))
    }

    fn show(&self, output: &mut Output) -> Result<()> {
        let ready = if self.is_ready() {
            "ready"
        } else {
            "NOT READY"
        };
        let version = text(&self.status, "/version");
        let since = text(&self.status, "/started_at");
        output.line(&format!(
            "mqhook {version} is {ready}; it runs since {since}"
        ))?;
        for (label, line) in self.lines() {
            output.line(&format!("{label:10}{line}"))?;
        }
        if !self.webhooks.is_empty() {
            output.line("")?;
            let rows: Vec<_> = self.webhooks.iter().map(row).collect();
            let head = [
                "WEBHOOK",
                "STATUS",
                "WAITING",
                "DEAD LETTERS",
                "LAST TRIGGERED",
                "WHY",
            ];
            Table::new(head).write(&rows, output)?;
        }
        let next = self.next();
        if !next.is_empty() {
            output.line("\nNext:")?;
        }
        next.iter()
            .try_for_each(|line| output.line(&format!("  {line}")))
    }

    /// Returns what is said of each part, safe to write.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let status = &self.status;
        let mut lines = Vec::new();
        let dialect = status.pointer("/broker/dialect").and_then(Value::as_str);
        let dialect = dialect.map_or_else(|| "dialect not known".to_owned(), escape);
        lines.push((
            "broker",
            format!("{} ({dialect})", text(status, "/broker/url")),
        ));
        for connection in array(status, "/broker/connections") {
            let name = text(connection, "/name");
            lines.push(("", format!("{name}: {}", text(connection, "/detail"))));
        }
        let waiting = count(number(status, "/spool/waiting"), "event");
        let size = show_size(number(status, "/spool/bytes"));
        let oldest = number(status, "/spool/oldest_age_seconds");
        let oldest = if oldest > 0 {
            format!(", the oldest for {}", age(oldest))
        } else {
            String::new()
        };
        let verb = if waiting.starts_with("1 ") {
            "waits"
        } else {
            "wait"
        };
        lines.push(("spool", format!("{waiting} {verb}, {size}{oldest}")));
        if let Some(failure) = status.pointer("/spool/failure").and_then(Value::as_str) {
            lines.push(("", escape(failure)));
        }
        let total = count(number(status, "/webhooks/total"), "webhook");
        let parts = ["enabled", "disabled", "failing"]
            .map(|part| format!("{} {part}", number(status, &format!("/webhooks/{part}"))));
        lines.push(("webhooks", format!("{total}: {}", parts.join(", "))));
        let devices = number(status, "/devices/total");
        if devices > 0 {
            lines.push(("devices", devices.to_string()));
        }
        lines
    }
}

fn row(webhook: &Value) -> [String; 6] {
    let plain = |key: &str| {
        webhook
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    [
        plain("name"),
        plain("status"),
        number(webhook, "/waiting").to_string(),
        number(webhook, "/dead_letters").to_string(),
        plain("last_triggered_at"),
        plain("disabled_reason"),
    ]
}

/// Returns a text, safe to write; what is not there is `?`.
fn text(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.map_or_else(|| "?".to_owned(), escape)
}

fn number(value: &Value, pointer: &str) -> u64 {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .map_or(0, whole)
}

/// Returns a number without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

fn array<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns for how long, in the largest unit that it has two of.
fn age(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(size, _)| seconds >= 2 * size);
    unit.map_or_else(
        || format!("{seconds} s"),
        |(size, unit)| format!("{} {unit}", seconds / size),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            status: json!({
                "version": "0.1.0", "started_at": "2026-01-01T00:00:00.000Z", "ready": false,
                "broker": { "url": "mqtt://h:1883", "dialect": null, "connections": [
                    { "name": "messages", "state": "subscribed", "detail": "subscribed over MQTT 5" },
                    { "name": "lifecycle", "state": "waiting", "detail": "the broker\u{1b}[2J cannot be reached" },
                ] },
                "spool": { "waiting": 1, "bytes": 2048, "oldest_age_seconds": 7300.5, "failure": "disk\nfull" },
                "webhooks": { "total": 2, "enabled": 1, "disabled": 1, "failing": 0 },
                "dead_letters": { "total": 3 },
            }),
            webhooks: vec![
                json!({ "name": "a", "status": "enabled" }),
                json!({ "name": "b c'", "status": "disabled_due_to_errors", "disabled_reason": "410" }),
            ],
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_with_what_to_do() {
        let state = state();
        assert!(!state.is_ready());
        let lines: Vec<String> = state
            .lines()
            .into_iter()
            .map(|(label, line)| format!("{label}|{line}"))
            .collect();
        assert_eq!(
            lines,
            [
                "broker|mqtt://h:1883 (dialect not known)",
                "|messages: subscribed over MQTT 5",
                "|lifecycle: the broker\\u{1b}[2J cannot be reached",
                "spool|1 event waits, 2.0 KiB, the oldest for 2 h",
                "|disk\\nfull",
                "webhooks|2 webhooks: 1 enabled, 1 disabled, 0 failing",
            ]
        );
        assert_eq!(
            state.next(),
            [
                "mend the spool's disk: nothing is acknowledged until it can be written",
                "look at the broker: it must run, and let mqhook in and subscribe",
                "mend the receiver of b c', then: mqhook webhooks enable -- 'b c'\\'''",
                "see what was given up: mqhook dead-letters list",
            ]
        );
    }

    fn steps(status: Value, webhooks: Vec<Value>) -> Vec<String> {
        State { status, webhooks }.next()
    }

    #[test]
    fn a_full_spool_is_not_the_brokers_fault() {
        let status = json!({ "ready": false, "webhooks": { "total": 1 },
            "spool": { "oldest_age_seconds": 61.0 }, "dead_letters": { "total": 0 },
            "broker": { "advice": null, "connections": [{ "name": "messages", "state": "full" }] } });
        let webhooks = vec![
            json!({ "name": "a b", "status": "enabled", "waiting": 7 }),
            json!({ "name": "idle", "status": "enabled", "waiting": 0 }),
        ];
        assert_eq!(
            steps(status, webhooks),
            [
                "mend the receivers that events wait for, or give the spool more room: the broker keeps what comes",
                "see why events wait: mqhook deliveries list --webhook='a b'",
            ]
        );
    }

    #[test]
    fn a_broker_that_does_not_tell_and_a_token_that_sees_nothing_are_told_apart() {
        let silent = json!({ "ready": false, "webhooks": { "total": 1 },
            "broker": { "advice": "set log_type notice", "connections": [{ "state": "subscribed" }] } });
        assert_eq!(steps(silent, Vec::new()), ["set log_type notice"]);
        let of_limited = json!({ "ready": true, "webhooks": { "total": 0 } });
        assert!(steps(of_limited, Vec::new())[0].starts_with("use a token"));
        let of_admin =
            json!({ "ready": true, "webhooks": { "total": 0 }, "devices": { "total": 0 } });
        assert!(steps(of_admin, Vec::new())[0].starts_with("add a webhook"));
    }

    #[test]
    fn what_another_version_does_not_say_is_no_panic() {
        let empty = State {
            status: json!({}),
            webhooks: vec![json!(7)],
        };
        assert!(!empty.is_ready());
        assert!(empty.lines().len() > 2);
        assert!(empty.next().len() == 1, "{:?}", empty.next());
        assert_eq!(row(&json!(null))[0], "");
    }

    #[test]
    fn ages_are_for_people() {
        let check = |seconds, expected: &str| assert_eq!(age(seconds), expected);
        check(0, "0 s");
        check(119, "119 s");
        check(120, "2 min");
        check(7_199, "119 min");
        check(7_200, "2 h");
        check(u64::MAX, &format!("{} d", u64::MAX / 86_400));
    }
}
