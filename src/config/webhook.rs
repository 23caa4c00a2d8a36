//! The keys of a webhook: those of `NanoMQ`'s `webhook` block, and mqhook's own.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;

use super::complaint::{Complaint, unknown};
use super::problem::Problem;
use super::scalar::text;
use super::schema::{self, Context, UseOfTls};
use super::section::Section;
use super::source::Span;
use super::templates::{self, MethodKey, mistake};
use super::value::{Node, Value};
use super::{
    Group, Webhook, auth, body, broker, debounce, group, guard, nanomq, network, retry, secret,
    shaping, sign,
};
use crate::event::{Kind, TopicFilter};
use crate::http::{Target, TargetError, Version};
use crate::rule::Rule;
use crate::template::url;

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_hours(24);

/// What follows from having none.
const NO_RULES: &str = "without rules this webhook never sends anything";

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
    let is_enabled = section.bool("enable").unwrap_or(true);
    section.require(
        "url",
        "give the URL to post to, such as \"http://127.0.0.1:8080/hook\"",
    );
    let url = section.parse("url", target_or_template);
    // Whatever else is wrong shall be reported, too, so the rest is read into a stand-in.
    let is_readable = url.is_some();
    let stand_in = || ("http://localhost".parse().expect("it is a URL"), None);
    let (url, path) = url.unwrap_or_else(stand_in);
    let mut webhook = Webhook::new(name, url);
    webhook.http.templates.path = path;
    http(&mut section, &mut webhook, context);
    let proxies = network::of_webhook(&mut section, &mut webhook.http, context);
    if let Some(section) = section.section_or("sign", "write { secret_file = \"signing-secret\" }")
    {
        webhook.http.sign = sign::read(section, context);
    }
    if let Some(section) = section.section_or(
        "auth",
        "write { type = \"bearer\", token_file = \"hook-token\" }",
    ) {
        webhook.http.auth = auth::read(section, context);
    }
    auth::report_doubled(&section, &webhook.http);
    proxies.of_tokens(&section, &mut webhook.http, context);
    if let Some(section) = section.section("body") {
        webhook.http.body = body::read(section);
    }
    if let Some(durable) = section.bool("durable") {
        webhook.durable = durable;
    }
    if let Some(section) = section.section("retry") {
        retry::read(section, &mut webhook);
    }
    if let Some(section) = section.section("breaker") {
        retry::breaker(section, &mut webhook.breaker);
    }
    if let Some(section) = section.section("failure_limit") {
        retry::failure_limit(section, &mut webhook.failure_limit);
    }
    shaping::read(&mut section, &mut webhook);
    let wanted = context.wanted.borrow().len();
    let group = group::of_webhook(&mut section, context);
    webhook.rules = events(&mut section, group.as_ref(), context);
    if let Some(group) = &group {
        group::report_unknown_publisher(&section, group, &webhook.rules, context.publisher);
    }
    webhook.group = group.map(|group| group.name);
    if !is_enabled {
        context.wanted.borrow_mut().truncate(wanted);
    }
    templates::report_missing(&section, &webhook, context.publisher);
    shaping::report_unbatchable(&section, &webhook.http);
    sign::report_unverifiable(&section, &webhook.http);
    auth::report_exposed(&section, &webhook.http);
    debounce::report_fleeting(&section, &webhook);
    section.finish();
    (is_enabled && is_readable).then_some(webhook)
}

fn target_or_template(text: &str) -> Result<(Target, Option<url::PathTemplate>), Complaint> {
    let split = url::split(text).map_err(|error| mistake(&error))?;
    target(&split.stand_in)?;
    Ok((target(&split.fixed)?, split.path))
}

pub(super) fn target(text: &str) -> Result<Target, Complaint> {
    text.parse().map_err(|error: TargetError| {
        let complaint = Complaint::new(error.to_string());
        let guess = format!("http://{text}");
        let is_without_scheme = !text.contains("://");
        if is_without_scheme && secret::is_in(text) {
            complaint.help("begin with http:// or https://")
        } else if is_without_scheme && guess.parse::<Target>().is_ok() {
            complaint.help(format!("did you mean `{guess}`?"))
        } else {
            complaint
        }
    })
}

fn http(section: &mut Section<'_>, webhook: &mut Webhook, context: &Context<'_>) {
    let http = &mut webhook.http;
    if let Some(section) = section.section("headers") {
        http.headers = headers(&section);
        http.templates.headers = templates::take_headers(&section, &mut http.headers);
    }
    match section.parse("method", templates::method) {
        Some(MethodKey::Fixed(method)) => http.method = method,
        Some(MethodKey::Made(template)) => http.templates.method = Some(template),
        None => {}
    }
    if let Some(size) = section.integer("pool_size", 1..=65_535) {
        http.pool_size = usize::try_from(size).unwrap_or(usize::MAX);
    }
    let versions = [
        ("1.1", Version::Http11),
        ("2", Version::Http2),
        ("auto", Version::Auto),
    ];
    if let Some(version) = section.choice("http_version", &versions) {
        http.version = version;
    }
    // NanoMQ's name for it; there, a number is milliseconds.
    section.report_overridden("cancel_timeout", "timeout");
    if let Some(timeout) = section.milliseconds("cancel_timeout", MS..=DAY) {
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
    let use_of_tls = match http.url.is_https() {
        true => UseOfTls::Used,
        false if auth::is_secured(section) => UseOfTls::Used,
        false if section.name() == nanomq::WEBHOOK => UseOfTls::Foreseen,
        false => UseOfTls::Unused,
    };
    // NanoMQ's documentation says `tls`, its source `ssl`.
    section.report_overridden("ssl", "tls");
    for key in ["ssl", "tls"] {
        if let Some(mut section) = section.section(key) {
            let server_name = section.parse("server_name", server_name);
            http.tls = schema::tls(section, context, use_of_tls);
            http.tls.server_name = server_name;
        }
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, &'static str> {
    let name = ServerName::try_from(text.to_owned());
    name.map_err(|_| "it must be a host name or an IP address")
}

fn headers(section: &Section<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (key, entry) in section.entries() {
        let path = section.path(key);
        let is_known = |name: &HeaderName| headers.iter().any(|(known, _)| known == name);
        let name = match header_name(key) {
            Ok(name) if is_known(&name) => Err(Complaint::new("this header is set twice")
                .help("remove one of the two; case makes no difference")),
            result => result,
        };
        let value = header_value(&entry.node);
        match (name, value) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            (Err(complaint), _) => section.report(complaint.about(&path, entry.key_span)),
            (_, Err(complaint)) => section.report(complaint.about(&path, entry.node.span)),
        }
    }
    headers
}

pub(super) fn header_name(key: &str) -> Result<HeaderName, Complaint> {
    let name: HeaderName = key.parse().map_err(|_| {
        Complaint::new("it is not the name of a header")
            .help("a name has letters, digits and `-`, such as `x-api-key`")
    })?;
    if FORBIDDEN_HEADERS.contains(&name.as_str()) {
        return Err(Complaint::new("mqhook sets this header itself").help("remove it"));
    }
    Ok(name)
}

fn header_value(node: &Node) -> Result<HeaderValue, Complaint> {
    let text = text(node)?;
    let mut value = HeaderValue::from_str(text)
        .or_else(|_| HeaderValue::from_bytes(text.as_bytes()))
        .map_err(|_| Complaint::new("its value has a line break or another control character"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn events(section: &mut Section<'_>, group: Option<&Group>, context: &Context<'_>) -> Vec<Rule> {
    let path = section.path("events");
    let Some(entry) = section.entry("events") else {
        if section.has("group") {
            return group.map_or_else(Vec::new, Group::rules);
        }
        let problem = Problem::warning(section.span(), format!("`{path}` is missing"));
        section.report(problem.help(NO_RULES));
        return Vec::new();
    };
    let Value::Array(elements) = &entry.node.value else {
        let complaint = Complaint::wrong_type("an array", &entry.node.value)
            .help("write [ { event = \"on_message_publish\", topic = \"a/+\" } ]");
        section.report(complaint.about(&path, entry.node.span));
        return Vec::new();
    };
    if elements.is_empty() {
        let problem = Problem::warning(entry.node.span, format!("`{path}` is empty"));
        section.report(problem.help(NO_RULES));
    }
    let rules: Vec<(Rule, &Node)> = elements
        .iter()
        .enumerate()
        .filter_map(|(index, node)| Some((rule(section, index, node, context)?, node)))
        .collect();
    report_mixed_shares(section, &rules);
    debounce::report_mixed(section, &rules);
    let place = |(rule, node): (Rule, &Node)| (rule, topic_span(node));
    let rules: Vec<(Rule, Span)> = rules.into_iter().map(place).collect();
    group::report_ungrouped(section, &rules);
    match group {
        Some(group) => group::narrow_all(group, &rules, section),
        None => rules.into_iter().map(|(rule, _)| rule).collect(),
    }
}

fn rule(parent: &Section<'_>, index: usize, node: &Node, context: &Context<'_>) -> Option<Rule> {
    let name = format!("events[{index}]");
    let Value::Table(table) = &node.value else {
        let example = match &node.value {
            Value::String(text) => format!("{{ event = \"{text}\" }}"),
            _ => "{ event = \"on_message_publish\", topic = \"a/+\" }".to_owned(),
        };
        let complaint =
            Complaint::wrong_type("a table", &node.value).help(format!("write {example}"));
        parent.report(complaint.about(&parent.path(&name), node.span));
        return None;
    };
    let mut section = parent.part(&name, table, node.span);
    section.require("event", "name the event, such as \"on_message_publish\"");
    let kind = section.read("event", |node| {
        let text = text(node)?;
        let kind = text
            .parse()
            .map_err(|()| unknown("event", text, Kind::ALL.iter().map(|kind| kind.name())))?;
        context.wanted.borrow_mut().push((kind, node.span));
        Ok(kind)
    });
    let topic = section.parse("topic", broker::topic_filter);
    let is_bad = topic.is_none() && section.has("topic");
    if let Some(kind) = kind.filter(|kind: &Kind| !kind.is_message() && section.has("topic")) {
        let message = format!("`{}` has no effect on `{kind}`", section.path("topic"));
        let problem = Problem::warning(section.span_of("topic"), message);
        section.report(problem.help("remove it: only messages have topics"));
    }
    let guard = guard::read(&mut section, kind, context.publisher);
    let debounce = debounce::read(&mut section, kind);
    section.finish();
    let kind = kind.filter(|_| !is_bad)?;
    let topic = topic.unwrap_or_else(TopicFilter::all);
    let mut guard = guard?;
    if kind.is_message() && kind != Kind::MessagePublish && topic != TopicFilter::all() {
        guard.topic = Some(topic.clone());
    }
    Some(Rule {
        kind,
        topic,
        guard: guard.into_some(),
        debounce,
    })
}

/// A message that comes over a shared subscription and over another one comes twice, and one
/// webhook would get it twice.
fn report_mixed_shares(section: &Section<'_>, rules: &[(Rule, &Node)]) {
    if rules.iter().all(|(rule, _)| rule.topic.group().is_none()) {
        return;
    }
    for (index, (rule, node)) in rules.iter().enumerate() {
        let overlap = rules[..index].iter().find(|(other, _)| {
            rule.kind == Kind::MessagePublish
                && other.kind == rule.kind
                && other.topic.group() != rule.topic.group()
                && other.topic.overlaps(&rule.topic)
        });
        if let Some((other, _)) = overlap {
            let message = format!(
                "`{}` and `{}` overlap, and one of them is shared: a message would come twice",
                rule.topic, other.topic
            );
            let problem = Problem::error(topic_span(node), message);
            section.report(problem.help("give both the same `$share/<group>/`, or none"));
        }
    }
}

/// Returns where the topic of a rule is written; if it is not, where the rule is.
fn topic_span(rule: &Node) -> Span {
    let Value::Table(table) = &rule.value else {
        return rule.span;
    };
    table
        .get("topic")
        .map_or(rule.span, |entry| entry.node.span)
}
