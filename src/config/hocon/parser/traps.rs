//! Warns of what HOCON permits but nobody means.
//!
//! | written | read as |
//! |---|---|
//! | `topic = x/#` | `x/` and a comment |
//! | `[{ a = 1 } { b = 2 }]` | one element, both tables in one |
//! | `a = 1` and `a = 2` in the same braces | 2 |
//! | `"http://${HOST}/"` | a dollar sign and braces |

use std::collections::HashSet;

use super::Parser;
use crate::config::hocon::lexer::is_space;
use crate::config::hocon::syntax::{Expression, Item, Operator, Piece, Term, dotted, excerpt};
use crate::config::problem::Problem;
use crate::config::secret;
use crate::config::value::Value;

impl Parser<'_, '_> {
    /// Warns if the comment that stands here looks as if it were meant as a part of the value.
    pub(super) fn warn_of_cut(&mut self, previous: Option<&Piece>) {
        let at = self.lexer.at();
        let marker = if self.lexer.is_at("#") { "#" } else { "//" };
        let cut = previous.is_some_and(|piece| {
            piece.span.end == at
                && matches!(piece.term, Term::Scalar(Value::String(_)))
                && self.is_plain_text(piece)
        });
        if !cut {
            return;
        }
        let start = self.start_of_word(previous);
        self.lexer
            .skip_while(|c| !is_space(c) && !matches!(c, ',' | ']' | '}'));
        let span = self.lexer.span(start);
        let word = self.lexer.since(start);
        // The value may be a secret, which is known only when its key is; help about secrets is replaced then.
        let message = format!("`{marker}` begins a comment and cuts the value");
        let help = if secret::is_in(word) {
            "put the value into quotes".to_owned()
        } else {
            format!("quote the value: `\"{}\"`", excerpt(word))
        };
        self.lexer.go_to(at);
        self.report.add(Problem::warning(span, message).help(help));
    }

    /// Warns if two tables, or two arrays, of one line are one element.
    pub(super) fn warn_of_joined_elements(&mut self, value: &Expression) {
        let tables = value
            .pieces
            .iter()
            .filter(|piece| matches!(piece.term, Term::Object(_)));
        let arrays = value
            .pieces
            .iter()
            .filter(|piece| matches!(piece.term, Term::Array(_)));
        for (kind, second) in [
            ("tables", tables.skip(1).last()),
            ("arrays", arrays.skip(1).last()),
        ] {
            if let Some(second) = second {
                self.report.add(
                    Problem::warning(
                        second.span,
                        format!("{kind} on the same line are joined into one element"),
                    )
                    .help("put a comma or a line break before this one"),
                );
            }
        }
    }

    /// Warns if a statement overrides a scalar of the same braces; `scalars` holds those so far.
    pub(super) fn warn_of_duplicate(&mut self, item: &Item, scalars: &mut HashSet<String>) {
        let Item::Field(field) = item else { return };
        let name = dotted(field.path.iter().map(|key| &key.name));
        if field.operator != Operator::Set || field.value.scalar().is_none() {
            scalars.remove(&name);
            return;
        }
        // The values stay unsaid: they may be secrets.
        if !scalars.insert(name.clone()) {
            let span = field
                .path
                .iter()
                .fold(field.path[0].span, |all, key| all.to(key.span));
            self.report.add(
                Problem::warning(
                    span,
                    format!("`{name}` is set twice, and its first value is lost"),
                )
                .help("remove one of the two"),
            );
        }
    }

    /// Warns if a string holds what would be a substitution outside the quotes; three quotes
    /// say that it is meant.
    pub(super) fn warn_of_quoted_substitution(&mut self, text: &str, start: usize) {
        if self.lexer.since(start).starts_with("\"\"\"") {
            return;
        }
        if let Some(name) = substitution_in(text) {
            self.report.add(
                Problem::warning(
                    self.lexer.span(start),
                    format!("`{name}` in quotes is not replaced"),
                )
                .help(format!(
                    "end the quotes before it: `\"..\"{name}\"..\"`; three quotes keep it"
                )),
            );
        }
    }
}

/// Returns the first `${name}` in a string.
fn substitution_in(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(start, _)| {
        let end = start + text[start..].find('}')?;
        let name = text[start + 2..end].trim_start_matches('?');
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        is_name.then_some(&text[start..=end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_in_braces_look_like_substitutions() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(substitution_in(text), expected, "{text}");
        };
        check("a${b}c", Some("${b}"));
        check("${?a.b_1}", Some("${?a.b_1}"));
        check("${} ${1} ${x y} ${z}", Some("${z}"));
        check("$ {a} ${ {{x}} $a ${é}", None);
    }
}
