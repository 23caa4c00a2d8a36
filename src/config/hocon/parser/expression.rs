//! Reads values: strings, numbers, substitutions, and what is joined of them.

use super::Parser;
use crate::config::hocon::MAX_VALUES;
use crate::config::hocon::lexer::is_space;
use crate::config::hocon::report::Report;
use crate::config::hocon::syntax::{Expression, Piece, Substitution, Term, excerpt};
use crate::config::secret;
use crate::config::source::Span;
use crate::config::value::Value;

impl Parser<'_, '_> {
    /// Reads a value up to the comma, bracket, comment or line break behind it.
    ///
    /// A value with an error is read to its end as a string; `None` if there is no value at all.
    pub(super) fn expression(&mut self) -> Option<Expression> {
        self.lexer.skip_spaces();
        let start = self.lexer.at();
        let mut pieces = Vec::new();
        let mut broken = false;
        let mut end = start;
        loop {
            let behind_piece = self.lexer.at();
            self.lexer.skip_spaces();
            if self.is_behind_value(&pieces) {
                break;
            }
            let gap = self.lexer.since(behind_piece).to_owned();
            let here = self.lexer.at();
            match self.term(pieces.last()) {
                Some(term) => pieces.push(Piece {
                    gap,
                    term,
                    span: self.lexer.span(here),
                }),
                None => broken = true,
            }
            end = self.lexer.at();
        }
        self.lexer.go_to(end);
        let span = self.lexer.span(start);
        if broken {
            let text = Value::String(self.lexer.since(start).to_owned());
            pieces = vec![Piece {
                gap: String::new(),
                term: Term::Scalar(text),
                span,
            }];
        }
        (!pieces.is_empty()).then_some(Expression { pieces, span })
    }

    fn is_behind_value(&mut self, pieces: &[Piece]) -> bool {
        if self.lexer.is_at_comment() {
            self.warn_of_cut(pieces.last());
            return true;
        }
        let behind_bracket = matches!(
            pieces.last(),
            Some(Piece {
                term: Term::Array(_) | Term::Object(_),
                ..
            })
        );
        match self.lexer.peek() {
            None | Some('\n' | ',' | '}' | ']') => true,
            Some('"') => behind_bracket,
            Some(_) => behind_bracket && self.lexer.is_at_plain(),
        }
    }

    /// Reads one piece; `None`, with the problem reported, if it cannot be one.
    fn term(&mut self, previous: Option<&Piece>) -> Option<Term> {
        self.count_value();
        match self.lexer.peek()? {
            '{' => Some(Term::Object(self.object())),
            '[' => Some(Term::Array(self.array())),
            '"' => self.string(),
            '$' if self.lexer.is_at("${") => self.substitution().map(Term::Substitution),
            _ if self.lexer.is_at_plain() => Some(Term::Scalar(self.plain())),
            _ => {
                self.report_reserved(previous);
                None
            }
        }
    }

    fn count_value(&mut self) {
        self.values += 1;
        if self.values == MAX_VALUES {
            let message = format!("the file holds more than {MAX_VALUES} values");
            self.error(self.lexer.here(), message, "make it smaller");
            self.lexer.go_to_end();
            self.lost = true;
        }
    }

    fn string(&mut self) -> Option<Term> {
        let start = self.lexer.at();
        let quoted = self.lexer.quoted(self.report);
        self.lost |= !quoted.closed;
        self.warn_of_quoted_substitution(&quoted.text, start);
        quoted
            .closed
            .then_some(Term::Scalar(Value::String(quoted.text)))
    }

    fn plain(&mut self) -> Value {
        if let Some(number) = signed_exponent(self.lexer.rest()) {
            self.lexer.eat(number);
            return Value::Number(number.to_owned());
        }
        match self.lexer.unquoted() {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text if number_length(text) == text.len() => Value::Number(text.to_owned()),
            text => Value::String(text.to_owned()),
        }
    }

    fn substitution(&mut self) -> Option<Substitution> {
        let start = self.lexer.at();
        self.lexer.eat("${");
        let optional = self.lexer.eat("?");
        let path = self.lexer.path(&mut Report::default());
        self.lexer.skip_spaces();
        if let Some(path) = path.filter(|_| self.lexer.is_at("}")) {
            self.lexer.eat("}");
            let path = path.into_iter().map(|key| key.name).collect();
            return Some(Substitution { path, optional });
        }
        self.lexer.skip_while(|c| !matches!(c, '}' | '\n'));
        if self.lexer.eat("}") {
            let help = "write `${name}`, or `${?name}` if it may be missing";
            self.error(
                self.lexer.span(start),
                "this substitution names nothing",
                help,
            );
        } else {
            self.error(
                self.lexer.span(start),
                "`${` is never closed",
                "add the missing `}`",
            );
            self.lost = true;
        }
        None
    }

    /// Reports a character that unquoted text cannot hold, and moves behind the word it stands in.
    fn report_reserved(&mut self, previous: Option<&Piece>) {
        let Some(character) = self.lexer.peek() else {
            return;
        };
        let at = self.lexer.here();
        let is_operator = matches!(character, '=' | ':');
        let spaced = self.lexer.before().is_some_and(is_space)
            || self.lexer.rest()[1..].chars().next().is_none_or(is_space);
        if is_operator && spaced {
            self.report_operator(character, at);
            self.lexer.advance();
            return;
        }
        let word = self.word_around(previous);
        let whole = self.lexer.since(word.start);
        let text = excerpt(whole);
        let is_secret = secret::is_in(whole);
        if whole.contains("://") {
            let (message, help) = if is_secret {
                (
                    "the URL must be quoted".to_owned(),
                    "put the URL into quotes".to_owned(),
                )
            } else {
                (
                    format!("the URL `{text}` must be quoted"),
                    format!("write `\"{text}\"`"),
                )
            };
            self.error(word, message, format!("`//` begins a comment; {help}"));
        } else {
            let help = if is_secret {
                "put the value into quotes".to_owned()
            } else {
                format!("quote the value: `\"{text}\"`")
            };
            self.error(
                at,
                format!("`{character}` cannot stand in an unquoted value"),
                help,
            );
        }
    }

    /// Reports an operator within a value; where that is an array's, the array was to end earlier.
    fn report_operator(&mut self, operator: char, at: Span) {
        if let Some(('[', opening)) = self.open.last().copied() {
            self.report_unclosed('[', opening, "add the missing `]`".to_owned());
            self.lost = true;
        }
        if !self.lost {
            self.error(
                at,
                format!("`{operator}` in the middle of a value"),
                "put a comma or a line break between two settings, or quote the value",
            );
        }
    }

    /// Moves to the end of the word that stands here and returns all of it.
    fn word_around(&mut self, previous: Option<&Piece>) -> Span {
        let start = self.start_of_word(previous);
        let mut in_url = self.lexer.since(start).contains("://");
        let mut depth = 0_usize;
        while let Some(next) = self.lexer.peek() {
            in_url |= self.lexer.since(start).ends_with("://");
            match next {
                '"' | ',' => break,
                _ if is_space(next) || self.lexer.is_at("${") => break,
                '[' | '{' if in_url => depth += 1,
                ']' | '}' if depth > 0 => depth -= 1,
                '[' | '{' | ']' | '}' => break,
                _ => {}
            }
            self.lexer.advance();
        }
        self.lexer.span(start)
    }

    /// Returns where the unquoted word starts that ends here.
    pub(super) fn start_of_word(&self, previous: Option<&Piece>) -> usize {
        let at = self.lexer.at();
        let Some(piece) =
            previous.filter(|piece| piece.span.end == at && self.is_plain_text(piece))
        else {
            return at;
        };
        let text = self.lexer.since(piece.span.start);
        let word = text.rsplit(is_space).next().unwrap_or(text);
        at - word.len()
    }

    pub(super) fn is_plain_text(&self, piece: &Piece) -> bool {
        matches!(piece.term, Term::Scalar(_)) && self.lexer.before() != Some('"')
    }
}

/// Returns the number that starts the text if it has a `+` in its exponent, which unquoted text
/// could not hold.
fn signed_exponent(text: &str) -> Option<&str> {
    let number = &text[..number_length(text)];
    let next = text[number.len()..].chars().next();
    let ends = next.is_none_or(|c| is_space(c) || matches!(c, ',' | '}' | ']' | '#'));
    (ends && number.contains('+')).then_some(number)
}

/// Returns the length of the number (RFC 8259, section 6) that starts the text; 0 if none does.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let sign = usize::from(text.starts_with('-'));
    let integer = digits(sign);
    if integer == 0 || (integer > 1 && bytes[sign] == b'0') {
        return 0;
    }
    let mut length = sign + integer;
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if fraction == 0 {
            return length;
        }
        length += 1 + fraction;
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits((length + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_json() {
        let check =
            |text: &str, number: &str| assert_eq!(&text[..number_length(text)], number, "{text}");
        check("0", "0");
        check("-12.50e-3,", "-12.50e-3");
        check("1E+5 ", "1E+5");
        check("10MB", "10");
        check("1.5m", "1.5");
        check("1.", "1");
        check("1.x", "1");
        check("1e", "1");
        check("1e+", "1");
        for text in ["", "-", "+1", ".5", "007", "-01", "x1", "é"] {
            check(text, "");
        }
    }

    #[test]
    fn only_numbers_that_end_there_may_hold_a_plus() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(signed_exponent(text), expected, "{text}");
        };
        check("1e+5", Some("1e+5"));
        check("1e+5}", Some("1e+5"));
        check("1e+5x", None);
        check("1e5", None);
    }
}
