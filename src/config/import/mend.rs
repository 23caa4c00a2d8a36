//! Taking away what the schema refuses.

use std::collections::HashSet;
use std::path::Path;

use super::super::hocon::Outside;
use super::super::nanomq::WEBHOOK;
use super::super::problem::Problem;
use super::super::source::Span;
use super::super::value::{Entry, Node, Table, Value};
use super::super::{is_error, schema};
use super::{Note, Notes, VARIABLE};

/// The most rounds: one that takes something away may show what else is wrong.
const MOST_ROUNDS: usize = 16;

/// The longest help that goes into a comment, in bytes.
const LONGEST_HELP: usize = 80;

/// What a configuration is judged by, beside its text.
pub(super) struct World<'a> {
    /// Relative paths begin here.
    pub(super) directory: &'a Path,
    pub(super) outside: &'a dyn Outside,
}

/// Returns the tree without all that is wrong, and notes what that was.
///
/// # Errors
/// What is wrong leaves no webhook.
pub(super) fn mend(
    mut native: Table,
    world: &World<'_>,
    notes: &mut Notes,
) -> Result<Table, Vec<Problem>> {
    let needed = needed(&native);
    for _ in 0..MOST_ROUNDS {
        let whole = resolved(&native, world);
        let (_, problems) = schema::read(&whole, world.directory, world.outside);
        let (errors, warnings): (Vec<_>, Vec<_>) = problems.into_iter().partition(is_error);
        if errors.is_empty() {
            notes.doubtful.extend(warnings.into_iter().map(note));
            return Ok(native);
        }
        let mut places: HashSet<Span> = errors.iter().filter_map(|error| error.span).collect();
        if errors.iter().any(|error| error.span.is_none()) || !places.is_disjoint(&needed) {
            return Err(errors);
        }
        let before = places.len();
        without(&mut native, &mut places);
        if places.len() == before {
            return Err(errors);
        }
        notes.left_out.extend(errors.into_iter().map(note));
    }
    let message = "there is too much wrong with it";
    Err(vec![Problem::error(None, message)])
}

/// Returns the tree with the values of variables in place of their names, and without what is null, which
/// is as good as nothing.
pub(super) fn resolved(table: &Table, world: &World<'_>) -> Table {
    let entries = table
        .iter()
        .filter(|(_, entry)| entry.node.value != Value::Null);
    let entries = entries.map(|(key, entry)| {
        let node = resolved_node(&entry.node, world);
        let key_span = entry.key_span;
        (key.clone(), Entry { key_span, node })
    });
    entries.collect()
}

fn resolved_node(node: &Node, world: &World<'_>) -> Node {
    let value = match &node.value {
        Value::String(text) if text.contains(VARIABLE.0) => Value::String(expand(text, world)),
        Value::Array(elements) => {
            let elements = elements.iter().map(|node| resolved_node(node, world));
            Value::Array(elements.collect())
        }
        Value::Table(table) => Value::Table(resolved(table, world)),
        other => other.clone(),
    };
    let span = node.span;
    Node { value, span }
}

fn expand(text: &str, world: &World<'_>) -> String {
    let pieces = text.split(VARIABLE.0).enumerate();
    let expanded = pieces.map(|(index, piece)| match piece.split_once(VARIABLE.1) {
        Some((name, rest)) if index > 0 => world.outside.env(name).unwrap_or_default() + rest,
        _ => piece.to_owned(),
    });
    expanded.collect()
}

/// Returns the places of what no webhook can do without.
fn needed(native: &Table) -> HashSet<Span> {
    let mut needed = HashSet::new();
    let mut add = |entry: &Entry| needed.extend([entry.key_span, entry.node.span]);
    let table = |entry: &Entry| match &entry.node.value {
        Value::Table(table) => Some(table.clone()),
        _ => None,
    };
    let webhook = native.get("webhooks").and_then(table);
    let webhook = webhook.as_ref().and_then(|webhooks| webhooks.get(WEBHOOK));
    if let Some(webhook) = webhook {
        add(webhook);
        if let Some(url) = table(webhook).as_ref().and_then(|table| table.get("url")) {
            add(url);
        }
    }
    needed
}

/// Takes away the innermost entries that stand at these places, and the places with them; of a list, the
/// whole element that has one: a rule without its topic would say something else.
fn without(table: &mut Table, places: &mut HashSet<Span>) {
    table.retain(|_, entry| {
        inside(&mut entry.node, places);
        let is_key = places.remove(&entry.key_span);
        !(places.remove(&entry.node.span) || is_key)
    });
}

fn inside(node: &mut Node, places: &mut HashSet<Span>) {
    match &mut node.value {
        Value::Table(table) => without(table, places),
        Value::Array(elements) => elements.retain_mut(|element| {
            let before = places.len();
            inside(element, places);
            let is_touched = places.remove(&element.span) || places.len() < before;
            !is_touched
        }),
        _ => {}
    }
}

fn note(problem: Problem) -> Note {
    let text = match problem.help {
        // A list of all that is known is for who writes by hand.
        Some(help) if help.len() <= LONGEST_HELP => format!("{} ({help})", problem.message),
        _ => problem.message,
    };
    Note::new(problem.span, text)
}
