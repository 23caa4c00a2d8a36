//! What can be found out about a template before there is an event.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytestring::ByteString;
use minijinja::{ErrorKind, Value};

use super::scope::NAMES;
use super::{Error, Scope, Template};
use crate::event::{Client, Detail, Event, Id, Kind, Timestamp};
use crate::payload::{Encoding, NotUtf8};

/// Why a text is not a template that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// It is not a template at all.
    #[error("line {line} is no template: {what}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It names what no event has.
    #[error("no event has `{0}`")]
    UnknownName(String),
    /// It uses a filter, a test or a function that there is not.
    #[error("line {line}: {what}")]
    Unknown {
        /// The line, from 1.
        line: usize,
        /// What there is not.
        what: String,
    },
    /// A value would stand in what must stay as it is.
    #[error("scheme, host and port cannot be taken from an event")]
    InOrigin,
}

/// Whether it is known who published a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher {
    /// The broker tells.
    Told,
    /// A subscriber is not told.
    Untold,
}

impl Mistake {
    pub(super) fn of_syntax(error: &minijinja::Error) -> Self {
        let what = error.detail().unwrap_or("it cannot be read");
        Self::Syntax {
            line: error.line().unwrap_or(1),
            what: what.to_owned(),
        }
    }

    /// Returns the names that there are, for a message to say which one was meant.
    #[must_use]
    pub const fn known_names() -> &'static [&'static str] {
        &NAMES
    }
}

impl Template {
    /// Finds names that no event has, and what there is not in the language.
    pub(super) fn check(&self) -> Result<(), Mistake> {
        if let Some(name) = self.names().into_iter().find(|name| !is_known(name)) {
            return Err(Mistake::UnknownName(name));
        }
        // Which filter there is turns out when it is used.
        for kind in Kind::ALL {
            let scope = sample(kind, Publisher::Told).value();
            let Err(error) = self.compiled().render(scope) else {
                continue;
            };
            if let ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod = error.kind()
            {
                return Err(Mistake::Unknown {
                    line: error.line().unwrap_or(1),
                    what: error.detail().unwrap_or("it is not known").to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Returns the names that the template needs and no event of a kind has; `None` if it may make
    /// something of such an event.
    #[must_use]
    pub fn missing_in(&self, kind: Kind, publisher: Publisher) -> Option<String> {
        let scope = sample(kind, publisher);
        let Err(Error::Undefined { .. }) = self.render(&scope) else {
            return None;
        };
        let missing = self.names();
        let missing: Vec<&String> = missing
            .iter()
            .filter(|name| is_missing(&scope.value(), name))
            .collect();
        (!missing.is_empty()).then(|| quoted(&missing))
    }

    /// Returns which of the names and paths in the template have no value; those in brackets are looked
    /// for in the line that failed.
    pub(super) fn missing(&self, scope: &Value, line: usize) -> String {
        let paths: BTreeSet<String> = self
            .compiled()
            .undeclared_variables(true)
            .into_iter()
            .collect();
        let missing: Vec<&String> = paths
            .iter()
            .filter(|path| is_missing(scope, path))
            .collect();
        if !missing.is_empty() {
            return quoted(&missing);
        }
        let source = self.compiled();
        let line = source.source().lines().nth(line.saturating_sub(1));
        match in_brackets(line.unwrap_or_default(), scope).as_slice() {
            [] => "a value".to_owned(),
            missing => quoted(&missing.iter().collect::<Vec<_>>()),
        }
    }

    /// Returns the names that the template takes from outside.
    fn names(&self) -> BTreeSet<String> {
        let names = self.compiled().undeclared_variables(false);
        let is_global =
            |name: &String| self.environment.globals().any(|(global, _)| global == name);
        names.into_iter().filter(|name| !is_global(name)).collect()
    }
}

fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

fn quoted(names: &[&String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" and ")
}

/// Returns whether a path such as `payload_json.temp` leads nowhere.
fn is_missing(scope: &Value, path: &str) -> bool {
    let found = path.split('.').try_fold(scope.clone(), |value, name| {
        let found = value.get_attr(name).ok()?;
        (!found.is_undefined()).then_some(found)
    });
    // The names of the language, such as `range`, are no variables of ours.
    found.is_none() && path.split('.').next().is_some_and(is_known)
}

/// Returns what a line asks for in brackets, such as `topic_levels[9]`, and does not get, as far as
/// that shows: with a name of ours before, and a number or a text within.
fn in_brackets(line: &str, scope: &Value) -> Vec<String> {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let missing = line.match_indices('[').filter_map(|(open, _)| {
        let name = line[..open]
            .rsplit(|character| !is_of_name(character))
            .next()?;
        let key = line[open + 1..].split(']').next()?.trim();
        let unquoted = ['\'', '"'].iter().find_map(|quote| {
            let key = key.strip_prefix(*quote)?;
            key.strip_suffix(*quote)
        });
        let value = match unquoted {
            Some(text) => Value::from(text),
            None => Value::from(key.parse::<i64>().ok()?),
        };
        let list = scope.get_attr(name).ok().filter(|_| is_known(name))?;
        let found = list.get_item(&value).ok();
        let is_missing = found.is_none_or(|found| found.is_undefined());
        is_missing.then(|| format!("{name}[{key}]"))
    });
    missing.collect()
}

/// Returns an event of a kind with everything that one may have.
fn sample(kind: Kind, publisher: Publisher) -> Scope {
    let text = ByteString::from_static;
    let client = Client {
        id: Some(text("c")),
        username: Some(text("u")),
        address: Some(text("a")),
    };
    let mut detail = Detail::example(kind);
    if let Detail::Message(message) = &mut detail {
        message.protocol_version = (publisher == Publisher::Told).then_some(5);
    }
    let event = Event {
        id: Id::new(),
        kind,
        time: Timestamp::from_millis(0),
        client: if kind == Kind::MessagePublish && publisher == Publisher::Untold
            || kind.is_notice()
            || kind.is_of_application()
        {
            Client::default()
        } else {
            client
        },
        detail,
    };
    Scope::new(&Arc::new(event), Encoding::Plain, NotUtf8::Base64)
}
