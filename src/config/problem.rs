//! What is wrong with a configuration, as data.

use super::source::Span;

/// Whether a configuration with this problem can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

/// One thing that is wrong, with its place and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether the configuration can run all the same.
    pub severity: Severity,
    /// What is wrong, naming the key: a lower-case fragment without a full stop.
    pub message: String,
    /// Where; `None` for what is missing from the file as a whole.
    pub span: Option<Span>,
    /// How to mend it; a sentence fragment like `message`.
    pub help: Option<String>,
}

impl Problem {
    /// Returns a problem that keeps the configuration from running.
    pub fn error(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span.into(), message.into())
    }

    /// Returns a problem with which the configuration still runs.
    pub fn warning(span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span.into(), message.into())
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn new(severity: Severity, span: Option<Span>, message: String) -> Self {
        Self {
            severity,
            message,
            span,
            help: None,
        }
    }
}
