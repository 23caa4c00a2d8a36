//! Configurations of other webhooks, made into our own.
//!
//! ```text
//! nanomq.conf ---------------hocon--+
//!                                   +--> tree --native--> tree with our keys --mend--> text
//! web.hook. lines --settings--------+                      ^                  |
//!                                                          +--- the schema ---+
//! ```
//!
//! | from | what |
//! |---|---|
//! | `nanomq.conf` since 0.14 | its block `webhook`, where it listens, and what mqhook's own tables beside them say |
//! | `nanomq.conf` and `nanomq_web_hook.conf` before | the lines `web.hook.`, and where it listens |
//! | `emqx_web_hook.conf` of EMQX 3 and 4 | the lines `web.hook.` |
//!
//! It is the configuration's own schema that judges: a value that it refuses is left out, and what it
//! says is written into a comment, with the line. What comes out has no error; that is looked at, by reading
//! it again. Variables stay variables, so that no secret of the environment is written down.

mod mend;
mod native;
mod settings;
mod write;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use super::hocon::{self, Outside};
use super::problem::Problem;
use super::source::{Sources, Span};
use super::value::{Node, Table, Value};
use super::{Reading, has_error, nanomq, reason, schema, secret, toml};

pub use write::Notation;

/// What a variable of the environment is in a tree of values: its name between these.
const VARIABLE: (char, char) = ('\u{e000}', '\u{e001}');

/// A configuration of our own.
#[derive(Debug)]
pub struct Imported {
    /// The whole file: comments, then keys.
    pub text: String,
    /// How much of what was written is not in it.
    pub left_out: usize,
}

/// Whose webhook it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Nanomq,
    Emqx,
}

/// A tree of values as `NanoMQ` has it since 0.14.
#[derive(Debug)]
struct Foreign {
    origin: Origin,
    table: Table,
    notes: Notes,
}

/// What is written into comments.
#[derive(Debug, Default)]
struct Notes {
    /// What is different with mqhook.
    different: Vec<String>,
    /// What is not taken over.
    left_out: Vec<Note>,
    /// What is taken over, and should be looked at.
    doubtful: Vec<Note>,
}

/// What is said of a place.
#[derive(Debug)]
struct Note {
    span: Option<Span>,
    text: String,
}

impl Note {
    fn new(span: impl Into<Option<Span>>, text: impl Into<String>) -> Self {
        Self {
            span: span.into(),
            text: text.into(),
        }
    }
}

/// Makes a configuration of ours out of somebody else's.
///
/// # Errors
/// The file is none that is understood, or says nothing of which a webhook can be made. The reading
/// has no configuration then, but the problems.
pub fn import(
    path: &Path,
    notation: Notation,
    outside: &dyn Outside,
) -> Result<Imported, Box<Reading>> {
    let mut sources = Sources::default();
    let mut tree = Table::new();
    let made = make(path, notation, outside, &mut sources, &mut tree);
    made.map_err(|mut problems| {
        let mut secrets = secret::credentials(&tree);
        secrets.extend(secret::values_of_strange_keys(&tree, &problems));
        let in_urls = secret::in_urls(&tree, &sources);
        secret::unsay(&mut problems, &in_urls, &sources);
        secrets.extend(in_urls);
        Box::new(Reading {
            config: None,
            problems,
            sources,
            secrets,
        })
    })
}

fn make(
    path: &Path,
    notation: Notation,
    outside: &dyn Outside,
    sources: &mut Sources,
    tree: &mut Table,
) -> Result<Imported, Vec<Problem>> {
    let text = outside.read(path).map_err(|error| {
        let message = format!("cannot read {}: {}", path.display(), reason(&error));
        vec![Problem::error(None, message)]
    })?;
    let foreign = read(path, text, outside, sources, tree)?;
    let mut notes = foreign.notes;
    let directory = path.parent().unwrap_or(Path::new(""));
    let world = mend::World { directory, outside };
    let native = native::convert(foreign.table, foreign.origin, &world, &mut notes)?;
    let native = mend::mend(native, &world, &mut notes)?;
    native::differences(&native, foreign.origin, &mut notes);
    for notes in [&mut notes.left_out, &mut notes.doubtful] {
        notes.sort_by_key(|note| note.span);
    }
    let text = write::file(path, &native, notation, &notes, sources);
    check(&text, &native, notation, &world)?;
    Ok(Imported {
        text,
        left_out: notes.left_out.len(),
    })
}

/// Reads whichever format the file has.
fn read(
    path: &Path,
    text: String,
    outside: &dyn Outside,
    sources: &mut Sources,
    tree: &mut Table,
) -> Result<Foreign, Vec<Problem>> {
    let extension = path.extension();
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("toml")) {
        let message = "TOML is mqhook's own; there is nothing to import";
        return Err(vec![Problem::error(None, message)]);
    }
    let root = sources.add(path.display().to_string(), text);
    let foreign = if settings::are_in(&sources.get(root).text) {
        settings::read(sources, root, path)
    } else {
        let named = Named {
            outside,
            unset: RefCell::default(),
        };
        let mut parsed = hocon::read(sources, root, &named);
        tree.clone_from(&parsed.table);
        nanomq::forget_foreign(&mut parsed);
        let (table, problems) = parsed.into_parts();
        if has_error(&problems) {
            return Err(problems);
        }
        let left_out = unset(&named.unset.into_inner(), sources, &table);
        Foreign {
            origin: Origin::Nanomq,
            table,
            notes: Notes {
                left_out,
                ..Notes::default()
            },
        }
    };
    tree.clone_from(&foreign.table);
    Ok(foreign)
}

/// Reads what was written again, as `mqhook check` does.
fn check(
    text: &str,
    native: &Table,
    notation: Notation,
    world: &mend::World<'_>,
) -> Result<(), Vec<Problem>> {
    let mut sources = Sources::default();
    let root = sources.add("", text);
    let (table, mut problems) = match notation {
        Notation::Toml => toml::parse(&sources, root, world.outside),
        Notation::Hocon => hocon::parse(&mut sources, root, world.outside),
    };
    if !has_error(&problems) {
        problems = schema::read(&table, world.directory, world.outside).1;
    }
    let is_same = are_alike(&table, &mend::resolved(native, world));
    if is_same && !has_error(&problems) {
        return Ok(());
    }
    let other = notation.other();
    let message = format!("this cannot be written as {notation}");
    Err(vec![
        Problem::error(None, message).help(format!("ask for the other one: --format {other}")),
    ])
}

/// Returns whether both say the same, wherever they say it, and in whichever order.
fn are_alike(left: &Table, right: &Table) -> bool {
    let alike = |left: &Node, right: &Node| match (&left.value, &right.value) {
        (Value::Table(left), Value::Table(right)) => are_alike(left, right),
        (Value::Array(left), Value::Array(right)) => {
            let mut pairs = left.iter().zip(right);
            left.len() == right.len() && pairs.all(|(left, right)| is_alike(left, right))
        }
        (
            Value::Number(left) | Value::String(left),
            Value::Number(right) | Value::String(right),
        ) => left == right,
        (left, right) => left == right,
    };
    left.len() == right.len()
        && left.iter().all(|(key, entry)| {
            let other = right.get(key);
            other.is_some_and(|other| alike(&entry.node, &other.node))
        })
}

fn is_alike(left: &Node, right: &Node) -> bool {
    let alone = |node: &Node| {
        let entry = super::value::Entry {
            key_span: node.span,
            node: node.clone(),
        };
        Table::from_iter([(String::new(), entry)])
    };
    are_alike(&alone(left), &alone(right))
}

/// Returns notes on variables that stand for nothing here, and may stand for something where the broker runs.
fn unset(names: &BTreeSet<String>, sources: &Sources, table: &Table) -> Vec<Note> {
    let is_foreign = nanomq::foreign(table);
    let mut notes = Vec::new();
    for (source, whole) in sources.texts() {
        for (start, opening) in whole.match_indices("${?") {
            let inner = &whole[start + opening.len()..];
            let end = inner.find(['}', '\n']).unwrap_or(inner.len());
            let name = inner[..end].trim();
            let span = Span::new(source, start, start + opening.len());
            if names.contains(name) && !is_foreign(span) {
                let text = format!("`${{?{name}}}`: {name} is not set where this was made");
                notes.push(Note::new(span, text));
            }
        }
    }
    notes
}

/// An environment whose variables have their names for values.
struct Named<'a> {
    outside: &'a dyn Outside,
    /// What was asked for and is not set.
    unset: RefCell<BTreeSet<String>>,
}

impl Outside for Named<'_> {
    fn env(&self, name: &str) -> Option<String> {
        if self.outside.env(name).is_none() {
            self.unset.borrow_mut().insert(name.to_owned());
            return None;
        }
        Some(format!("{}{name}{}", VARIABLE.0, VARIABLE.1))
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        self.outside.read(path)
    }
}
