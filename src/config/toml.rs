//! Reads TOML into the same tree of values with places as [`hocon`](super::hocon).
//!
//! One addition to TOML 1.1: within a string value, `${NAME}` is replaced by the environment
//! variable of this name, and `$${` is a literal `${`. What a variable holds is not looked at
//! again. Dates and times become strings; integers become decimal, whatever base they are
//! written in.
//!
//! Any text whatever gives a tree and a list of problems; of several errors on a line, the
//! first counts.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::hocon::{MAX_BYTES, MAX_DEPTH, Outside, Report};
use super::parsed::Parsed;
use super::problem::Problem;
use super::source::{SourceId, Sources, Span};
use super::value::{Entry, Node, Table, Value};

/// Most errors of the parser that are looked at.
const MAX_ERRORS: usize = 200;

/// Returns what the text `root` says, as far as it could be read, and all that is wrong with it.
///
/// Of `outside`, only the environment is used. The table is of use only if no problem is an error.
pub fn parse(sources: &Sources, root: SourceId, outside: &dyn Outside) -> (Table, Vec<Problem>) {
    read(sources, root, outside).into_parts()
}

/// Does what [`parse`] does, and keeps apart what is wrong with the text and with its values.
pub(super) fn read(sources: &Sources, root: SourceId, outside: &dyn Outside) -> Parsed {
    let whole = sources.get(root).text.as_str();
    if whole.len() > MAX_BYTES {
        let message = format!("the configuration is larger than {} MiB", MAX_BYTES >> 20);
        return Parsed::failed(
            root,
            Problem::error(None, message).help("check that this is the right file"),
        );
    }
    let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        root,
        skipped: whole.len() - text.len(),
        outside,
        report: Report::default(),
    };
    reader.report_syntax(&errors);
    let syntax = std::mem::take(&mut reader.report);
    let table = reader.table(table.get_ref(), 0);
    Parsed {
        table,
        // A line that was not understood may have been the head of a table.
        torn: if errors.is_empty() {
            Vec::new()
        } else {
            vec![root]
        },
        syntax: syntax.into_problems(),
        values: reader.report.into_problems(),
    }
}

struct Reader<'a> {
    text: &'a str,
    root: SourceId,
    /// How many bytes of the source stand before `text`.
    skipped: usize,
    outside: &'a dyn Outside,
    report: Report,
}

impl Reader<'_> {
    fn report_syntax(&mut self, errors: &[toml::de::Error]) {
        let mut lines = HashSet::new();
        for error in errors.iter().take(MAX_ERRORS) {
            let range = error.span().unwrap_or(self.text.len()..self.text.len());
            let before = self.text.get(..range.start).unwrap_or(self.text);
            let line = before.rfind('\n');
            if lines.insert(line) {
                let (message, help) = reworded(error.message(), range.is_empty());
                let mut problem = Problem::error(self.span(range), message);
                problem.help = help;
                self.report.add(problem);
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        let mut entries: Vec<_> = table.iter().collect();
        // The parser sorts by name; headers are sent in the order in which they are written.
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut read = Table::with_capacity(entries.len());
        for (key, value) in entries {
            let key_span = self.span(key.span());
            let node = self.node(value, depth);
            read.insert(key.get_ref().to_string(), Entry { key_span, node });
        }
        read
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = self.span(value.span());
        let value = match value.get_ref() {
            DeValue::String(text) => Value::String(self.expand(text, value.span())),
            DeValue::Integer(integer) => self.integer(integer, span),
            DeValue::Float(float) => Value::Number(float.as_str().to_owned()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(_) | DeValue::Table(_) if depth >= MAX_DEPTH => {
                let message = format!("nested deeper than {MAX_DEPTH} levels");
                self.report
                    .add(Problem::error(span, message).help("flatten the configuration"));
                Value::Null
            }
            DeValue::Array(elements) => Value::Array(
                elements
                    .iter()
                    .map(|element| self.node(element, depth + 1))
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, depth + 1)),
        };
        Node { value, span }
    }

    fn integer(&mut self, integer: &DeInteger<'_>, span: Span) -> Value {
        let value = i128::from_str_radix(integer.as_str(), integer.radix());
        if value.is_err() {
            let message = format!("the integer {integer} is out of range");
            self.report
                .add(Problem::error(span, message).help("write a smaller number"));
        }
        Value::Number(value.unwrap_or_default().to_string())
    }

    /// Returns the string with its `${NAME}` replaced.
    fn expand(&mut self, text: &str, range: Range<usize>) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find("${") {
            let (before, reference) = rest.split_at(dollar);
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = &reference[2..];
                continue;
            }
            expanded.push_str(before);
            let length = reference.find('}').map_or(reference.len(), |end| end + 1);
            let (reference, behind) = reference.split_at(length);
            match self.variable(reference) {
                Ok(value) => expanded.push_str(&value),
                Err((message, help)) => {
                    let before = text.len() - behind.len() - reference.len();
                    let number = text[..before].matches("${").count();
                    let span = self.span(self.place_of(reference, number, range.clone()));
                    self.report.add(Problem::error(span, message).help(help));
                }
            }
            rest = behind;
        }
        expanded.push_str(rest);
        expanded
    }

    /// Returns the value of `${NAME}`, or a message and help.
    fn variable(&self, reference: &str) -> Result<String, (String, String)> {
        let name = reference
            .strip_prefix("${")
            .and_then(|name| name.strip_suffix('}'));
        let Some(name) = name.filter(|name| is_variable(name)) else {
            return Err((
                format!("`{reference}` names no environment variable"),
                "write `${NAME}`, or `$${` for a dollar sign and a brace".to_owned(),
            ));
        };
        self.outside.env(name).ok_or_else(|| {
            (
                format!("the environment variable `{name}` is not set"),
                "set it, or write `$${` for a dollar sign and a brace".to_owned(),
            )
        })
    }

    /// Returns where the `${` after `number` others is written, if it is written as it reads;
    /// otherwise, where the string is.
    fn place_of(&self, reference: &str, number: usize, string: Range<usize>) -> Range<usize> {
        let written = self.text.get(string.clone()).unwrap_or_default();
        match written.match_indices("${").nth(number) {
            Some((offset, _)) if written[offset..].starts_with(reference) => {
                let start = string.start + offset;
                start..start + reference.len()
            }
            _ => string,
        }
    }

    fn span(&self, range: Range<usize>) -> Span {
        Span::new(
            self.root,
            range.start + self.skipped,
            range.end + self.skipped,
        )
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns what the parser says, in the words of our other problems.
fn reworded(message: &str, is_empty: bool) -> (String, Option<String>) {
    let (message, expected) = match message.split_once(", expected ") {
        Some((message, expected)) => (message, Some(format!("expected {expected}"))),
        None => (message, None),
    };
    let (message, help) = match message {
        "string values must be quoted" if is_empty => {
            ("the value is missing", "write a value after `=`")
        }
        "string values must be quoted" => ("a string must be quoted", "put it in double quotes"),
        "duplicate key" => ("this key is set twice", "remove one of the two"),
        "key with no value" => (
            "this key has no value",
            "write `key = value`; a table starts with `[name]`",
        ),
        "recursion limit" | "cannot recurse further; max recursion depth met" => {
            ("nested too deep", "flatten the configuration")
        }
        other => return (lower_case(other), expected),
    };
    (message.to_owned(), Some(help.to_owned()))
}

fn lower_case(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

#[cfg(test)]
mod tests;
