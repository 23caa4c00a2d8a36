//! Definitions in JSON, as the API takes them: the same keys, the same schema, the same problems.
//!
//! [`webhook()`] and [`group()`] read one table of a configuration. What a problem is about is told by a
//! JSON pointer (RFC 6901), as there is no file to point into.
//!
//! Who may define a webhook over the API need not be who may read this host's files, or say
//! which addresses mqhook connects to. So what would do that is refused: keys that name files, `network` and
//! `proxy`. Nor is anything taken from the environment.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

use serde_json::Value as Json;

use super::group::{self, Group};
use super::hocon::{MAX_DEPTH, Outside, System};
use super::network::Network;
use super::problem::{Problem, Severity};
use super::schema::Context;
use super::section::{Problems, Section};
use super::source::{Sources, Span};
use super::value::{Entry, Node, Table, Value};
use super::{Config, Webhook, schema, webhook};
use crate::dialect;
use crate::template::Publisher;

/// What a configuration says beside its webhooks and groups that definitions of such depend on.
#[derive(Clone)]
pub struct Surroundings {
    pub(super) directory: PathBuf,
    pub(super) network: Network,
    pub(super) publisher: Publisher,
    pub(super) dialect: Option<dialect::Name>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            directory: PathBuf::new(),
            network: Network::default(),
            publisher: Publisher::Untold,
            dialect: None,
        }
    }
}

/// What is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Whether it could be used all the same.
    pub severity: Severity,
    /// Where, as a JSON pointer into the definition; empty for all of it.
    pub pointer: String,
    /// What is wrong, naming the key: a lower-case fragment without a full stop.
    pub detail: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Mistake {
    fn error(pointer: &str, detail: impl Into<String>, help: &str) -> Self {
        Self {
            severity: Severity::Error,
            pointer: pointer.to_owned(),
            detail: detail.into(),
            help: Some(help.to_owned()),
        }
    }
}

/// What came of a definition: what it defines, if nothing keeps it from being used; and what is wrong.
pub type Reading<T> = (Option<T>, Vec<Mistake>);

/// Reads a webhook of this name and group, beside what is configured.
///
/// The definition has the keys of the configuration's `webhooks.<name>`, but for those that are told in the
/// module's description, and for `group`, which stands beside it.
#[must_use]
pub fn webhook(
    config: &Config,
    name: &str,
    group: Option<&str>,
    definition: &Json,
) -> Reading<Webhook> {
    let mut refused = refusals(definition);
    let tree = Tree::of(definition);
    let mut table = match tree.table() {
        Ok(table) => table.clone(),
        Err(mistake) => return (None, vec![mistake]),
    };
    if let Some(group) = group {
        let span = tree.group;
        let node = Node {
            value: Value::String(group.to_owned()),
            span,
        };
        let key_span = span;
        table.insert("group".to_owned(), Entry { key_span, node });
    }
    let (webhook, problems) = tree.read(
        config,
        &table,
        |section, context| webhook::read(section, name, context),
        &format!("webhooks.{name}"),
    );
    refused.extend(problems);
    finish(webhook, refused)
}

/// Reads a group of this name.
///
/// The definition has the keys of the configuration's `groups.<name>`.
#[must_use]
pub fn group(config: &Config, name: &str, definition: &Json) -> Reading<Group> {
    let tree = Tree::of(definition);
    let table = match tree.table() {
        Ok(table) => table,
        Err(mistake) => return (None, vec![mistake]),
    };
    let read =
        |section: Section<'_>, context: &Context<'_>| Some(group::read(section, name, context));
    let (group, problems) = tree.read(config, table, read, &format!("groups.{name}"));
    finish(group, problems)
}

fn finish<T>(read: Option<T>, mistakes: Vec<Mistake>) -> Reading<T> {
    let is_error = |mistake: &Mistake| mistake.severity == Severity::Error;
    let read = read.filter(|_| !mistakes.iter().any(is_error));
    (read, mistakes)
}

/// A definition as a tree of values, whose places are the numbers of its nodes.
struct Tree {
    root: Node,
    /// The pointers of the nodes, by number.
    pointers: Vec<String>,
    /// The place of the group, which is not in the definition.
    group: Span,
    is_too_deep: bool,
}

impl Tree {
    fn of(definition: &Json) -> Self {
        let mut tree = Self {
            root: Node {
                value: Value::Null,
                span: span(0),
            },
            pointers: Vec::new(),
            group: span(0),
            is_too_deep: false,
        };
        tree.root = tree.node(definition, "", 0);
        tree.group = tree.place("/group".to_owned());
        tree
    }

    fn place(&mut self, pointer: String) -> Span {
        self.pointers.push(pointer);
        // No two places touch.
        span((self.pointers.len() - 1) * 2)
    }

    fn node(&mut self, json: &Json, pointer: &str, depth: usize) -> Node {
        let span = self.place(pointer.to_owned());
        self.is_too_deep |= depth > MAX_DEPTH;
        let value = match json {
            _ if depth > MAX_DEPTH => Value::Null,
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => Value::Number(number.to_string()),
            Json::String(text) => Value::String(text.clone()),
            Json::Array(elements) => {
                let node =
                    |(index, element)| self.node(element, &format!("{pointer}/{index}"), depth + 1);
                Value::Array(elements.iter().enumerate().map(node).collect())
            }
            Json::Object(entries) => {
                let mut table = Table::with_capacity(entries.len());
                for (key, json) in entries {
                    let pointer = format!("{pointer}/{}", escape(key));
                    let key_span = self.place(pointer.clone());
                    let node = self.node(json, &pointer, depth + 1);
                    table.insert(key.clone(), Entry { key_span, node });
                }
                Value::Table(table)
            }
        };
        Node { value, span }
    }

    fn table(&self) -> Result<&Table, Mistake> {
        match &self.root.value {
            _ if self.is_too_deep => Err(Mistake::error(
                "",
                format!("it is nested deeper than {MAX_DEPTH} levels"),
                "make it flatter",
            )),
            Value::Table(table) => Ok(table),
            other => Err(Mistake::error(
                "",
                format!("it must be an object, not {}", other.type_name()),
                "write an object with the keys that the configuration file has",
            )),
        }
    }

    /// Reads a table as if it stood in the configuration.
    fn read<T>(
        &self,
        config: &Config,
        table: &Table,
        read: impl FnOnce(Section<'_>, &Context<'_>) -> Option<T>,
        path: &str,
    ) -> (Option<T>, Vec<Mistake>) {
        let problems = Problems::default();
        let surroundings = &config.surroundings;
        let context = Context {
            directory: &surroundings.directory,
            outside: &Environment,
            wanted: RefCell::default(),
            groups: RefCell::new(config.groups.clone()),
            network: RefCell::new(surroundings.network.clone()),
            publisher: surroundings.publisher,
        };
        let empty = Table::new();
        let section = Section::root(&empty, &problems).part(path, table, self.root.span);
        let result = read(section, &context);
        let wanted = context.wanted.into_inner();
        let untold = schema::untold(&wanted, surroundings.dialect, surroundings.publisher);
        let problems = problems.into_inner().into_iter().chain(untold);
        (
            result,
            problems.map(|problem| self.mistake(problem)).collect(),
        )
    }

    fn mistake(&self, problem: Problem) -> Mistake {
        let pointer = problem
            .span
            .and_then(|span| self.pointers.get(span.start / 2));
        Mistake {
            severity: problem.severity,
            pointer: pointer.cloned().unwrap_or_default(),
            detail: problem.message,
            help: problem.help,
        }
    }
}

fn span(place: usize) -> Span {
    Span::new(Sources::default().add("", ""), place, place)
}

/// Returns a key as it stands in a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// What a definition reaches: the proxies that the environment names, as the file may want it, and no file.
struct Environment;

impl Outside for Environment {
    fn env(&self, name: &str) -> Option<String> {
        System.env(name)
    }

    fn read(&self, _: &std::path::Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
}

/// Keys of a webhook that are for the file only, and why.
const OF_FILE: [(&str, &str); 4] = [
    (
        "network",
        "the configuration file says which addresses may be connected to",
    ),
    (
        "proxy",
        "the configuration file says by way of which proxy; leave it out",
    ),
    (
        "enable",
        "enable and disable it by POST to /webhooks/{id}/enable and /disable",
    ),
    ("group", "write the group beside the definition"),
];

/// Keys that name files.
const FILES: [&str; 3] = ["cacertfile", "certfile", "keyfile"];

/// Returns what a definition holds that is for the configuration file only.
fn refusals(definition: &Json) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (key, help) in OF_FILE {
        if definition.get(key).is_some() {
            let detail = format!("`{key}` cannot be set over the API");
            mistakes.push(Mistake::error(&format!("/{key}"), detail, help));
        }
    }
    refuse_files(definition, "", &mut mistakes);
    mistakes
}

fn refuse_files(json: &Json, pointer: &str, mistakes: &mut Vec<Mistake>) {
    let Json::Object(entries) = json else { return };
    // What headers are called is up to the receiver.
    for (key, value) in entries.iter().filter(|(key, _)| *key != "headers") {
        let pointer = format!("{pointer}/{}", escape(key));
        if key.ends_with("_file") || key.ends_with("_files") || FILES.contains(&key.as_str()) {
            let detail =
                format!("`{key}` cannot be set over the API: it names a file of this host");
            let help = "give the secret itself, or put the webhook into the configuration file";
            mistakes.push(Mistake::error(&pointer, detail, help));
        } else if pointer.matches('/').count() <= MAX_DEPTH {
            refuse_files(value, &pointer, mistakes);
        }
    }
}
