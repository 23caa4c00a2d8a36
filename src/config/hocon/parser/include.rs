//! Reads `include "path"`, `include file("path")` and `include required(..)` of either.

use super::Parser;
use crate::config::hocon::syntax::Include;

/// What may follow the word `include`, besides a string.
const FORMS: [&str; 5] = ["required(", "file(", "url(", "classpath(", "package("];

/// The forms that other readers of HOCON know.
const UNSUPPORTED: [&str; 3] = ["url(", "classpath(", "package("];

impl Parser<'_, '_> {
    /// Returns whether an include stands here, and not a key that happens to be called so.
    pub(super) fn is_at_include(&self) -> bool {
        let mut ahead = self.lexer.clone();
        if !ahead.eat("include") {
            return false;
        }
        ahead.skip_spaces();
        ahead.is_at("\"") || FORMS.iter().any(|form| ahead.is_at(form))
    }

    /// Reads an include; `None`, with the problem reported, if it is not complete.
    pub(super) fn include(&mut self) -> Option<Include> {
        let start = self.lexer.at();
        self.lexer.eat("include");
        self.lexer.skip_spaces();
        let required = self.lexer.eat("required(");
        self.lexer.skip_spaces();
        if let Some(form) = UNSUPPORTED.iter().find(|form| self.lexer.is_at(form)) {
            let message = format!("`include {form}..)` is not supported");
            self.error(
                self.lexer.here(),
                message,
                "include a file: `include \"path\"`",
            );
            self.give_up_statement();
            return None;
        }
        let file = self.lexer.eat("file(");
        self.lexer.skip_spaces();
        let path = self.include_path()?;
        for _ in 0..usize::from(required) + usize::from(file) {
            self.lexer.skip_spaces();
            if !self.lexer.eat(")") {
                self.error(
                    self.lexer.span(start),
                    "this include is not closed",
                    "add the missing `)`",
                );
                self.give_up_statement();
                return None;
            }
        }
        Some(Include {
            path,
            required,
            span: self.lexer.span(start),
        })
    }

    fn include_path(&mut self) -> Option<String> {
        if !self.lexer.is_at("\"") {
            let help = "put the path in double quotes";
            self.error(self.lexer.here(), "expected the path of a file", help);
            self.give_up_statement();
            return None;
        }
        let quoted = self.lexer.quoted(self.report);
        self.lost |= !quoted.closed;
        quoted.closed.then_some(quoted.text)
    }
}
