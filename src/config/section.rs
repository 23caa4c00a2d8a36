//! Reading a table key by key, and collecting all that is wrong on the way.
//!
//! A [`Section`] knows which keys were asked for, so that in the end it can name the keys
//! that nobody knows, each with the known key that was probably meant.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::problem::Problem;
use super::source::Span;
use super::units;
use super::value::{Entry, Node, Table, Value};

/// Where problems go; shared by all sections of a configuration.
pub(super) type Problems = RefCell<Vec<Problem>>;

/// A table that is being read.
pub(super) struct Section<'a> {
    table: &'a Table,
    /// The dotted path of the table, with a dot at its end unless it is the root.
    prefix: String,
    span: Option<Span>,
    asked: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a Table, problems: &'a Problems) -> Self {
        Self {
            table,
            prefix: String::new(),
            span: None,
            asked: Vec::new(),
            problems,
        }
    }

    /// Returns a part of this section, under another name than a key of its own.
    pub(super) fn part(&self, name: &str, table: &'a Table, span: Span) -> Self {
        Self {
            table,
            prefix: format!("{}{name}.", self.prefix),
            span: Some(span),
            asked: Vec::new(),
            problems: self.problems,
        }
    }

    /// Returns the dotted path of a key.
    pub(super) fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns where the table is written, if it is not the root.
    pub(super) fn span(&self) -> Option<Span> {
        self.span
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Returns whether the key is written, without asking for it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Returns the value of a key; `null` is as good as nothing.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        let entry = self.table.get(key)?;
        (entry.node.value != Value::Null).then_some(entry)
    }

    /// Makes something of a key's value, or reports why that is not possible.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Node) -> Result<T, Complaint>,
    ) -> Option<T> {
        let node = &self.entry(key)?.node;
        match read(node) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.report(complaint.about(&self.path(key), node.span));
                None
            }
        }
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<String> {
        self.read(key, |node| text(node).map(str::to_owned))
    }

    /// Reads what is written as a string and has a syntax of its own.
    pub(super) fn parse<T, E: ToString>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.read(key, |node| {
            parse(text(node)?).map_err(|error| Complaint::new(error.to_string()))
        })
    }

    /// Reads one of some names; case does not matter.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        self.read(key, |node| {
            let text = scalar(node)?;
            let found = choices
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text));
            found
                .map(|(_, choice)| *choice)
                .ok_or_else(|| not_one_of(text, choices.iter().map(|(name, _)| *name)))
        })
    }

    pub(super) fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, |node| match &node.value {
            Value::Bool(value) => Ok(*value),
            // What comes from the environment is a string.
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            other => Err(Complaint::wrong_type("true or false", other)),
        })
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.read(key, |node| {
            let number = match &node.value {
                // What comes from the environment is a string.
                Value::Number(number) | Value::String(number) => number,
                other => return Err(Complaint::wrong_type("a whole number", other)),
            };
            let number = number
                .parse()
                .map_err(|_| Complaint::new("it must be a whole number that is not negative"))?;
            if range.contains(&number) {
                Ok(number)
            } else {
                Err(out_of_range(range.start(), range.end()))
            }
        })
    }

    /// Reads a duration with its unit.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.read(key, |node| {
            let duration = units::duration(scalar(node)?)?;
            if range.contains(&duration) {
                Ok(duration)
            } else {
                let show = units::show_duration;
                Err(out_of_range(&show(*range.start()), &show(*range.end())))
            }
        })
    }

    /// Reads a size in bytes, with or without unit.
    pub(super) fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.read(key, |node| {
            let bytes = units::bytes(scalar(node)?)?;
            if range.contains(&bytes) {
                Ok(bytes)
            } else {
                let show = units::show_bytes;
                Err(out_of_range(&show(*range.start()), &show(*range.end())))
            }
        })
    }

    /// Returns the section under a key.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Self> {
        let node = &self.entry(key)?.node;
        match &node.value {
            Value::Table(table) => Some(self.part(key, table, node.span)),
            other => {
                let complaint = Complaint::wrong_type("a table", other);
                self.report(complaint.about(&self.path(key), node.span));
                None
            }
        }
    }

    /// Returns all entries, whatever their keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        self.table.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Reports the keys that were not asked for.
    pub(super) fn finish(self) {
        self.finish_ignoring(|_| false);
    }

    /// Reports the keys that were not asked for, but those that are to be ignored.
    pub(super) fn finish_ignoring(self, ignored: impl Fn(&str) -> bool) {
        for (key, entry) in self.entries() {
            if self.asked.contains(&key) || ignored(key) {
                continue;
            }
            let problem =
                Problem::error(entry.key_span, format!("unknown key `{}`", self.path(key)));
            self.report(match closest(key, self.asked.iter().copied()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help(format!("known keys here: {}", list(&self.asked))),
            });
        }
    }
}

/// Why a value is not what its key wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    what: String,
    help: Option<String>,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn wrong_type(wanted: &str, got: &Value) -> Self {
        Self::new(format!("it must be {wanted}, and is {}", got.type_name()))
    }

    pub(super) fn about(self, path: &str, span: Span) -> Problem {
        let problem = Problem::error(span, format!("`{path}`: {}", self.what));
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

/// Returns the text of a string.
pub(super) fn text(node: &Node) -> Result<&str, Complaint> {
    match &node.value {
        Value::String(text) => Ok(text),
        other => Err(Complaint::wrong_type("a string", other).help("put it into quotes")),
    }
}

/// Returns the text of a string or a number.
fn scalar(node: &Node) -> Result<&str, Complaint> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Ok(text),
        other => Err(Complaint::wrong_type("a string", other)),
    }
}

/// Returns a complaint about a name that is none of those that are known.
pub(super) fn not_one_of<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Complaint {
    let known: Vec<&str> = known.collect();
    let complaint = Complaint::new(format!("`{text}` is not known here"));
    match closest(text, known.iter().copied()) {
        Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
        None => complaint.help(format!("it must be one of {}", list(&known))),
    }
}

fn out_of_range(from: &impl ToString, to: &impl ToString) -> Complaint {
    let (from, to) = (from.to_string(), to.to_string());
    Complaint::new(format!("it must be from {from} to {to}"))
}

/// Returns the known word that is most like the one that was written, if it is like enough.
fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let written = written.to_ascii_lowercase();
    known
        .map(|word| (strsim::normalized_damerau_levenshtein(&written, word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, word)| word)
}

fn list(words: &[&str]) -> String {
    words.join(", ")
}
