//! What one file says, as it is written: nothing is merged, looked up or joined yet.

use crate::config::source::Span;
use crate::config::value::Value;

/// What stands between two braces, or in a file.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub items: Vec<Item>,
}

/// One statement of an object.
#[derive(Debug)]
pub(super) enum Item {
    Field(Field),
    Include(Include),
}

/// `a.b = value`
#[derive(Debug)]
pub(super) struct Field {
    /// Never empty.
    pub path: Vec<Key>,
    pub operator: Operator,
    pub value: Expression,
}

/// One part of a dotted key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: String,
    pub span: Span,
}

/// What a field does with an earlier value of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    /// `=`, `:` or nothing: overrides it, or merges two tables.
    Set,
    /// `+=`: adds one element to it.
    Append,
}

/// `include "path"`
#[derive(Debug)]
pub(super) struct Include {
    pub path: String,
    /// Whether a file that does not exist is an error.
    pub required: bool,
    pub span: Span,
}

/// A value: pieces that stand side by side and are joined when they are known.
#[derive(Debug)]
pub(super) struct Expression {
    /// Never empty.
    pub pieces: Vec<Piece>,
    pub span: Span,
}

/// One piece of an expression.
#[derive(Debug)]
pub(super) struct Piece {
    /// The white space between this piece and the one before; belongs to a joined string.
    pub gap: String,
    pub term: Term,
    pub span: Span,
}

/// What a piece says.
#[derive(Debug)]
pub(super) enum Term {
    /// `null`, a boolean, a number or a string.
    Scalar(Value),
    Array(Vec<Expression>),
    Object(Object),
    Substitution(Substitution),
}

/// `${path}` or `${?path}`
#[derive(Debug, Clone)]
pub(super) struct Substitution {
    /// Never empty.
    pub path: Vec<String>,
    pub optional: bool,
}

impl Expression {
    /// Returns the value if it is one scalar and nothing else.
    pub fn scalar(&self) -> Option<&Value> {
        match self.pieces.as_slice() {
            [
                Piece {
                    term: Term::Scalar(value),
                    ..
                },
            ] => Some(value),
            _ => None,
        }
    }
}

/// Returns a path as a user would write it.
pub(super) fn dotted(path: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = String::new();
    for name in path {
        let name = name.as_ref();
        if !text.is_empty() {
            text.push('.');
        }
        if name.is_empty() || name.contains(['.', '"', ' ']) {
            text.push('"');
            text.push_str(name);
            text.push('"');
        } else {
            text.push_str(name);
        }
    }
    text
}

/// Returns the text, shortened so that a message can quote it.
pub(super) fn excerpt(text: &str) -> String {
    const LENGTH: usize = 80;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the text that a scalar contributes to a joined string; of anything else, nothing.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) | Value::String(text) => text.clone(),
        Value::Array(_) | Value::Table(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_a_dot_would_mislead() {
        let check = |path: &[&str], expected: &str| assert_eq!(dotted(path), expected);
        check(&["a", "b"], "a.b");
        check(&["a.b", "", "c d"], "\"a.b\".\"\".\"c d\"");
    }

    #[test]
    fn excerpts_end_between_characters() {
        assert_eq!(excerpt("é"), "é");
        assert_eq!(excerpt(&"é".repeat(81)), format!("{}..", "é".repeat(80)));
    }
}
