//! Collects problems: each once, in the order of their places, and not without end.

use crate::config::problem::{Problem, Severity};
use crate::config::source::SourceId;

/// Most problems of one severity that are kept.
const LIMIT: usize = 50;

/// The problems found so far.
#[derive(Debug, Default)]
pub(in crate::config) struct Report {
    problems: Vec<Problem>,
    errors: usize,
    warnings: usize,
    torn: Vec<SourceId>,
}

impl Report {
    /// Adds a problem, unless it is known already or there are too many of its severity.
    pub fn add(&mut self, problem: Problem) {
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if *count < LIMIT && !self.problems.contains(&problem) {
            *count += 1;
            self.problems.push(problem);
        }
    }

    /// Notes that of a text, nobody knows which statement belongs to which braces.
    pub fn tear(&mut self, source: SourceId) {
        self.torn.push(source);
    }

    /// Returns the texts that were noted so.
    pub fn torn(&self) -> &[SourceId] {
        &self.torn
    }

    /// Returns whether the configuration cannot run.
    #[cfg(test)]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Returns the problems in the order of the text.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.span);
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_problem_is_reported_once() {
        let mut report = Report::default();
        report.add(Problem::warning(None, "x"));
        report.add(Problem::warning(None, "x"));
        assert_eq!(report.into_problems().len(), 1);
    }

    #[test]
    fn warnings_do_not_crowd_out_errors() {
        let mut report = Report::default();
        for number in 0..1000 {
            report.add(Problem::warning(None, number.to_string()));
        }
        assert!(!report.has_errors());
        report.add(Problem::error(None, "x"));
        assert!(report.has_errors());
        assert_eq!(report.into_problems().len(), LIMIT + 1);
    }
}
