//! What a reader of HOCON or TOML makes of a text.

use super::problem::{Problem, Severity};
use super::source::SourceId;
use super::value::Table;

/// A tree of values, and what is wrong with it so far.
#[derive(Debug)]
pub(super) struct Parsed {
    /// What could be read.
    pub(super) table: Table,
    /// What is wrong with the text.
    pub(super) syntax: Vec<Problem>,
    /// What is wrong with values: of interest only if the text has no error, as a key that such
    /// an error swallowed would seem to be missing.
    pub(super) values: Vec<Problem>,
    /// The texts of which nobody knows which key belongs to which table.
    pub(super) torn: Vec<SourceId>,
}

impl Parsed {
    /// Returns what a text gives that could not be read at all.
    pub(super) fn failed(root: SourceId, problem: Problem) -> Self {
        Self {
            table: Table::new(),
            syntax: vec![problem],
            values: Vec::new(),
            torn: vec![root],
        }
    }

    /// Returns the table and the problems that are of interest.
    pub(super) fn into_parts(self) -> (Table, Vec<Problem>) {
        let mut problems = self.syntax;
        if !problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
        {
            problems.extend(self.values);
            problems.sort_by_key(|problem| problem.span);
        }
        (self.table, problems)
    }
}
