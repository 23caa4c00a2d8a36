//! The keys of a webhook: those of `NanoMQ`'s `webhook` block, and mqhook's own.

use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::problem::Problem;
use super::schema::{self, Context};
use super::section::{Complaint, Section, not_one_of, text};
use super::value::{Node, Value};
use super::{Webhook, units};
use crate::backoff::Backoff;
use crate::envelope;
use crate::event::{Kind, TopicFilter};
use crate::http::Target;
use crate::payload::{Encoding, NotUtf8};
use crate::rule::Rule;

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Headers that describe a connection or a message's length, which are not the user's to set.
const FORBIDDEN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "webhook-id",
    "webhook-timestamp",
];

/// Reads a webhook; `None` if it is disabled, or has no URL to speak of.
pub(super) fn read(mut section: Section<'_>, name: &str, context: &Context<'_>) -> Option<Webhook> {
    let enabled = section.bool("enable").unwrap_or(true);
    if !section.has("url") {
        let problem = Problem::error(
            section.span(),
            format!("`{}` is missing", section.path("url")),
        );
        section.report(
            problem.help("give the URL to post to, such as \"http://127.0.0.1:8080/hook\""),
        );
    }
    let url = section.parse("url", str::parse::<Target>);
    // Whatever else is wrong shall be reported, too, so the rest is read into a stand-in.
    let is_readable = url.is_some();
    let url = url.unwrap_or_else(|| "http://localhost".parse().expect("it is a URL"));
    let mut webhook = Webhook::new(name, url);
    http(&mut section, &mut webhook, context);
    if let Some(section) = section.section("body") {
        webhook.http.body = body(section);
    }
    if let Some(section) = section.section("retry") {
        webhook.retry = retry(section, webhook.retry);
    }
    webhook.rules = events(&mut section);
    section.finish();
    (enabled && is_readable).then_some(webhook)
}

fn http(section: &mut Section<'_>, webhook: &mut Webhook, context: &Context<'_>) {
    let http = &mut webhook.http;
    if let Some(section) = section.section("headers") {
        http.headers = headers(&section);
    }
    if let Some(size) = section.integer("pool_size", 1..=65_535) {
        http.pool_size = usize::try_from(size).unwrap_or(usize::MAX);
    }
    if let Some(timeout) = cancel_timeout(section) {
        http.timeout = timeout;
    }
    if let Some(timeout) = section.duration("timeout", MS..=DAY) {
        http.timeout = timeout;
    }
    if let Some(timeout) = section.duration("connect_timeout", MS..=DAY) {
        http.connect_timeout = timeout;
    }
    if let Some(timeout) = section.duration("idle_timeout", MS..=DAY) {
        http.idle_timeout = timeout;
    }
    let is_https = http.url.is_https();
    // NanoMQ's documentation says `tls`, its source `ssl`.
    for key in ["tls", "ssl"] {
        if let Some(section) = section.section(key) {
            http.tls = schema::tls(section, context, is_https);
        }
    }
}

/// `NanoMQ`'s name for the timeout; a number without unit is milliseconds.
fn cancel_timeout(section: &mut Section<'_>) -> Option<Duration> {
    section.read("cancel_timeout", |node| {
        let timeout = match &node.value {
            Value::Number(number) => units::duration(&format!("{number}ms"))?,
            _ => units::duration(text(node)?)?,
        };
        if (MS..=DAY).contains(&timeout) {
            Ok(timeout)
        } else {
            Err(Complaint::new("it must be from 1 ms to 1 d"))
        }
    })
}

fn headers(section: &Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, entry) in section.entries() {
        match header(name, &entry.node) {
            Ok(header) => headers.push(header),
            Err(complaint) => {
                section.report(complaint.about(&section.path(name), entry.node.span));
            }
        }
    }
    headers
}

fn header(name: &str, node: &Node) -> Result<(HeaderName, HeaderValue), Complaint> {
    let value = text(node)?;
    let name: HeaderName = name
        .parse()
        .map_err(|_| Complaint::new("it is not the name of a header"))?;
    if FORBIDDEN_HEADERS.contains(&name.as_str()) {
        return Err(Complaint::new("mqhook sets this header itself"));
    }
    let mut value = HeaderValue::from_str(value)
        .or_else(|_| HeaderValue::from_bytes(value.as_bytes()))
        .map_err(|_| Complaint::new("its value has a character that a header cannot have"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn body(mut section: Section<'_>) -> envelope::Config {
    let mut body = envelope::Config::default();
    let encodings = Encoding::ALL.map(|encoding| (encoding.as_str(), encoding));
    if let Some(encoding) = section.choice("encoding", &encodings) {
        body.encoding = encoding;
    }
    let not_utf8 = NotUtf8::ALL.map(|choice| (choice.as_str(), choice));
    if let Some(choice) = section.choice("not_utf8", &not_utf8) {
        body.not_utf8 = choice;
    }
    section.finish();
    body
}

fn retry(mut section: Section<'_>, mut retry: Backoff) -> Backoff {
    if let Some(initial) = section.duration("initial", MS..=DAY) {
        retry.initial = initial;
    }
    if let Some(max) = section.duration("max", MS..=DAY) {
        retry.max = max;
    }
    if retry.max < retry.initial {
        let problem = Problem::error(
            section.span(),
            format!(
                "`{}` is less than `{}`",
                section.path("max"),
                section.path("initial")
            ),
        );
        section.report(problem);
    }
    section.finish();
    retry
}

fn events(section: &mut Section<'_>) -> Vec<Rule> {
    let path = section.path("events");
    let Some(entry) = section.entry("events") else {
        let problem = Problem::warning(section.span(), format!("`{path}` is missing"));
        section.report(problem.help("without rules nothing is ever sent"));
        return Vec::new();
    };
    let Value::Array(elements) = &entry.node.value else {
        let complaint = Complaint::wrong_type("an array", &entry.node.value);
        section.report(complaint.about(&path, entry.node.span));
        return Vec::new();
    };
    if elements.is_empty() {
        let problem = Problem::warning(entry.node.span, format!("`{path}` is empty"));
        section.report(problem.help("without rules nothing is ever sent"));
    }
    let rules: Vec<(Rule, &Node)> = elements
        .iter()
        .enumerate()
        .filter_map(|(index, node)| Some((rule(section, index, node)?, node)))
        .collect();
    report_mixed_shares(section, &rules);
    rules.into_iter().map(|(rule, _)| rule).collect()
}

fn rule(parent: &Section<'_>, index: usize, node: &Node) -> Option<Rule> {
    let name = format!("events[{index}]");
    let Value::Table(table) = &node.value else {
        let complaint = Complaint::wrong_type("a table", &node.value)
            .help("write { event = \"on_message_publish\", topic = \"a/+\" }");
        parent.report(complaint.about(&parent.path(&name), node.span));
        return None;
    };
    let mut section = parent.part(&name, table, node.span);
    if !section.has("event") {
        let message = format!("`{}` is missing", section.path("event"));
        section.report(Problem::error(node.span, message));
    }
    let kind = section.read("event", |node| {
        let text = text(node)?;
        text.parse()
            .map_err(|()| not_one_of(text, Kind::ALL.iter().map(|kind| kind.name())))
    });
    let topic = match section.has("topic") {
        true => section.parse("topic", |text| TopicFilter::try_from(text)),
        false => Some(TopicFilter::all()),
    };
    section.finish();
    Some(Rule {
        kind: kind?,
        topic: topic?,
    })
}

/// A message that comes over a shared subscription and over another one comes twice, and one
/// webhook would get it twice.
fn report_mixed_shares(section: &Section<'_>, rules: &[(Rule, &Node)]) {
    for (index, (rule, node)) in rules.iter().enumerate() {
        let overlap = rules[..index].iter().find(|(other, _)| {
            rule.kind == Kind::MessagePublish
                && other.kind == rule.kind
                && other.topic.group() != rule.topic.group()
                && other.topic.overlaps(&rule.topic)
        });
        if let Some((other, _)) = overlap {
            let message = format!(
                "`{}` and `{}` overlap, and one of them is shared: messages would come twice",
                rule.topic, other.topic
            );
            let problem = Problem::error(node.span, message);
            section.report(problem.help("give both the same `$share/<group>/`, or none"));
        }
    }
}
