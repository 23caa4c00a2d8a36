//! The texts that a configuration was read from, and places in them.
//!
//! A [`Span`] is a range of bytes in one [`Source`]; it is what lets a problem
//! that is found long after parsing still point at its line and column.

/// Names one text of a [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(usize);

/// One text: the main file, or a file that it includes.
#[derive(Debug, Clone)]
pub struct Source {
    /// What problems call it: the path as the user gave it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// Every text of one configuration, the main file first.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text and returns the id under which spans refer to it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.0.push(Source {
            name: name.into(),
            text: text.into(),
        });
        SourceId(self.0.len() - 1)
    }

    /// Returns the text with this id.
    ///
    /// # Panics
    /// If the id is of another `Sources`.
    #[must_use]
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0]
    }
}

/// A range of bytes, `start..end`, of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text that the offsets count in.
    pub source: SourceId,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// Returns a range of `source`.
    #[must_use]
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        Self { source, start, end }
    }

    /// Returns the smallest range that holds both, or `self` where `other` is of another source.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.source != other.source {
            return self;
        }
        Self::new(
            self.source,
            self.start.min(other.start),
            self.end.max(other.end),
        )
    }
}
