//! Reads HOCON, the notation of `nanomq.conf`, into a tree of values with places.
//!
//! Three stages, each of which knows nothing of the later ones:
//!
//! ```text
//!  text ──parser──► syntax::Object ──tree::build──► Tree ──resolve──► Table
//!   ▲                as written       keys merged,        substitutions replaced,
//!   │                                 overridden values   concatenations joined
//!   └───────── include ◄──────────────kept below
//! ```
//!
//! Read is HOCON as its specification (lightbend/config, HOCON.md) has it, less what a
//! configuration of ours has no use for: `include url(..)`, `classpath(..)` and `package(..)`,
//! tables with numbers for keys that become arrays, `${X[]}` and `.properties` files.
//!
//! Any text whatever gives a tree and a list of problems: nothing panics, and every
//! recursion and every expansion has a bound. A file that ends too early is an error,
//! never an empty configuration.
//!
//! A value of the environment is a string, even if it looks like a number (HOCON.md,
//! "Substitution fallback to environment variables"): who reads a key converts it.

mod lexer;
mod outside;
mod parser;
mod report;
mod resolve;
mod syntax;
mod tree;

use super::parsed::Parsed;
use super::problem::Problem;
use super::source::{SourceId, Sources};
use super::value::Table;
pub(super) use report::Report;

pub use outside::{Outside, System};

/// Most levels of tables, arrays and substitutions within one another.
pub(super) const MAX_DEPTH: usize = 64;

/// Most bytes of all files of one configuration together.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Most values that one configuration may hold, substitutions replaced.
pub(super) const MAX_VALUES: usize = 1 << 18;

/// Returns what the text `root` says, as far as it could be read, and all that is wrong with it.
///
/// Included files are read through `outside`, relative to the file that includes them,
/// and added to `sources`. The table is of use only if no problem is an error.
pub fn parse(
    sources: &mut Sources,
    root: SourceId,
    outside: &dyn Outside,
) -> (Table, Vec<Problem>) {
    read(sources, root, outside).into_parts()
}

/// Does what [`parse`] does, and keeps apart what is wrong with the text and with its values.
pub(super) fn read(sources: &mut Sources, root: SourceId, outside: &dyn Outside) -> Parsed {
    let mut report = Report::default();
    let tree = tree::build(sources, root, outside, &mut report);
    let mut unresolved = Report::default();
    let table = resolve::resolve(&tree, outside, &mut unresolved);
    Parsed {
        table,
        torn: report.torn().to_vec(),
        syntax: report.into_problems(),
        values: unresolved.into_problems(),
    }
}

#[cfg(test)]
mod tests;
