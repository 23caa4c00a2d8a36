//! Reading a table key by key, and collecting all that is wrong on the way.
//!
//! A [`Section`] knows which keys were asked for, so that in the end it can name the keys
//! that nobody knows, each with the known key that was probably meant.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::complaint::{Complaint, closest, out_of_range, unknown};
use super::problem::Problem;
use super::scalar::{duration, integer, scalar, text, within};
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

    /// Reports a problem, unless the same was.
    pub(super) fn report_once(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Returns whether something is wrong at this place.
    pub(super) fn is_reported(&self, span: Span) -> bool {
        let problems = self.problems.borrow();
        problems.iter().any(|problem| problem.span == Some(span))
    }

    /// Returns whether the key is written, without asking for it; `null` is as good as nothing.
    pub(super) fn has(&self, key: &str) -> bool {
        let entry = self.table.get(key);
        entry.is_some_and(|entry| entry.node.value != Value::Null)
    }

    /// Returns the value of a key, and notes that it was asked for.
    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        self.has(key).then(|| self.table.get(key))?
    }

    /// Returns what stands at a path of keys, without asking for any.
    pub(super) fn find(&self, path: &[&str]) -> Option<&'a Entry> {
        let (first, rest) = path.split_first()?;
        let mut entry = self.table.get(*first)?;
        for key in rest {
            let Value::Table(table) = &entry.node.value else {
                return None;
            };
            entry = table.get(*key)?;
        }
        Some(entry)
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
    pub(super) fn parse<T, E: Into<Complaint>>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.read(key, |node| parse(text(node)?).map_err(Into::into))
    }

    /// Reads one of some names; case does not matter.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        self.read(key, |node| {
            let names = || choices.iter().map(|(name, _)| *name);
            let text = scalar(node, "a string").map_err(|complaint| complaint.one_of(names()))?;
            let found = choices
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(text));
            found
                .map(|(_, choice)| *choice)
                .ok_or_else(|| unknown("value", text, names()))
        })
    }

    pub(super) fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, |node| match &node.value {
            Value::Bool(value) => Ok(*value),
            // What comes from the environment is a string.
            Value::String(text) if text == "true" => Ok(true),
            Value::String(text) if text == "false" => Ok(false),
            Value::String(text) => Err(Complaint::new(format!(
                "it must be true or false, not `{text}`"
            ))),
            other => Err(Complaint::wrong_type("true or false", other)),
        })
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.read(key, |node| integer(node, &range))
    }

    /// Reads a number that need not be whole.
    pub(super) fn float(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        self.read(key, |node| {
            let text = scalar(node, "a number")?;
            let number: f64 = text
                .parse()
                .map_err(|_| Complaint::new(format!("`{text}` is not a number")))?;
            if range.contains(&number) {
                Ok(number)
            } else {
                Err(out_of_range(range.start(), range.end(), text))
            }
        })
    }

    /// Reads a duration with its unit.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.read(key, |node| duration(node, &range))
    }

    /// Reads a duration that is in milliseconds if it has no unit.
    pub(super) fn milliseconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.read(key, |node| {
            let text = scalar(node, "a number of milliseconds")?;
            let duration = match text.parse() {
                Ok(number) => Duration::from_millis(number),
                Err(_) => units::duration(text)?,
            };
            within(duration, &range, text)
        })
    }

    /// Reads a size in bytes, with or without unit.
    pub(super) fn bytes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        self.read(key, |node| {
            let text = scalar(node, "a size such as \"64KiB\"")?;
            let bytes = units::bytes(text)?;
            if range.contains(&bytes) {
                Ok(bytes)
            } else {
                let show = units::show_bytes;
                Err(out_of_range(
                    &show(*range.start()),
                    &show(*range.end()),
                    text,
                ))
            }
        })
    }

    /// Makes something of each element of a key's list, with its place, and reports those of which
    /// nothing can be made.
    pub(super) fn elements<T>(
        &self,
        key: &str,
        elements: &[Node],
        read: impl Fn(&Node) -> Result<T, Complaint>,
    ) -> Vec<(T, Span)> {
        let read = |(index, node): (usize, &Node)| match read(node) {
            Ok(value) => Some((value, node.span)),
            Err(complaint) => {
                let path = self.path(&format!("{key}[{index}]"));
                self.report(complaint.about(&path, node.span));
                None
            }
        };
        elements.iter().enumerate().filter_map(read).collect()
    }

    /// Returns the section under a key.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Self> {
        self.section_or(key, None)
    }

    /// Returns the section under a key; `help` says what to write instead of anything else.
    pub(super) fn section_or(
        &mut self,
        key: &'static str,
        help: impl Into<Option<&'static str>>,
    ) -> Option<Self> {
        let entry = self.entry(key)?;
        match &entry.node.value {
            Value::Table(table) => Some(self.part(key, table, entry.key_span)),
            other => {
                let mut complaint = Complaint::wrong_type("a table", other);
                if let Some(help) = help.into() {
                    complaint = complaint.help(help);
                }
                self.report(complaint.about(&self.path(key), entry.node.span));
                None
            }
        }
    }

    /// Returns all entries, whatever their keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        self.table.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Reports that a key is missing, unless it is written, or something like it is: that is
    /// reported as an unknown key.
    pub(super) fn require(&self, key: &str, help: impl Into<String>) {
        let is_alike = |(written, _): (&str, &Entry)| closest(written, [key].into_iter()).is_some();
        if !self.has(key) && !self.entries().any(is_alike) {
            let message = format!("`{}` is missing", self.path(key));
            self.report(Problem::error(self.span, message).help(help));
        }
    }

    /// Warns of a key that has no effect because another one is written, too.
    pub(super) fn report_overridden(&self, key: &str, by: &str) {
        if let Some(entry) = self.table.get(key)
            && self.has(by)
        {
            let message = format!(
                "`{}` has no effect beside `{}`",
                self.path(key),
                self.path(by)
            );
            self.report(Problem::warning(entry.key_span, message).help("remove one of the two"));
        }
    }

    /// Reports what is wrong with the value of a key, or with its absence.
    pub(super) fn report_about(&self, key: &str, complaint: Complaint) {
        self.report(complaint.about(&self.path(key), self.span_of(key)));
    }

    /// Returns the dotted path of the table.
    pub(super) fn name(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }

    /// Returns where the value of a key is written; if it is not, where the section is.
    pub(super) fn span_of(&self, key: &str) -> Option<Span> {
        let entry = self.table.get(key);
        entry.map(|entry| entry.node.span).or(self.span)
    }

    /// Reports the keys that were not asked for.
    pub(super) fn finish(self) {
        self.finish_with(|_| true);
    }

    /// Reports the keys that were not asked for and that `is_ours` does not report itself, by
    /// returning false.
    pub(super) fn finish_with(self, is_ours: impl Fn(UnknownKey<'_>) -> bool) {
        for (key, entry) in self.entries() {
            if self.asked.contains(&key) {
                continue;
            }
            let meant = closest(key, self.asked.iter().copied());
            let unknown = UnknownKey {
                key,
                span: entry.key_span,
                meant,
            };
            if !is_ours(unknown) {
                continue;
            }
            let message = format!("unknown key `{}`", self.path(key));
            self.report(Problem::error(entry.key_span, message).help(match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known keys here: {}", self.asked.join(", ")),
            }));
        }
    }
}

/// A key that nobody asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnknownKey<'a> {
    pub(super) key: &'a str,
    pub(super) span: Span,
    /// The known key that is most like it.
    pub(super) meant: Option<&'static str>,
}
