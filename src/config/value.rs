//! The tree of values that the HOCON and the TOML reader both make.
//!
//! Numbers keep their text, because only the reader of a key knows whether it
//! wants an integer, a float, or (HOCON's unquoted `15s`) a duration.

use indexmap::IndexMap;

use super::source::Span;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written; of merged tables, the last place.
    pub span: Span,
}

/// What a configuration file can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// HOCON's `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer or a float, as it was written.
    Number(String),
    /// Any other scalar; quoted or, in HOCON, unquoted.
    String(String),
    /// A list.
    Array(Vec<Node>),
    /// Keys and their values.
    Table(Table),
}

impl Value {
    /// Returns what a user would call this type of value, with its article.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Keys in the order in which they first appear.
pub type Table = IndexMap<String, Entry>;

/// A key's place and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where the key was written; of keys written more than once, the last place.
    pub key_span: Span,
    /// The value.
    pub node: Node,
}
