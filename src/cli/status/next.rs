//! What to do about the state that mqhook is in.

use serde_json::Value;

use super::{State, array, number, text};
use crate::cli::output::escape;

/// How long an event waits until somebody should look why, in seconds.
const LONG: u64 = 60;

impl State {
    /// Returns what to do, the most urgent first; safe to write, and to copy where it is a command.
    pub(super) fn next(&self) -> Vec<String> {
        let mut next = Vec::new();
        if self
            .status
            .pointer("/spool/failure")
            .is_some_and(|failure| !failure.is_null())
        {
            next.push(
                "mend the spool's disk: nothing is acknowledged until it can be written".to_owned(),
            );
        }
        let connections = array(&self.status, "/broker/connections");
        let is = |connection: &Value, state: &str| connection["state"] == state;
        if connections.iter().any(|it| is(it, "full")) {
            next.push(
                "mend the receivers that events wait for, or give the spool more room: the broker keeps what comes"
                    .to_owned(),
            );
        }
        let is_up = |connection: &Value| is(connection, "subscribed") || is(connection, "full");
        if !connections.iter().all(is_up) {
            next.push(
                "look at the broker: it must run, and let mqhook in and subscribe".to_owned(),
            );
        }
        if let Some(advice) = self
            .status
            .pointer("/broker/advice")
            .and_then(Value::as_str)
        {
            next.push(escape(advice));
        }
        let disabled = self
            .webhooks
            .iter()
            .filter(|webhook| webhook["status"] == "disabled_due_to_errors");
        for webhook in disabled {
            let name = text(webhook, "/name");
            next.push(format!(
                "mend the receiver of {name}, then: mqhook webhooks enable {}",
                word(&name)
            ));
        }
        if number(&self.status, "/spool/oldest_age_seconds") >= LONG {
            let waits = |webhook: &&Value| {
                webhook["status"] == "enabled" && number(webhook, "/waiting") > 0
            };
            next.extend(self.webhooks.iter().filter(waits).map(|webhook| {
                let name = shell_word(&text(webhook, "/name"));
                format!("see why events wait: mqhook deliveries list --webhook={name}")
            }));
        }
        if number(&self.status, "/dead_letters/total") > 0 {
            next.push("see what was given up: mqhook dead-letters list".to_owned());
        }
        if number(&self.status, "/webhooks/total") == 0 {
            let is_limited = self.status.get("devices").is_none();
            let add = "add a webhook: nothing is posted yet";
            let ask = "use a token that concerns more: no webhook runs that this one does";
            next.push(if is_limited { ask } else { add }.to_owned());
        }
        if next.is_empty() && !self.is_ready() {
            next.push("see what mqhook logs".to_owned());
        }
        next
    }
}

/// Returns a text as one argument, and no option, of a shell's command.
fn word(text: &str) -> String {
    match shell_word(text) {
        word if word == text && !text.starts_with('-') => word,
        word => format!("-- {word}"),
    }
}

/// Returns a text as one word of a shell.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
