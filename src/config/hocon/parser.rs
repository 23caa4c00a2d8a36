//! Reads the text of one file into its [`Object`]: statements, keys, arrays and braces.
//!
//! After an error, reading goes on at the next statement or element, so that several
//! errors are found at once. Where a string or a bracket is left open nobody knows any more
//! what the rest of the file means: from there on, missing brackets are not reported.

mod expression;
mod include;
mod traps;

use std::collections::HashSet;

use super::MAX_DEPTH;
use super::lexer::{Lexer, is_space};
use super::report::Report;
use super::syntax::{Expression, Field, Item, Object, Operator, dotted};
use crate::config::problem::Problem;
use crate::config::secret;
use crate::config::source::{SourceId, Span};

/// Returns what the text says, as far as it could be read.
pub(super) fn parse(text: &str, source: SourceId, report: &mut Report) -> Object {
    let mut parser = Parser {
        lexer: Lexer::new(text, source),
        report,
        open: Vec::new(),
        lost: false,
        values: 0,
    };
    let object = parser.file();
    if parser.lost {
        report.tear(source);
    }
    object
}

/// A file that is being read.
pub(super) struct Parser<'t, 'r> {
    lexer: Lexer<'t>,
    report: &'r mut Report,
    /// The brackets that are open here, and where they stand; the innermost last.
    open: Vec<(char, Span)>,
    /// Whether a missing bracket would be the consequence of an error that is reported already.
    lost: bool,
    /// How many values there are so far.
    values: usize,
}

impl Parser<'_, '_> {
    fn file(&mut self) -> Object {
        self.lexer.eat("\u{feff}");
        self.lexer.skip_blank();
        if self.lexer.is_at("[") {
            self.error(
                self.lexer.here(),
                "a configuration is a table, not an array",
                "write `key = [..]`",
            );
            return Object::default();
        }
        if !self.lexer.is_at("{") {
            return self.statements();
        }
        let object = self.object();
        self.lexer.skip_blank();
        if self.lexer.peek().is_some() && !self.lost {
            self.error(
                self.lexer.here(),
                "text after the brace that closes the file",
                "move the brace to the end of the file, or remove the outermost braces",
            );
        }
        object
    }

    /// Reads an object; the next character must be its `{`.
    fn object(&mut self) -> Object {
        if !self.enter('{') {
            return Object::default();
        }
        let object = self.statements();
        self.open.pop();
        object
    }

    /// Reads an array; the next character must be its `[`.
    fn array(&mut self) -> Vec<Expression> {
        let mut elements = Vec::new();
        if !self.enter('[') {
            return elements;
        }
        while self.has_next() {
            elements.extend(self.element());
            self.separator();
        }
        self.open.pop();
        elements
    }

    /// Opens a bracket, or skips all of it if it is nested too deep.
    fn enter(&mut self, bracket: char) -> bool {
        let here = self.lexer.here();
        if self.open.len() >= MAX_DEPTH {
            self.error(
                here,
                format!("nested deeper than {MAX_DEPTH} levels"),
                "flatten the configuration",
            );
            self.lexer.go_to_end();
            self.lost = true;
            return false;
        }
        self.lexer.eat(bracket.encode_utf8(&mut [0; 4]));
        self.open.push((bracket, here));
        true
    }

    fn statements(&mut self) -> Object {
        let mut object = Object::default();
        let mut scalars = HashSet::new();
        while self.has_next() {
            if let Some(item) = self.statement() {
                self.warn_of_duplicate(&item, &mut scalars);
                object.items.push(item);
            }
            self.separator();
        }
        object
    }

    fn statement(&mut self) -> Option<Item> {
        if self.is_at_include() {
            return self.include().map(Item::Include);
        }
        self.field().map(Item::Field)
    }

    fn field(&mut self) -> Option<Field> {
        let start = self.lexer.at();
        let Some(path) = self.lexer.path(self.report) else {
            self.give_up_statement();
            return None;
        };
        let name = dotted(path.iter().map(|key| &key.name));
        let Some(operator) = self.operator(&name, start) else {
            self.give_up_statement();
            return None;
        };
        if !self.move_to_value(&name, start) {
            return None;
        }
        let value = self.expression()?;
        Some(Field {
            path,
            operator,
            value,
        })
    }

    /// Takes what stands between a key and its value; `None`, with the problem reported, if
    /// there is no value.
    fn operator(&mut self, name: &str, start: usize) -> Option<Operator> {
        let behind_key = self.lexer.at();
        self.lexer.skip_blank();
        if self.lexer.is_at("{") {
            return Some(Operator::Set);
        }
        if self.lexer.eat("+=") {
            return Some(Operator::Append);
        }
        if self.lexer.eat("=") || self.lexer.eat(":") {
            return Some(Operator::Set);
        }
        self.lexer.go_to(behind_key);
        self.lexer.skip_spaces();
        if self.lexer.is_at("[") || self.lexer.is_at("\"") || self.lexer.is_at("${") {
            self.error(
                self.lexer.here(),
                format!("`=` is missing between `{name}` and its value"),
                format!("write `{name} = ..`"),
            );
            return Some(Operator::Set);
        }
        match self.lexer.peek() {
            Some(other)
                if !matches!(other, '\n' | ',' | '}' | ']') && !self.lexer.is_at_comment() =>
            {
                self.error(
                    self.lexer.here(),
                    format!("expected `=` after the key `{name}`, found `{other}`"),
                    "put the key in double quotes if it has this character",
                );
            }
            _ => self.report_no_operator(name, start, behind_key),
        }
        None
    }

    fn report_no_operator(&mut self, name: &str, start: usize, end: usize) {
        self.lexer.go_to(end);
        let span = self.lexer.span(start);
        let problem = match self.lexer.since(start).split_once(is_space) {
            Some((key, value)) if secret::is_in(value) => {
                Problem::error(span, format!("`=` is missing after `{key}`"))
                    .help(format!("write `{key} = ..`"))
            }
            Some((key, value)) => Problem::error(span, format!("`=` is missing after `{key}`"))
                .help(format!("write `{key} = {}`", value.trim_start())),
            None => Problem::error(span, format!("`{name}` has no value"))
                .help(format!("write `{name} = ..`")),
        };
        self.report.add(problem);
    }

    /// Moves to the value, which may stand on a later line; if there is none, reports that and
    /// stays on the line.
    fn move_to_value(&mut self, name: &str, start: usize) -> bool {
        let behind_operator = self.lexer.at();
        self.lexer.skip_spaces();
        let commented = self.lexer.is_at("#");
        self.lexer.skip_blank();
        if !matches!(self.lexer.peek(), None | Some('}' | ']' | ',')) {
            let same_line = !self.lexer.since(behind_operator).contains('\n');
            if same_line || !self.is_at_field() {
                return true;
            }
        }
        self.lexer.go_to(behind_operator);
        let problem = Problem::error(self.lexer.span(start), format!("`{name}` has no value"));
        self.report.add(if commented {
            problem.help(format!("`#` begins a comment; quote it: `{name} = \"#\"`"))
        } else {
            problem.help("write a value, or remove the key")
        });
        false
    }

    /// Returns whether a key with its operator stands here.
    fn is_at_field(&self) -> bool {
        let mut ahead = self.lexer.clone();
        let found = ahead.path(&mut Report::default()).is_some();
        ahead.skip_spaces();
        found
            && ["=", ":", "+=", "{"]
                .iter()
                .any(|operator| ahead.is_at(operator))
    }

    fn element(&mut self) -> Option<Expression> {
        let value = self.expression()?;
        self.warn_of_joined_elements(&value);
        Some(value)
    }

    /// Moves to the next statement or element of the innermost bracket; returns `false`, with
    /// the bracket closed, if there is none.
    fn has_next(&mut self) -> bool {
        loop {
            self.lexer.skip_blank();
            match self.lexer.peek() {
                None => {
                    self.report_open_at_end();
                    return false;
                }
                Some(',') => {
                    self.error(
                        self.lexer.here(),
                        "nothing stands before this comma",
                        "remove the comma, or write what is missing",
                    );
                    self.lexer.eat(",");
                }
                Some('}') if self.close('{', "}") => return false,
                Some(']') if self.close('[', "]") => return false,
                Some('}' | ']') => {}
                Some(_) => return true,
            }
        }
    }

    /// Returns whether a closing bracket ends what is being read; one that closes nothing is skipped.
    fn close(&mut self, opener: char, closer: &str) -> bool {
        let innermost = self.open.last().copied();
        let is_open = self.open.iter().any(|(open, _)| *open == opener);
        match innermost {
            Some((open, _)) if open == opener => self.lexer.eat(closer),
            // The bracket belongs to an outer opening: it stays for whoever reads that.
            Some((open, span)) if is_open => {
                let missing = closing(open);
                self.report_unclosed(
                    open,
                    span,
                    format!("add the missing `{missing}` before `{closer}`"),
                );
                self.lost = true;
                true
            }
            _ => {
                if !self.lost {
                    self.error(
                        self.lexer.here(),
                        format!("`{closer}` closes nothing"),
                        format!("remove it, or add the `{opener}` that it should close"),
                    );
                }
                self.lexer.eat(closer);
                false
            }
        }
    }

    /// Reports the innermost of the brackets that are open at the end of the file; one is enough.
    fn report_open_at_end(&mut self) {
        if let Some((bracket, span)) = self.open.last().copied() {
            let missing: String = self
                .open
                .iter()
                .rev()
                .map(|(open, _)| closing(*open))
                .collect();
            self.report_unclosed(bracket, span, format!("add the missing `{missing}`"));
            self.lost = true;
        }
    }

    fn report_unclosed(&mut self, bracket: char, span: Span, help: String) {
        if !self.lost {
            self.error(span, format!("`{bracket}` is never closed"), help);
        }
    }

    /// Moves behind what separates two statements or elements.
    fn separator(&mut self) {
        let line_break = self.lexer.skip_blank();
        if self.lexer.eat(",") || line_break {
            return;
        }
        if let Some(next) = self.lexer.peek().filter(|next| !matches!(next, '}' | ']')) {
            self.error(
                self.lexer.here(),
                format!("a comma or a line break is missing before `{next}`"),
                "separate the two",
            );
        }
    }

    /// Moves to the end of a statement that cannot be read.
    fn give_up_statement(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = self.lexer.peek() {
            match next {
                '\n' | ',' | '}' | ']' if depth == 0 => return,
                '"' => {
                    self.lost |= !self.lexer.quoted(&mut Report::default()).closed;
                    continue;
                }
                _ if self.lexer.is_at_comment() => {
                    self.lexer.skip_line();
                    continue;
                }
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                _ => {}
            }
            self.lexer.advance();
        }
        self.lost |= depth > 0;
    }

    fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.report.add(Problem::error(span, message).help(help));
    }
}

fn closing(bracket: char) -> char {
    if bracket == '{' { '}' } else { ']' }
}
