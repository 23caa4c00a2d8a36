//! Where secrets are written: passwords and the like, values of headers, and in URLs the user information and
//! the query.
//!
//! The tree of values knows most places. A text that is torn has only part of a tree, so URLs are
//! looked for in the text, too: whatever follows a key `url`, and whatever holds `://`.

use std::ops::Range;

use super::problem::Problem;
use super::source::{SourceId, Sources, Span};
use super::value::{Entry, Table, Value};

const URL: &str = "url";
const PROXY: &str = "proxy";

/// Most URLs that are looked at within one word. What is secret in those behind them is so in the first as well.
const MOST_IN_WORD: usize = 16;

/// Keys whose values are secrets, or lists of them.
const SECRETS: [&str; 7] = [
    "password",
    "plugin_key",
    "secret",
    "secrets",
    "token",
    "value",
    "client_secret",
];

/// Returns whether the value of a key is a secret.
pub(super) fn is_key_of_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// Returns whether the value of a key is a URL.
pub(super) fn is_key_of_url(key: &str) -> bool {
    key.ends_with(URL) || key == PROXY
}

/// Returns where passwords, other secrets, and the values of headers are written.
pub(super) fn credentials(table: &Table) -> Vec<Span> {
    let mut secrets = Vec::new();
    for (key, entry) in table {
        match &entry.node.value {
            Value::Table(headers) if key == "headers" => {
                secrets.extend(headers.values().map(|entry| entry.node.span));
            }
            Value::Table(table) => secrets.extend(credentials(table)),
            _ if SECRETS.contains(&key.as_str()) => secrets.push(entry.node.span),
            _ => {}
        }
    }
    secrets
}

/// Returns where the values of keys are written that are themselves the problem: `passwort` may be
/// a password.
pub(super) fn values_of_strange_keys(table: &Table, problems: &[Problem]) -> Vec<Span> {
    let mut values = Vec::new();
    for entry in table.values() {
        let is_strange = problems
            .iter()
            .any(|problem| problem.span == Some(entry.key_span));
        match &entry.node.value {
            Value::Table(table) if is_strange => values.extend(texts(table)),
            Value::Table(table) => values.extend(values_of_strange_keys(table, problems)),
            Value::String(_) if is_strange => values.push(entry.node.span),
            _ => {}
        }
    }
    values
}

/// Returns where the strings in a table are written.
fn texts(table: &Table) -> Vec<Span> {
    let spans = table.values().map(|entry| match &entry.node.value {
        Value::Table(table) => texts(table),
        Value::String(_) => vec![entry.node.span],
        _ => Vec::new(),
    });
    spans.flatten().collect()
}

/// Returns where user information and queries are written.
pub(super) fn in_urls(table: &Table, sources: &Sources) -> Vec<Span> {
    let mut secrets = in_url_values(table, sources);
    for (source, text) in sources.texts() {
        let parts = urls(text)
            .into_iter()
            .flat_map(|url| parts(text, url, source));
        secrets.extend(parts);
    }
    secrets
}

/// Takes what is secret in URLs out of what is said of them: a torn string may be taken for a key,
/// which messages name.
pub(super) fn unsay(problems: &mut [Problem], in_urls: &[Span], sources: &Sources) {
    let needles: Vec<String> = in_urls
        .iter()
        .filter_map(|span| needle(*span, sources))
        .collect();
    for problem in problems {
        for text in std::iter::once(&mut problem.message).chain(&mut problem.help) {
            for needle in needles.iter().filter(|needle| needle.len() > 1) {
                if text.contains(needle.as_str()) {
                    *text = text.replace(needle, "***");
                }
            }
        }
    }
}

/// Returns what is secret, up to a quote, with the `?` before or the `@` behind it, which keep it
/// from being part of another word.
fn needle(secret: Span, sources: &Sources) -> Option<String> {
    let text = &sources.get(secret.source).text;
    let written = &text[secret.start..secret.end];
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    if text[..secret.start].ends_with('?') {
        Some(format!("?{}", written.split(is_end).next()?))
    } else if text[secret.end..].starts_with('@') {
        Some(format!("{}@", written.rsplit(is_end).next()?))
    } else {
        None
    }
}

/// Returns whether a URL, or what could be one, has user information or a query.
pub(super) fn is_in(url: &str) -> bool {
    url.contains(['@', '?'])
}

/// Returns the secret parts of the values of all keys `url` and `token_url`.
fn in_url_values(table: &Table, sources: &Sources) -> Vec<Span> {
    let in_entry = |(key, entry): (&String, &Entry)| match &entry.node.value {
        Value::Table(table) => in_url_values(table, sources),
        Value::String(_) if is_key_of_url(key) => {
            let span = entry.node.span;
            let text = &sources.get(span.source).text;
            if text[span.start..span.end].contains('\\') {
                // What is escaped may be the `@` or the `?`.
                return vec![span];
            }
            parts(text, span.start..span.end, span.source).collect()
        }
        _ => Vec::new(),
    };
    table.iter().flat_map(in_entry).collect()
}

/// Returns the user information and the query of a URL.
///
/// The former ends at the last `@`, wherever that is: a password may hold a `/` all the same.
fn parts(text: &str, url: Range<usize>, source: SourceId) -> impl Iterator<Item = Span> + use<> {
    let written = &text[url.clone()];
    let behind_slashes = written.find("//").map_or(0, |slashes| slashes + 2);
    let user = written.rfind('@').map(|at| behind_slashes.min(at)..at);
    let query = written
        .match_indices('?')
        .map(|(mark, _)| mark + 1)
        .find(|mark| !written[..*mark].ends_with("${?"))
        .map(|behind_mark| behind_mark..written.len());
    [user, query]
        .into_iter()
        .flatten()
        .map(move |part| Span::new(source, url.start + part.start, url.start + part.end))
}

/// Returns where a text has URLs, and what stands in place of one.
fn urls(text: &str) -> Vec<Range<usize>> {
    let behind_keys = text.match_indices(URL).filter_map(|(start, _)| {
        let end = start + URL.len();
        let is_key = !text[..start].ends_with(is_of_name) && !text[end..].starts_with(is_of_name);
        is_key.then(|| behind_key(text, start..end))
    });
    let schemes = text.match_indices("://").map(|(colon, _)| {
        let scheme = text[..colon].trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        // A quote before it is where the value starts.
        let quote = scheme.ends_with(['"', '\'']);
        scheme.len() - usize::from(quote)
    });
    let mut urls: Vec<Range<usize>> = Vec::new();
    let (mut word, mut in_word) = (0..0, 0);
    for start in behind_keys.chain(schemes) {
        // From anywhere in a word without quotes the value ends at the same place.
        if let Some(last) = urls.last().filter(|_| word.contains(&start)) {
            let end = last.end;
            in_word += 1;
            if in_word < MOST_IN_WORD {
                urls.push(start..end);
            }
            continue;
        }
        urls.push(start..end_of_value(text, start));
        let has_quotes = text[start..].starts_with(['"', '\'', '$']);
        let length = length_of_piece(&text[start..]);
        (word, in_word) = (start..if has_quotes { start } else { start + length }, 0);
    }
    urls
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Returns where the value of a key starts that stands at `key`, be there an operator or not.
fn behind_key(text: &str, key: Range<usize>) -> usize {
    let is_quoted = text[..key.start].ends_with(['"', '\'']);
    let rest = &text[key.end..];
    let rest = match rest.strip_prefix(['"', '\'']) {
        Some(behind_quote) if is_quoted => behind_quote,
        _ => rest,
    };
    let value =
        rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '+' | '=' | ':'));
    text.len() - value.len()
}

/// Returns where a value ends: a word, or quoted strings and substitutions one behind the other.
fn end_of_value(text: &str, start: usize) -> usize {
    let mut at = start;
    loop {
        at += length_of_piece(&text[at..]);
        let rest = &text[at..];
        let next = rest.trim_start_matches([' ', '\t']);
        if next.starts_with(['"', '\'']) || next.starts_with("${") {
            at = text.len() - next.len();
        } else if rest.is_empty() || rest.starts_with(|c: char| c.is_whitespace() || is_end(c)) {
            return at;
        }
    }
}

fn is_end(c: char) -> bool {
    matches!(c, ',' | '}' | ']' | '#')
}

/// Returns how long the string, substitution or word is that a text starts with: at least 1, unless
/// it is empty or starts with a space.
fn length_of_piece(text: &str) -> usize {
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| text.starts_with(quote));
    if let Some(quote) = quote {
        let line = text.find('\n').filter(|_| quote.len() == 1);
        let inside = &text[quote.len()..line.unwrap_or(text.len())];
        return match inside.find(quote) {
            Some(end) => quote.len() + end + quote.len(),
            None => quote.len() + inside.len(),
        };
    }
    let is_substitution = text.starts_with("${");
    let is_behind = |(index, c): &(usize, char)| {
        c.is_whitespace()
            || matches!(c, '"' | '\'')
            || (*index > 0 && text[*index..].starts_with("${"))
            || (is_substitution && text[..*index].ends_with('}'))
    };
    text.char_indices()
        .find(is_behind)
        .map_or(text.len(), |(index, _)| index)
}
