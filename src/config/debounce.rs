//! The key `debounce` of rules.

use std::time::Duration;

use super::problem::Problem;
use super::section::Section;
use super::value::{Node, Value};
use super::{Config, Webhook};
use crate::event::Kind;
use crate::rule::Rule;
use crate::spool::Backend;

const SECOND: Duration = Duration::from_secs(1);

/// The longest time; what is held back is on disk and counts as waiting.
const LONGEST: Duration = Duration::from_hours(24);

/// Kinds that tell of clients that leave and return.
const KINDS: [Kind; 3] = [
    Kind::ClientConnected,
    Kind::ClientDisconnected,
    Kind::DeviceStatusChanged,
];

/// Reads it; none for 0s.
pub(super) fn read(section: &mut Section<'_>, kind: Option<Kind>) -> Option<Duration> {
    let debounce = section.duration("debounce", Duration::ZERO..=LONGEST);
    if let Some(kind) = kind.filter(|kind| !KINDS.contains(kind) && section.has("debounce")) {
        let message = format!("`{}` has no effect on `{kind}`", section.path("debounce"));
        let problem = Problem::error(section.span_of("debounce"), message);
        let known = KINDS.map(Kind::name).join(", ");
        section.report(problem.help(format!("remove it: it is for {known}")));
    }
    debounce.filter(|debounce| *debounce >= SECOND / 1_000)
}

/// Reports rules of a webhook that do not agree on how long a client must stay away.
pub(super) fn report_mixed(section: &Section<'_>, rules: &[(Rule, &Node)]) {
    for (index, (rule, node)) in rules.iter().enumerate() {
        let differs = |(other, _): &&(Rule, &Node)| {
            let is_told_of_the_end =
                rule.kind == Kind::ClientConnected && other.kind == Kind::ClientDisconnected;
            (other.kind == rule.kind && other.debounce != rule.debounce)
                || (is_told_of_the_end && rule.debounce.is_some() && other.debounce.is_none())
        };
        let others = if rule.kind == Kind::ClientConnected {
            rules
        } else {
            &rules[..index]
        };
        if let Some((other, _)) = others.iter().find(differs) {
            let message = format!(
                "`{}` and `{}` of one webhook differ in `debounce`",
                rule.kind, other.kind
            );
            let span = match &node.value {
                Value::Table(table) => table
                    .get("debounce")
                    .map_or(node.span, |entry| entry.node.span),
                _ => node.span,
            };
            let help = "give all its rules of a kind the same, and what it is told of returns to its \
                        on_client_disconnected, too";
            section.report(Problem::error(span, message).help(help));
            return;
        }
    }
}

/// Reports a webhook for which nothing can be held back, as nothing of it is on disk.
pub(super) fn report_fleeting(section: &Section<'_>, webhook: &Webhook) {
    if !webhook.durable && debounces(webhook) {
        let message = format!(
            "`{}` is false, so that nothing can be held back for `debounce`",
            section.path("durable")
        );
        let problem = Problem::error(section.span_of("durable"), message);
        section.report(problem.help("remove it: what is held back is on disk"));
    }
}

/// Reports that nothing can be held back by a spool that is in memory.
pub(super) fn report_memory(root: &Section<'_>, config: &Config) {
    if config.spool.backend == Backend::Memory && config.webhooks.iter().any(debounces) {
        let span = root.find(&["spool", "backend"]);
        let problem = Problem::error(
            span.map(|entry| entry.node.span),
            "`debounce` needs a spool on disk",
        );
        root.report(
            problem.help("remove `spool.backend = \"memory\"`: what is held back is there"),
        );
    }
}

fn debounces(webhook: &Webhook) -> bool {
    webhook.rules.iter().any(|rule| rule.debounce.is_some())
}
