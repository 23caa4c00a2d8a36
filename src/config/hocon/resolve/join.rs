//! Joins the pieces of a value, and lays tables over one another.

use indexmap::map::Entry as Place;

use crate::config::hocon::syntax::text_of;
use crate::config::hocon::tree::Part;
use crate::config::problem::Problem;
use crate::config::source::Span;
use crate::config::value::{Node, Value};

/// Returns `upper`, with the keys that only `lower` has if both are tables.
pub(super) fn overlay(mut lower: Node, upper: Node) -> Node {
    cover(&mut lower, upper);
    lower
}

fn cover(lower: &mut Node, upper: Node) {
    lower.span = upper.span;
    match (&mut lower.value, upper.value) {
        (Value::Table(below), Value::Table(above)) => {
            for (name, entry) in above {
                match below.entry(name) {
                    Place::Occupied(mut known) => {
                        known.get_mut().key_span = entry.key_span;
                        cover(&mut known.get_mut().node, entry.node);
                    }
                    Place::Vacant(vacant) => {
                        vacant.insert(entry);
                    }
                }
            }
        }
        (below, above) => *below = above,
    }
}

/// Returns what the parts are together; `None` if all of them are substitutions of nothing.
///
/// Scalars become a string with the white space between them, arrays one array, tables one table.
///
/// # Errors
/// If they are of different types.
pub(super) fn join(parts: Vec<(&Part, Option<Node>)>, span: Span) -> Result<Option<Node>, Problem> {
    let values = || {
        parts
            .iter()
            .filter_map(|(part, node)| Some((part.span, node.as_ref()?)))
    };
    let Some((_, first)) = values().next() else {
        return Ok(None);
    };
    let kind = Kind::of(&first.value);
    if let Some((place, other)) = values().find(|(_, node)| Kind::of(&node.value) != kind) {
        let (one, other) = (first.value.type_name(), other.value.type_name());
        let message = format!("{one} and {other} cannot be joined to one value");
        return Err(Problem::error(place, message).help("put a comma or a line break between them"));
    }
    let value = match kind {
        Kind::Table => return Ok(join_tables(parts).map(|node| Node { span, ..node })),
        Kind::Array => join_arrays(parts),
        Kind::Scalar => join_scalars(parts),
    };
    Ok(Some(Node { value, span }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Array,
    Table,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Array(_) => Self::Array,
            Value::Table(_) => Self::Table,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Self::Scalar,
        }
    }
}

fn join_tables(parts: Vec<(&Part, Option<Node>)>) -> Option<Node> {
    parts
        .into_iter()
        .filter_map(|(_, node)| node)
        .reduce(overlay)
}

fn join_arrays(parts: Vec<(&Part, Option<Node>)>) -> Value {
    let mut joined = Vec::new();
    for (_, node) in parts {
        if let Some(Node {
            value: Value::Array(elements),
            ..
        }) = node
        {
            joined.extend(elements);
        }
    }
    Value::Array(joined)
}

/// A lone scalar, beside substitutions of nothing and without white space, keeps its type.
fn join_scalars(mut parts: Vec<(&Part, Option<Node>)>) -> Value {
    let spaced = parts.iter().any(|(part, _)| !part.gap.is_empty());
    if !spaced {
        parts.retain(|(_, node)| node.is_some());
        if let [(_, Some(node))] = parts.as_slice() {
            return node.value.clone();
        }
    }
    let mut text = String::new();
    for (part, node) in parts {
        text.push_str(&part.gap);
        if let Some(node) = node {
            text.push_str(&text_of(&node.value));
        }
    }
    Value::String(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Sources;
    use crate::config::value::{Entry, Table};

    fn table(entries: &[(&str, Value)], at: usize) -> Node {
        let span = Span::new(Sources::default().add("x", ""), at, at);
        let entries = entries.iter().map(|(name, value)| {
            let node = Node {
                value: value.clone(),
                span,
            };
            (
                (*name).to_owned(),
                Entry {
                    key_span: span,
                    node,
                },
            )
        });
        Node {
            value: Value::Table(entries.collect::<Table>()),
            span,
        }
    }

    #[test]
    fn overlaid_tables_keep_the_first_order_and_the_last_places() {
        let lower = table(&[("a", Value::Null), ("b", Value::Null)], 1);
        let upper = table(&[("c", Value::Null), ("a", Value::Bool(true))], 2);
        let node = overlay(lower, upper);
        assert_eq!(node.span.start, 2);
        let Value::Table(table) = node.value else {
            panic!("two tables are a table")
        };
        assert_eq!(table.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(table["a"].node.value, Value::Bool(true));
        assert_eq!(
            table
                .values()
                .map(|entry| entry.key_span.start)
                .collect::<Vec<_>>(),
            [2, 1, 2]
        );
    }

    #[test]
    fn a_scalar_hides_a_table() {
        let upper = Node {
            value: Value::Null,
            ..table(&[], 2)
        };
        assert_eq!(overlay(table(&[], 1), upper.clone()), upper);
    }
}
