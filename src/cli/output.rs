//! What commands write: aligned columns for people, JSON for programs.
//!
//! Topics, client identifiers, payloads and what receivers answer come from strangers. Nothing of
//! theirs reaches a terminal as a control character, in JSON neither.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufWriter, StdoutLock, Write as _};

use anyhow::{Context as _, Result};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::terminal::{escaped, is_hostile};

/// The longest text in a column, in characters; `show` and `--json` have all of it.
const LONGEST: usize = 60;

const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/// Standard output.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn new() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Writes a text, which is safe to write, and ends the line.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.0, "{text}").context("write to standard output")
    }

    /// Has everything written.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.0.flush().context("write to standard output")
    }
}

/// Returns whether an error says that nobody reads any more, as behind `| head`.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// What is told of one thing: keys and values, in this order.
#[derive(Debug, Default)]
pub(super) struct Record(Vec<(Cow<'static, str>, Value)>);

impl Record {
    /// Adds a key; `None` is null in JSON, and not shown to people.
    #[must_use]
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }

    /// Adds the keys of another.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Returns the object in one line.
    pub(super) fn to_json(&self) -> String {
        let json = serde_json::to_string(self)
            .expect("keys are text, and writing to memory does not fail");
        safe(&json)
    }

    /// Returns a line per key that has a value.
    pub(super) fn to_lines(&self) -> Vec<String> {
        let width = self.0.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        let line = |(key, value): &(Cow<'static, str>, Value)| {
            let text = match value {
                Value::Null => return None,
                Value::String(text) => escape(text),
                other => escape(&other.to_string()),
            };
            Some(format!("{:width$}  {text}", key.replace('_', " ")))
        };
        self.0.iter().filter_map(line).collect()
    }
}

impl From<Value> for Record {
    /// Returns the keys of an object; of anything else, none.
    fn from(value: Value) -> Self {
        let fields = match value {
            Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        };
        let fields = fields.into_iter();
        Self(fields.map(|(key, value)| (key.into(), value)).collect())
    }
}

impl From<Record> for Value {
    fn from(record: Record) -> Self {
        let fields = record.0.into_iter();
        Self::Object(
            fields
                .map(|(key, value)| (key.into_owned(), value))
                .collect(),
        )
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Returns JSON in lines, for people.
pub(super) fn pretty(value: &Value) -> String {
    let json = serde_json::to_string_pretty(value)
        .expect("keys are text, and writing to memory does not fail");
    let lines: Vec<String> = json.lines().map(safe).collect();
    lines.join("\n")
}

/// Returns JSON, in one line, without what a terminal may obey.
fn safe(json: &str) -> String {
    // What serde_json does not escape stands in strings only.
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").expect("memory takes it");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Aligned columns. Rows may come in portions: a column widens where it must, and is aligned from
/// there on.
pub(super) struct Table<const N: usize> {
    head: [&'static str; N],
    widths: [usize; N],
    is_begun: bool,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&'static str; N]) -> Self {
        Self {
            head,
            widths: head.map(str::len),
            is_begun: false,
        }
    }

    /// Writes rows of any text, behind the head if they are the first.
    pub(super) fn write(&mut self, rows: &[[String; N]], output: &mut Output) -> Result<()> {
        let rows: Vec<[String; N]> = rows.iter().map(cells).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        if !std::mem::replace(&mut self.is_begun, true) {
            output.line(&self.align(&self.head.map(str::to_owned)))?;
        }
        rows.iter()
            .try_for_each(|row| output.line(&self.align(row)))
    }

    fn align(&self, row: &[String; N]) -> String {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(self.widths) {
            write!(line, "{cell:width$}  ").expect("memory takes it");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Returns cells that are safe to write; all but the last are cut where they are too long.
fn cells<const N: usize>(row: &[String; N]) -> [String; N] {
    let mut cells = row.clone().map(|cell| escape(&cell));
    let inner = N.saturating_sub(1);
    for cell in &mut cells[..inner] {
        if let Some((end, _)) = cell.char_indices().nth(LONGEST) {
            let start_of_last = cell[..end]
                .char_indices()
                .next_back()
                .map_or(0, |(at, _)| at);
            cell.truncate(start_of_last);
            cell.push('\u{2026}');
        }
    }
    for cell in &mut cells {
        if cell.is_empty() {
            cell.push('-');
        }
    }
    cells
}

/// Returns a text in one line, with `\n`, `\u{1b}` and the like for what a terminal would obey, and
/// `\\` for a backslash.
pub(super) fn escape(text: &str) -> String {
    escaped(text, |it| is_hostile(it) || it == '\\').into_owned()
}

/// Returns a size for people, such as `1.5 MiB`.
pub(super) fn show_size(bytes: u64) -> String {
    let mut unit = 0;
    while bytes >> (10 * unit) >= 1_024 && unit + 1 < UNITS.len() {
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10) >> (10 * unit);
    match unit {
        0 => format!("{bytes} bytes"),
        unit => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// Returns a number of things, such as `1 dead letter` and `2 dead letters`.
pub(super) fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        let check = |text, expected: &str| assert_eq!(escape(text), expected);
        check(
            "sensors/1 21.5 \u{b0}C \u{e9} e\u{301} \u{6e29}\u{5ea6} \"'",
            "sensors/1 21.5 \u{b0}C \u{e9} e\u{301} \u{6e29}\u{5ea6} \"'",
        );
        check(
            "a\u{1b}[2J\u{7}b\r\n\tc\0\u{7f}",
            "a\\u{1b}[2J\\u{7}b\\r\\n\\tc\\u{0}\\u{7f}",
        );
        check("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}");
        check(
            "\u{202e}evil\u{2066}\u{2028}\u{200b}\u{feff}\u{e0041}",
            "\\u{202e}evil\\u{2066}\\u{2028}\\u{200b}\\u{feff}\\u{e0041}",
        );
        // What looks like an escape is not taken for one.
        check("a\\nb", "a\\\\nb");
    }

    #[test]
    fn json_is_in_one_line_and_reads_back_as_it_was() {
        let text = "a\u{1b}[2J\u{9b}\u{7f}\n\u{202e}\u{e0041}\"\\\u{e9}";
        let record = Record::default()
            .with("z", text)
            .with("a", 7_u64)
            .with("none", None::<String>);
        let json = record.to_json();
        assert!(!json.chars().any(is_hostile), "got {json:?}");
        assert!(
            json.starts_with("{\"z\":") && json.ends_with(",\"a\":7,\"none\":null}"),
            "got {json}"
        );
        let back: Value = serde_json::from_str(&json).expect("it is JSON");
        assert_eq!(back["z"], text);
    }

    #[test]
    fn lines_are_aligned_and_leave_out_what_is_not_known() {
        let record = Record::default()
            .with("id", 7_u64)
            .with("first_failed", None::<String>)
            .with("event_time", "a\nb");
        assert_eq!(
            record.to_lines(),
            ["id            7", "event time    a\\nb"]
        );
    }

    #[test]
    fn columns_are_aligned_and_long_texts_are_cut() {
        let mut table = Table::new(["A", "LONG", "LAST"]);
        let long = "\u{e9}".repeat(LONGEST + 1);
        let row = cells(&["1".to_owned(), long.clone(), long.clone()]);
        assert_eq!(row[1], "\u{e9}".repeat(LONGEST - 1) + "\u{2026}");
        assert_eq!(row[2], long);
        assert_eq!(
            cells(&["\u{e9}".repeat(LONGEST)]),
            ["\u{e9}".repeat(LONGEST)]
        );
        assert_eq!(cells(&[String::new()]), ["-"]);
        table.widths = [3, 4, 4];
        let line = table.align(&["1", "b", "c d"].map(str::to_owned));
        assert_eq!(line, "1    b     c d");
    }

    #[test]
    fn sizes_and_numbers_are_for_people() {
        let check = |bytes, expected: &str| assert_eq!(show_size(bytes), expected);
        check(0, "0 bytes");
        check(1_023, "1023 bytes");
        check(1_024, "1.0 KiB");
        check(1_600_000, "1.5 MiB");
        check(1 << 30, "1.0 GiB");
        check(u64::MAX, "16777215.9 TiB");
        assert_eq!(count(1, "dead letter"), "1 dead letter");
        assert_eq!(count(0, "dead letter"), "0 dead letters");
    }
}
