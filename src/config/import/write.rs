//! A tree of values as text, with comments before it.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use super::super::source::{SourceId, Sources};
use super::super::value::{Node, Table, Value};
use super::{Note, Notes, VARIABLE};

/// The widest that comments are.
const WIDTH: usize = 100;

/// How a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// TOML.
    Toml,
    /// HOCON.
    Hocon,
}

impl Notation {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Toml => Self::Hocon,
            Self::Hocon => Self::Toml,
        }
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Toml => "toml",
            Self::Hocon => "hocon",
        })
    }
}

/// Returns the whole file.
pub(super) fn file(
    path: &Path,
    table: &Table,
    notation: Notation,
    notes: &Notes,
    sources: &Sources,
) -> String {
    let mut text = String::new();
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy();
    comment(
        &mut text,
        "",
        &format!("Made from {name} by `mqhook import`."),
    );
    comment(
        &mut text,
        "",
        "Take the webhook out of the broker's own file: otherwise both post every event.",
    );
    heading(&mut text, "What is different:");
    for line in &notes.different {
        comment(&mut text, "- ", line);
    }
    listed(&mut text, "What was left out:", &notes.left_out, sources);
    listed(
        &mut text,
        "What should be looked at:",
        &notes.doubtful,
        sources,
    );
    match notation {
        Notation::Toml => toml_table(&mut text, "", table),
        Notation::Hocon => {
            text.push('\n');
            hocon_table(&mut text, 0, table);
        }
    }
    text
}

fn listed(text: &mut String, title: &str, notes: &[Note], sources: &Sources) {
    if notes.is_empty() {
        return;
    }
    heading(text, title);
    // Where the lines of each source end.
    let mut ends: HashMap<SourceId, Vec<usize>> = HashMap::new();
    for note in notes {
        let place = note.span.map(|span| {
            let source = sources.get(span.source);
            let ends = ends.entry(span.source).or_insert_with(|| {
                let ends = source.text.match_indices('\n');
                ends.map(|(at, _)| at).collect()
            });
            let line = ends.partition_point(|end| *end < span.start) + 1;
            let first = sources.first();
            if first.is_some_and(|first| first.name == source.name) {
                format!("line {line}: ")
            } else {
                format!("{}, line {line}: ", source.name)
            }
        });
        let place = place.unwrap_or_default();
        comment(text, "- ", &format!("{place}{}", note.text));
    }
}

fn heading(text: &mut String, title: &str) {
    text.push_str("#\n");
    comment(text, "", title);
}

/// Writes a comment, in as many lines as it takes; nothing of it can end the comment.
fn comment(text: &mut String, bullet: &str, words: &str) {
    let indent = " ".repeat(bullet.len());
    let mut line = format!("# {bullet}");
    let mut is_empty = true;
    for word in words.split([' ', '\n', '\t']) {
        let word: String = word.chars().map(harmless).collect();
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            line = format!("\n# {indent}");
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(&word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn harmless(character: char) -> char {
    let is_line_end = matches!(character, '\u{2028}' | '\u{2029}');
    if character.is_control() || is_line_end || character == VARIABLE.0 || character == VARIABLE.1 {
        '?'
    } else {
        character
    }
}

fn toml_table(text: &mut String, path: &str, table: &Table) {
    let (tables, values): (Vec<_>, Vec<_>) = table
        .iter()
        .filter(|(_, entry)| entry.node.value != Value::Null)
        .partition(|(_, entry)| matches!(entry.node.value, Value::Table(_)));
    if !path.is_empty() && (!values.is_empty() || tables.is_empty()) {
        let _ = write!(text, "\n[{path}]\n");
    } else if !values.is_empty() {
        text.push('\n');
    }
    for (key, entry) in values {
        let _ = writeln!(text, "{} = {}", name(key), toml_value(&entry.node, true));
    }
    for (key, entry) in tables {
        let Value::Table(inner) = &entry.node.value else {
            continue;
        };
        let key = name(key);
        let path = if path.is_empty() {
            key
        } else {
            format!("{path}.{key}")
        };
        toml_table(text, &path, inner);
    }
}

fn toml_value(node: &Node, is_outermost: bool) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if is_toml_number(number) => number.clone(),
        Value::Number(text) | Value::String(text) => toml_string(text),
        Value::Array(elements) => list(elements, is_outermost, &|node| toml_value(node, false)),
        Value::Table(table) => {
            let pairs = table
                .iter()
                .filter(|(_, entry)| entry.node.value != Value::Null)
                .map(|(key, entry)| format!("{} = {}", name(key), toml_value(&entry.node, false)));
            braces(&pairs.collect::<Vec<_>>())
        }
    }
}

/// HOCON has numbers that TOML has not, such as 007.
fn is_toml_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.len() <= 18 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain && !digits.is_empty() && (digits == "0" || !digits.starts_with('0'))
}

fn toml_string(text: &str) -> String {
    let mut written = String::from("\"");
    let text = text.replace("${", "$${");
    for character in text.chars() {
        match character {
            c if c == VARIABLE.0 => written.push_str("${"),
            c if c == VARIABLE.1 => written.push('}'),
            other => escaped(&mut written, other),
        }
    }
    written + "\""
}

fn hocon_table(text: &mut String, depth: usize, table: &Table) {
    let indent = "  ".repeat(depth);
    for (key, entry) in table {
        let key = name(key);
        match &entry.node.value {
            Value::Null => {}
            Value::Table(inner) => {
                let _ = writeln!(text, "{indent}{key} {{");
                hocon_table(text, depth + 1, inner);
                let _ = writeln!(text, "{indent}}}");
            }
            _ => {
                let value = hocon_value(&entry.node, true);
                let value = value.replace('\n', &format!("\n{indent}"));
                let _ = writeln!(text, "{indent}{key} = {value}");
            }
        }
    }
}

fn hocon_value(node: &Node, is_outermost: bool) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if is_toml_number(number) => number.clone(),
        Value::Number(text) | Value::String(text) => hocon_string(text),
        Value::Array(elements) => list(elements, is_outermost, &|node| hocon_value(node, false)),
        Value::Table(table) => {
            let pair = |(key, entry): (&String, &super::super::value::Entry)| {
                format!("{} = {}", name(key), hocon_value(&entry.node, false))
            };
            braces(&table.iter().map(pair).collect::<Vec<_>>())
        }
    }
}

/// A variable stands between quoted parts, which are joined.
fn hocon_string(text: &str) -> String {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, variable)) = rest.split_once(VARIABLE.0) {
        let (name, behind) = variable.split_once(VARIABLE.1).unwrap_or((variable, ""));
        parts.push(quoted(before));
        parts.push(format!("${{{name}}}"));
        rest = behind;
    }
    parts.push(quoted(rest));
    if parts.len() > 1 {
        parts.retain(|part| part != "\"\"");
    }
    parts.concat()
}

fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    text.chars()
        .for_each(|character| escaped(&mut written, character));
    written + "\""
}

/// Both notations escape as JSON does.
fn escaped(written: &mut String, character: char) {
    match character {
        '"' => written.push_str("\\\""),
        '\\' => written.push_str("\\\\"),
        '\n' => written.push_str("\\n"),
        '\t' => written.push_str("\\t"),
        '\r' => written.push_str("\\r"),
        other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}') => {
            let _ = write!(written, "\\u{:04x}", u32::from(other));
        }
        other => written.push(other),
    }
}

/// Lists of tables have a line for each.
fn list(elements: &[Node], is_outermost: bool, write: &dyn Fn(&Node) -> String) -> String {
    let is_tables = elements
        .iter()
        .any(|node| matches!(node.value, Value::Table(_)));
    let elements: Vec<String> = elements.iter().map(write).collect();
    if is_outermost && is_tables {
        format!("[\n  {},\n]", elements.join(",\n  "))
    } else {
        format!("[{}]", elements.join(", "))
    }
}

fn braces(pairs: &[String]) -> String {
    if pairs.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", pairs.join(", "))
    }
}

fn name(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) && key != "include" {
        key.to_owned()
    } else {
        quoted(key)
    }
}
