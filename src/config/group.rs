//! Groups: `groups.<name>`, the key `group` of a webhook, and what a group makes of rules.
//!
//! A group is a scope: topics, and clients. Each of its webhooks gets a copy of every event in it: those of
//! the kinds that the group names, or of the webhook's own rules, which the scope narrows. As
//! nothing but [rules](crate::rule) comes out, groups cost an event nothing.

use std::sync::Arc;

use super::broker;
use super::complaint::{Complaint, unknown};
use super::problem::Problem;
use super::scalar::text;
use super::schema::Context;
use super::section::Section;
use super::source::Span;
use super::value::{Node, Value};
use crate::event::{Kind, KindSet, TopicFilter};
use crate::pattern::{Pattern, PatternError};
use crate::rule::{Guard, Rule};
use crate::template::Publisher;

/// The most characters of a group's name, which stands in URLs and tokens.
pub const MOST_NAME_CHARACTERS: usize = 64;

/// What a group looks like.
const EXAMPLE: &str = "write { topics = [\"plant/#\"], clients = [\"sensor-*\"] }";

/// A scope that webhooks share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Which topics messages must have that come to its webhooks; none of them shared. Default all.
    pub topics: Vec<TopicFilter>,
    /// Patterns of which the client of an event must match one; empty for any, the default. An event whose client
    /// is not known is not in the group then, be it a message that nobody can tell the publisher of. What
    /// applications publish, and notices, have no client.
    pub clients: Arc<[Pattern]>,
    /// The kinds of events that a webhook gets that names none; default `on_message_publish`.
    pub events: KindSet,
}

/// Returns whether a text can be a name that stands in a path of the API.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_dots = text.bytes().all(|byte| byte == b'.');
    !is_dots && text.len() <= MOST_NAME_CHARACTERS && text.bytes().all(is_of_name)
}

impl Group {
    /// Returns a group of everything, with the defaults.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            topics: vec![TopicFilter::all()],
            clients: Arc::default(),
            events: KindSet::of(&[Kind::MessagePublish]),
        }
    }

    /// Returns the rules of a webhook that names no events: the group's kinds, and what applications publish.
    pub(super) fn rules(&self) -> Vec<Rule> {
        let mut kinds = self.events;
        kinds.insert(Kind::ApplicationEvent);
        let rule = |kind| self.narrow(&Rule::new(kind, TopicFilter::all()), true);
        kinds.iter().flat_map(rule).collect()
    }

    /// Returns what is left of a rule within the group: one for each topic filter of the group that has
    /// something in common with the rule's. `is_anything`: the rule is for all topics, reserved ones included.
    fn narrow(&self, rule: &Rule, is_anything: bool) -> Vec<Rule> {
        let guard = self.guard(rule);
        if !rule.kind.is_message() {
            let guard = guard.into_some();
            return vec![Rule {
                guard,
                ..rule.clone()
            }];
        }
        let mut rules: Vec<Rule> = Vec::new();
        for scope in &self.topics {
            let common = if is_anything {
                Some(scope.clone())
            } else {
                rule.topic.intersection(scope)
            };
            let Some(topic) = common else { continue };
            let mut guard = guard.clone();
            if rule.kind != Kind::MessagePublish {
                guard.topic = Some(topic.clone());
            }
            let rule = Rule {
                topic,
                guard: guard.into_some(),
                ..rule.clone()
            };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    /// Returns what a rule asks of an event within the group.
    fn guard(&self, rule: &Rule) -> Guard {
        let has_client = !rule.kind.is_of_application() && !rule.kind.is_notice();
        let mut guard = rule.guard.as_deref().cloned().unwrap_or_default();
        if rule.kind.is_of_application() {
            guard.group = Some(self.name.as_str().into());
        }
        if !self.clients.is_empty() && has_client {
            guard.scope = Some(Arc::clone(&self.clients));
        }
        guard
    }
}

/// Reads `groups`.
pub(super) fn read_all(section: &Section<'_>, context: &Context<'_>) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, entry) in section.entries() {
        let Value::Table(table) = &entry.node.value else {
            let complaint = Complaint::wrong_type("a table", &entry.node.value).help(EXAMPLE);
            section.report(complaint.about(&section.path(name), entry.node.span));
            continue;
        };
        if !is_name(name) {
            let complaint = Complaint::new("it is no name of a group").help(NAME_HELP);
            section.report(complaint.about(&section.path(name), entry.key_span));
        }
        let part = section.part(name, table, entry.key_span);
        groups.push(read(part, name, context));
    }
    groups
}

/// What a name may be.
pub const NAME_HELP: &str =
    "a name has 1 to 64 letters, digits, `-`, `_` and `.`, and something beside dots";

/// Reads a group.
pub(super) fn read(mut section: Section<'_>, name: &str, context: &Context<'_>) -> Group {
    let mut group = Group::new(name);
    if let Some(topics) = list(&mut section, "topics", "[\"plant/#\"]", topic) {
        group.topics = topics.into_iter().map(|(topic, _)| topic).collect();
    }
    if let Some(clients) = list(&mut section, "clients", "[\"sensor-*\"]", pattern) {
        group.clients = clients.into_iter().map(|(pattern, _)| pattern).collect();
    }
    if let Some(events) = list(&mut section, "events", "[\"on_message_publish\"]", kind) {
        group.events = KindSet::default();
        for (kind, span) in events {
            group.events.insert(kind);
            context.wanted.borrow_mut().push((kind, span));
        }
    }
    section.finish();
    group
}

/// Reads a list that has elements, if it is written.
fn list<T>(
    section: &mut Section<'_>,
    key: &'static str,
    example: &str,
    read: impl Fn(&Node) -> Result<T, Complaint>,
) -> Option<Vec<(T, Span)>> {
    let entry = section.entry(key)?;
    let help = format!("write a list such as {example}, or leave it out");
    match &entry.node.value {
        Value::Array(elements) if elements.is_empty() => {
            let complaint = Complaint::new("it is empty, so that nothing is in the group");
            section.report_about(key, complaint.help(help));
            None
        }
        Value::Array(elements) => Some(section.elements(key, elements, read)),
        other => {
            section.report_about(key, Complaint::wrong_type("a list", other).help(help));
            None
        }
    }
}

fn topic(node: &Node) -> Result<TopicFilter, Complaint> {
    let filter = broker::topic_filter(text(node)?)?;
    match filter.group() {
        None => Ok(filter),
        Some(_) => Err(Complaint::new("a scope cannot be shared").help(format!(
            "write \"{}\"; rules of webhooks may be shared",
            filter.as_str()
        ))),
    }
}

fn pattern(node: &Node) -> Result<Pattern, Complaint> {
    let pattern = Pattern::try_from(text(node)?);
    pattern.map_err(|error: PatternError| Complaint::new(error.to_string()))
}

fn kind(node: &Node) -> Result<Kind, Complaint> {
    let text = text(node)?;
    let known = || Kind::ALL.iter().map(|kind| kind.name());
    text.parse().map_err(|()| unknown("event", text, known()))
}

/// Warns of a webhook that gets no message, since nobody can tell whether one is in its group.
pub(super) fn report_unknown_publisher(
    section: &Section<'_>,
    group: &Group,
    rules: &[Rule],
    publisher: Publisher,
) {
    let takes_messages = rules.iter().any(|rule| rule.kind == Kind::MessagePublish);
    if publisher == Publisher::Told || group.clients.is_empty() || !takes_messages {
        return;
    }
    let message = format!(
        "`{}`: no message is in the group `{}`, which is for some `clients` only",
        section.path("group"),
        group.name
    );
    let problem = Problem::warning(section.span_of("group"), message);
    section.report(problem.help("brokers do not tell who published a message, but Mosquitto with mqhook's plugin does: set `broker.plugin_key_file`, or have a group without `clients` and with `topics` of its own"));
}

/// Reads which group a webhook is of.
pub(super) fn of_webhook(section: &mut Section<'_>, context: &Context<'_>) -> Option<Group> {
    section.parse("group", |text| {
        let groups = context.groups.borrow();
        let found = groups.iter().find(|group| group.name == text).cloned();
        found.ok_or_else(|| {
            if groups.is_empty() {
                let complaint = Complaint::new(format!("there is no group `{text}`"));
                return complaint.help("add a table `groups.<name>` with `topics`");
            }
            let known = groups.iter().map(|group| group.name.as_str());
            unknown("group", text, known)
        })
    })
}

/// Narrows the rules of a webhook, each with the place where it is written, to its group.
pub(super) fn narrow_all(
    group: &Group,
    rules: &[(Rule, Span)],
    section: &Section<'_>,
) -> Vec<Rule> {
    let mut all = Vec::new();
    for (rule, span) in rules {
        // Without a filter, a rule is for what is in the group.
        let is_anything = rule.topic == TopicFilter::all();
        let narrowed = group.narrow(rule, is_anything);
        if narrowed.is_empty() {
            let topics: Vec<&str> = group.topics.iter().map(TopicFilter::as_str).collect();
            let message = format!(
                "`{}`: no topic of `{}` is in the group `{}`",
                section.path("events"),
                rule.topic,
                group.name
            );
            let help = format!("the group's topics are {}", topics.join(", "));
            section.report(Problem::error(*span, message).help(help));
        }
        all.extend(narrowed);
    }
    all
}

/// Warns of rules for what is published to groups only.
pub(super) fn report_ungrouped(section: &Section<'_>, rules: &[(Rule, Span)]) {
    let application = rules.iter().find(|(rule, _)| rule.kind.is_of_application());
    if let Some((rule, span)) = application
        && !section.has("group")
    {
        let message = format!("`{}`: `{}` never comes", section.path("events"), rule.kind);
        let help = "applications publish to groups: set `group`";
        section.report(Problem::warning(*span, message).help(help));
    }
}
