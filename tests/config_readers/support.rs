//! What both kinds of test need: an outside of maps, and trees that can be compared.

use std::io;
use std::path::Path;

use mqhook::config::hocon::{self, Outside};
use mqhook::config::problem::{Problem, Severity};
use mqhook::config::source::Sources;
use mqhook::config::toml;
use mqhook::config::value::{Node, Table, Value};
use serde_json::json;

/// A configuration for a broker, with all that the files shipped with `NanoMQ` use.
pub const NANOMQ: &str = include_str!("nanomq.conf");

/// An empty environment and the two files that [`NANOMQ`] includes.
pub struct Broker;

impl Outside for Broker {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/nanomq_pwd.conf") => Ok("# name: password\nadmin: public\n\"a.b\": x".to_owned()),
            Some("/etc/nanomq_acl.conf") => Ok(concat!(
                "rules = [\n",
                "\t{\"permit\": \"deny\", \"username\": \"#\", \"topics\": [\"$SYS/#\", \"#\"]}\n\t\n",
                "\t{\"permit\": \"allow\"}\n]"
            )
            .to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Reads a text as HOCON.
pub fn read_hocon(text: &str) -> (Table, Vec<Problem>) {
    let mut sources = Sources::default();
    let root = sources.add("nanomq.conf", text);
    hocon::parse(&mut sources, root, &Broker)
}

/// Reads a text as TOML.
pub fn read_toml(text: &str) -> (Table, Vec<Problem>) {
    let mut sources = Sources::default();
    let root = sources.add("mqhook.toml", text);
    toml::parse(&sources, root, &Broker)
}

pub fn has_errors(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}

/// Returns the table as JSON, numbers as floats: so that other readers' trees compare equal.
pub fn as_json(table: &Table) -> serde_json::Value {
    table
        .iter()
        .map(|(name, entry)| (name.clone(), node_as_json(&entry.node)))
        .collect()
}

fn node_as_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => json!(null),
        Value::Bool(value) => json!(value),
        Value::Number(text) => json!(text.parse::<f64>().expect("a number is one for Rust, too")),
        Value::String(text) => json!(text),
        Value::Array(elements) => elements.iter().map(node_as_json).collect(),
        Value::Table(table) => as_json(table),
    }
}
