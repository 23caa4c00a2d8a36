//! A webhook in a file of its own, on its way to the API.
//!
//! It has the keys of `webhooks.<name>`, in either format of a configuration. What the API finds wrong is
//! shown at its place in the file, as what is wrong with a configuration is.

use std::fmt;
use std::path::Path;

use serde_json::Value as Json;

use super::hocon::Outside;
use super::json::Mistake;
use super::masked::json_of;
use super::problem::Problem;
use super::source::{Sources, Span};
use super::value::{Node, Table, Value};
use super::{is_error, parse, reason, render, secret};

/// What a file says of a webhook.
pub struct Draft {
    /// Its keys, secrets included, but for `group`.
    pub definition: Json,
    /// What stands under `group`; null for nothing.
    pub group: Json,
    table: Table,
    sources: Sources,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").finish_non_exhaustive()
    }
}

/// Reads a file; its name ends in `.toml` for TOML, and in anything else for HOCON, and so for JSON.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn load(path: &Path, outside: &dyn Outside, colour: bool) -> Result<Draft, String> {
    match outside.read(path) {
        Ok(text) => read(path, text, outside, colour),
        Err(error) => {
            let message = format!("cannot read {}: {}", path.display(), reason(&error));
            let problem = Problem::error(None, message);
            Err(render::problems(&[problem], &Sources::default(), colour))
        }
    }
}

/// Reads a text, as if it were the file of this name.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn read(
    path: &Path,
    text: String,
    outside: &dyn Outside,
    colour: bool,
) -> Result<Draft, String> {
    let mut sources = Sources::default();
    let root = sources.add(path.display().to_string(), text);
    let parsed = parse(&mut sources, root, path, outside);
    let (table, problems) = parsed.into_parts();
    if problems.iter().any(is_error) {
        let sources = sources.without(&secrets(&table, &sources));
        return Err(render::problems(&problems, &sources, colour));
    }
    let mut definition = json_of(&Node {
        value: Value::Table(table.clone()),
        span: Span::new(root, 0, 0),
    });
    let group = definition.as_object_mut().and_then(|it| it.remove("group"));
    Ok(Draft {
        definition,
        group: group.unwrap_or(Json::Null),
        table,
        sources,
    })
}

impl Draft {
    /// Writes what is wrong with it for a person, each at its place; `pointer` is into a file's keys.
    #[must_use]
    pub fn render(&self, mistakes: &[Mistake], colour: bool) -> String {
        let problem = |mistake: &Mistake| Problem {
            severity: mistake.severity,
            message: mistake.detail.clone(),
            span: place(&self.table, &mistake.pointer),
            help: mistake.help.clone(),
        };
        let problems: Vec<Problem> = mistakes.iter().map(problem).collect();
        let sources = self.sources.without(&secrets(&self.table, &self.sources));
        render::problems(&problems, &sources, colour)
    }
}

fn secrets(table: &Table, sources: &Sources) -> Vec<Span> {
    let mut secrets = secret::credentials(table);
    secrets.extend(secret::in_urls(table, sources));
    secrets
}

/// Returns where something stands, or else what it would stand in.
fn place(table: &Table, pointer: &str) -> Option<Span> {
    let mut keys = pointer.split('/').skip(1);
    let entry = table.get(&unescaped(keys.next()?))?;
    let (mut span, mut value) = (entry.key_span, &entry.node.value);
    for key in keys {
        let inner = match value {
            Value::Table(table) => {
                let entry = table.get(&unescaped(key));
                entry.map(|entry| (entry.key_span, &entry.node.value))
            }
            Value::Array(elements) => {
                let element = key.parse().ok().and_then(|at: usize| elements.get(at));
                element.map(|node| (node.span, &node.value))
            }
            _ => None,
        };
        let Some(inner) = inner else { break };
        (span, value) = inner;
    }
    Some(span)
}

/// Returns a key as it was before it stood in a JSON pointer.
fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::hocon::System;
    use crate::config::problem::Severity;

    fn draft(name: &str, text: &str) -> Result<Draft, String> {
        read(Path::new(name), text.to_owned(), &System, false)
    }

    #[test]
    fn either_format_makes_the_same_definition() {
        let files = [
            (
                "w.toml",
                "url = \"http://h/\"\ngroup = \"plant\"\n[retry]\nmax_attempts = 3",
            ),
            (
                "w.conf",
                "url = \"http://h/\", group = plant, retry { max_attempts = 3 }",
            ),
            (
                "-",
                r#"{"url": "http://h/", "group": "plant", "retry": {"max_attempts": 3}}"#,
            ),
        ];
        for (name, text) in files {
            let draft = draft(name, text).expect("it can be read");
            let expected = serde_json::json!({"url": "http://h/", "retry": {"max_attempts": 3}});
            assert_eq!(draft.definition, expected, "{name}");
            assert_eq!(draft.group, "plant", "{name}");
        }
    }

    #[test]
    fn what_the_api_finds_wrong_is_shown_at_its_place_without_secrets() {
        let text = "url = \"http://u:hunter2@h/\"\nevents = [{event = \"on_fire\"}]\nheaders = {\"a/b\" = \"sesame\"}\n";
        let draft = draft("w.toml", text).expect("it can be read");
        let check = |pointer: &str, place: &str| {
            let mistake = Mistake {
                severity: Severity::Error,
                pointer: pointer.to_owned(),
                detail: "it is odd".to_owned(),
                help: Some("mend it".to_owned()),
            };
            let shown = draft.render(&[mistake], false);
            assert!(shown.contains(place), "{pointer}: {shown}");
            assert!(
                shown.contains("it is odd") && shown.contains("mend it"),
                "{shown}"
            );
            assert!(
                !shown.contains("hunter2") && !shown.contains("sesame"),
                "{shown}"
            );
        };
        check("/url", "w.toml:1:1");
        check("/events/0/event", "w.toml:2:12");
        check("/events/7", "w.toml:2:1");
        check("/headers/a~1b", "w.toml:3:12");
        check("/sign/secret", "w.toml");
        check("", "w.toml");
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        let wrong = draft("-", "{\"url\": ").expect_err("it is torn");
        assert!(wrong.contains("-:1:"), "{wrong}");
        let missing = load(Path::new("/nonexistent/w.toml"), &System, false);
        assert!(
            missing
                .expect_err("it is not there")
                .contains("no such file")
        );
    }
}
