//! Moves over the text of one file: blanks, comments, strings, keys and unquoted text.
//!
//! Only the offset changes; it stands on a character boundary always.

use super::report::Report;
use super::syntax::Key;
use crate::config::problem::Problem;
use crate::config::source::{SourceId, Span};

/// Characters that unquoted text cannot hold (HOCON.md, "Unquoted strings").
const RESERVED: &str = "$\"{}[]:=,+#`^?!@*&\\";

/// Most bytes of a dotted key.
const MAX_KEY_BYTES: usize = 1024;

/// A place in a text.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    source: SourceId,
    at: usize,
}

/// A string in quotes.
#[derive(Debug)]
pub(super) struct Quoted {
    pub text: String,
    /// Whether its end was found; if not, the problem is reported already.
    pub closed: bool,
}

/// Returns whether unquoted text may hold the character.
pub(super) fn is_plain(character: char) -> bool {
    !RESERVED.contains(character) && !is_space(character)
}

/// Returns whether the character is white space in HOCON; line breaks are.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str, source: SourceId) -> Self {
        Self {
            text,
            source,
            at: 0,
        }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// Moves to an offset that `at` returned before.
    pub fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    pub fn go_to_end(&mut self) {
        self.at = self.text.len();
    }

    pub fn span(&self, start: usize) -> Span {
        Span::new(self.source, start, self.at)
    }

    /// Returns the place of the next character, or of the end.
    pub fn here(&self) -> Span {
        let length = self.peek().map_or(0, char::len_utf8);
        Span::new(self.source, self.at, self.at + length)
    }

    pub fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.at]
    }

    pub fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    /// Moves behind the next character.
    pub fn advance(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    pub fn is_at(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.is_at(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub fn skip_while(&mut self, matches: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !matches(c)).unwrap_or(rest.len());
    }

    /// Skips white space within the line.
    pub fn skip_spaces(&mut self) {
        self.skip_while(|c| c != '\n' && is_space(c));
    }

    pub fn is_at_comment(&self) -> bool {
        self.is_at("#") || self.is_at("//")
    }

    /// Skips up to the line break.
    pub fn skip_line(&mut self) {
        self.skip_while(|c| c != '\n');
    }

    /// Skips white space, comments and line breaks; returns whether a line break was among them.
    pub fn skip_blank(&mut self) -> bool {
        let start = self.at;
        loop {
            self.skip_while(is_space);
            if !self.is_at_comment() {
                break;
            }
            self.skip_line();
        }
        self.since(start).contains('\n')
    }

    /// Returns whether unquoted text can start or go on here.
    pub fn is_at_plain(&self) -> bool {
        !self.is_at("//") && self.peek().is_some_and(is_plain)
    }

    /// Takes unquoted text with the spaces within it, but not those behind it.
    pub fn unquoted(&mut self) -> &'t str {
        let start = self.at;
        let mut end = start;
        while self.is_at_plain() {
            self.word(is_plain);
            end = self.at;
            self.skip_spaces();
        }
        self.at = end;
        self.since(start)
    }

    fn word(&mut self, matches: impl Fn(char) -> bool) {
        let rest = self.rest();
        let end = rest.find(|c| !matches(c)).unwrap_or(rest.len());
        self.at += rest[..end].find("//").unwrap_or(end);
    }

    /// Takes a string; the next character must be its opening quote.
    pub fn quoted(&mut self, report: &mut Report) -> Quoted {
        if self.is_at("\"\"\"") {
            self.triple_quoted(report)
        } else {
            self.double_quoted(report)
        }
    }

    fn triple_quoted(&mut self, report: &mut Report) -> Quoted {
        let start = self.at;
        self.at += 3;
        let body = self.rest();
        let Some(mut end) = body.find("\"\"\"") else {
            self.go_to_end();
            report.add(
                Problem::error(
                    Span::new(self.source, start, start + 3),
                    "this string is never closed",
                )
                .help("add the missing `\"\"\"`"),
            );
            return Quoted {
                text: body.to_owned(),
                closed: false,
            };
        };
        // Of four or more quotes, the last three are the end.
        end += body[end + 3..]
            .bytes()
            .take_while(|byte| *byte == b'"')
            .count();
        self.at += end + 3;
        Quoted {
            text: body[..end].to_owned(),
            closed: true,
        }
    }

    fn double_quoted(&mut self, report: &mut Report) -> Quoted {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let chunk = self.at;
            self.skip_while(|c| !matches!(c, '"' | '\\' | '\n'));
            text.push_str(self.since(chunk));
            if self.eat("\"") {
                return Quoted { text, closed: true };
            }
            if self.is_at("\\") {
                self.escape(&mut text, report);
                continue;
            }
            report.add(
                Problem::error(self.span(start), "this string is not closed on its line")
                    .help("add the missing `\"`; `\"\"\"` opens a string of several lines"),
            );
            return Quoted {
                text,
                closed: false,
            };
        }
    }

    fn escape(&mut self, text: &mut String, report: &mut Report) {
        let start = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('u') => return self.unicode_escape(text, report),
            None | Some('\n' | '\r') => return,
            Some(other) => {
                self.at += other.len_utf8();
                report.add(
                    Problem::error(self.span(start), format!("unknown escape `\\{other}`"))
                        .help("write `\\\\` for a backslash"),
                );
                return;
            }
        };
        self.at += 1;
        text.push(character);
    }

    fn unicode_escape(&mut self, text: &mut String, report: &mut Report) {
        let start = self.at - 1;
        self.at += 1;
        let mut units: Vec<u16> = self.hex4().into_iter().collect();
        if matches!(units.as_slice(), [0xD800..0xDC00]) && self.eat("\\u") {
            units.extend(self.hex4());
        }
        match String::from_utf16(&units) {
            Ok(decoded) if !decoded.is_empty() => text.push_str(&decoded),
            _ => report.add(
                Problem::error(self.span(start), "this `\\u` escape is no character")
                    .help("write four hexadecimal digits, or the character itself"),
            ),
        }
    }

    fn hex4(&mut self) -> Option<u16> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    /// Takes a dotted key, as far as one stands here; `None`, with the problem reported, if none does.
    pub fn path(&mut self, report: &mut Report) -> Option<Vec<Key>> {
        let mut path = Vec::new();
        let start = self.at;
        loop {
            self.skip_spaces();
            path.push(self.key(report)?);
            if self.at - start > MAX_KEY_BYTES {
                let message = format!("this key is longer than {MAX_KEY_BYTES} bytes");
                report.add(Problem::error(self.span(start), message).help("write a shorter one"));
                return None;
            }
            let behind_key = self.at;
            self.skip_spaces();
            if !self.eat(".") {
                self.at = behind_key;
                return Some(path);
            }
        }
    }

    /// Takes one part of a dotted key: words and strings, with the spaces between them.
    fn key(&mut self, report: &mut Report) -> Option<Key> {
        let start = self.at;
        let mut end = start;
        let mut name = String::new();
        loop {
            let gap = self.since(end);
            if self.is_at("\"") {
                name.push_str(gap);
                let quoted = self.quoted(report);
                if !quoted.closed {
                    return None;
                }
                name.push_str(&quoted.text);
            } else if self.is_at_plain() && !self.is_at(".") {
                name.push_str(gap);
                let word = self.at;
                self.word(|c| c != '.' && is_plain(c));
                name.push_str(self.since(word));
            } else {
                break;
            }
            end = self.at;
            self.skip_spaces();
        }
        self.at = end;
        if start == end {
            self.report_no_key(report);
            return None;
        }
        Some(Key {
            name,
            span: self.span(start),
        })
    }

    fn report_no_key(&self, report: &mut Report) {
        let problem = match self.peek() {
            Some('.') => Problem::error(self.here(), "a part of this key is empty")
                .help("remove the extra `.`, or quote the key"),
            Some(other) if other != '\n' => {
                Problem::error(self.here(), format!("expected a key, found `{other}`"))
                    .help("put the key in double quotes if it has this character")
            }
            _ => Problem::error(self.here(), "the key is missing").help("write a name here"),
        };
        report.add(problem);
    }
}

#[cfg(test)]
mod tests;
