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
use super::problem::Problem;
use super::source::{SourceId, Sources, Span};
use super::value::{Entry, Node, Table, Value};

/// Most errors of the parser that are looked at.
const MAX_ERRORS: usize = 200;

/// Returns what the text `root` says, as far as it could be read, and all that is wrong with it.
///
/// Of `outside`, only the environment is used. The table is of use only if no problem is an error.
pub fn parse(sources: &Sources, root: SourceId, outside: &dyn Outside) -> (Table, Vec<Problem>) {
    let mut report = Report::default();
    let whole = sources.get(root).text.as_str();
    if whole.len() > MAX_BYTES {
        let message = format!("the configuration is larger than {} MiB", MAX_BYTES >> 20);
        report.add(Problem::error(None, message).help("check that this is the right file"));
        return (Table::new(), report.into_problems());
    }
    let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        text,
        root,
        skipped: whole.len() - text.len(),
        outside,
        report,
    };
    reader.report_syntax(&errors);
    let table = reader.table(table.get_ref(), 0);
    (table, reader.report.into_problems())
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
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    /// An environment of one variable.
    struct One;

    impl Outside for One {
        fn env(&self, name: &str) -> Option<String> {
            (name == "HOST").then(|| "h${HOST}".to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<String> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn number(text: &str) -> Value {
        Value::Number(text.to_owned())
    }

    fn string(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn read(text: &str) -> (Sources, Table, Vec<Problem>) {
        let mut sources = Sources::default();
        let root = sources.add("mqhook.toml", text);
        let (table, problems) = parse(&sources, root, &One);
        (sources, table, problems)
    }

    fn part(sources: &Sources, span: Span) -> &str {
        &sources.get(span.source).text[span.start..span.end]
    }

    /// Checks the value of `a`, with which nothing is wrong.
    fn check(text: &str, expected: &Value) {
        let (_, table, problems) = read(text);
        assert_eq!(problems, [], "{text}");
        assert_eq!(
            table.get("a").map(|entry| &entry.node.value),
            Some(expected),
            "{text}"
        );
    }

    /// Checks the problems of a text: the marked part, and a part of message and help.
    fn check_problems(text: &str, expected: &[(&str, &str, &str)]) {
        let (sources, _, problems) = read(text);
        assert_eq!(problems.len(), expected.len(), "{text}: {problems:#?}");
        for (problem, (marked, message, help)) in problems.iter().zip(expected) {
            let span = problem.span.expect("all of these have a place");
            assert_eq!(part(&sources, span), *marked, "{text}: {problem:?}");
            assert!(problem.message.contains(message), "{text}: {problem:?}");
            assert!(
                problem
                    .help
                    .as_ref()
                    .is_some_and(|text| text.contains(help)),
                "{problem:?}"
            );
        }
    }

    #[test]
    fn scalars_have_their_type() {
        check("a = 1_000", &number("1000"));
        check("a = 0xdead_beef", &number("3735928559"));
        check("a = 0o17", &number("15"));
        check("a = 0b1_01", &number("5"));
        check("a = +5", &number("5"));
        check("a = -9223372036854775808", &number("-9223372036854775808"));
        check("a = 1_0.5e-3", &number("10.5e-3"));
        check("a = true", &Value::Bool(true));
        check("a = 'x'", &string("x"));
        check("a = 1979-05-27T07:32:00Z", &string("1979-05-27T07:32:00Z"));
        check("\u{feff}a = 07:32:00", &string("07:32:00"));
        let (sources, table, _) = read("\u{feff}a = 'x'");
        assert_eq!(part(&sources, table["a"].node.span), "'x'");
    }

    #[test]
    fn variables_are_replaced_in_strings_once() {
        check(
            "a = \"http://${HOST}/${HOST}\"",
            &string("http://h${HOST}/h${HOST}"),
        );
        check("a = '${HOST}'", &string("h${HOST}"));
        check("a = '$${HOST} $ $$ {}'", &string("${HOST} $ $$ {}"));
    }

    #[test]
    fn variables_that_cannot_be_replaced_are_reported() {
        let help = "`$${`";
        check_problems("a = 'x ${NOPE}'", &[("${NOPE}", "`NOPE` is not set", help)]);
        check_problems(
            "a = '${?HOST}'",
            &[("${?HOST}", "names no environment variable", help)],
        );
        check_problems(
            "a = '$${x} ${} ${'",
            &[("${}", "names no", help), ("${", "names no", help)],
        );
        check_problems(
            r#"a = "\u0024{NOPE}""#,
            &[(r#""\u0024{NOPE}""#, "`NOPE` is not set", help)],
        );
    }

    #[test]
    fn several_errors_are_found_but_one_a_line() {
        check_problems(
            "a = \nb = 1 2 3\nc = x\nd = 1\nd = 2",
            &[
                ("", "the value is missing", "after `=`"),
                ("1 2 3", "a string must be quoted", "double quotes"),
                ("x", "a string must be quoted", "double quotes"),
                ("d", "set twice", "one of the two"),
            ],
        );
        check_problems("webhook {", &[("", "has no value", "[name]")]);
        check_problems(
            "a = 99999999999999999999999999999999999999999",
            &[(
                "99999999999999999999999999999999999999999",
                "out of range",
                "smaller",
            )],
        );
    }

    #[test]
    fn keys_keep_the_order_of_the_text() {
        let (sources, table, problems) = read("z = 1\n[y]\nb = 1\na = 2\n[x]");
        assert_eq!(problems, []);
        assert_eq!(table.keys().collect::<Vec<_>>(), ["z", "y", "x"]);
        let Value::Table(y) = &table["y"].node.value else {
            panic!("{table:?}")
        };
        assert_eq!(y.keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(part(&sources, y["a"].key_span), "a");
        assert_eq!(part(&sources, y["a"].node.span), "2");
    }

    #[test]
    fn nothing_nests_or_grows_without_bound() {
        let check = |text: &str, message: &str| {
            let (_, _, problems) = read(text);
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.message.contains(message)),
                "{problems:?}"
            );
        };
        check(
            &format!("a = {}{}", "[".repeat(70), "]".repeat(70)),
            "nested deeper",
        );
        check(&format!("a = {}", "[".repeat(1_000)), "nested too deep");
        check(&format!("{}a = 1", "a.".repeat(70)), "nested deeper");
        check(&format!("{}a = 1", "a.".repeat(1_000)), "nested too deep");
        check(&" ".repeat(MAX_BYTES + 1), "larger than");
        check(&"=\n".repeat(1_000), "empty");
    }
}
