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

    /// Returns the texts with asterisks instead of what is written at these places, quotes and
    /// line breaks excepted, so that every offset stays what it was.
    #[must_use]
    pub(super) fn without(&self, places: &[Span]) -> Self {
        let mut hidden = self.clone();
        for place in places {
            let text = &mut hidden.0[place.source.0].text;
            let written = &text[place.start..place.end];
            let stars: String = written
                .chars()
                .map(|c| match c {
                    '"' | '\'' | '\n' | '\r' => c.to_string(),
                    other => "*".repeat(other.len_utf8()),
                })
                .collect();
            text.replace_range(place.start..place.end, &stars);
        }
        hidden
    }

    /// Returns the file, the line and the column of where a span begins.
    pub(super) fn place(&self, span: Span) -> String {
        let Source { name, text } = self.get(span.source);
        let before = text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!("{name}:{line}:{column}")
    }

    /// Returns whether what is written at a place starts with a character.
    pub(super) fn starts_with(&self, span: Span, character: char) -> bool {
        let text = &self.get(span.source).text;
        text[span.start..].starts_with(character)
    }

    /// Returns every text with its id.
    pub(super) fn texts(&self) -> impl Iterator<Item = (SourceId, &str)> {
        let texts = self.0.iter().enumerate();
        texts.map(|(index, source)| (SourceId(index), source.text.as_str()))
    }

    /// Returns the main file; `None` if it could not be read.
    #[must_use]
    pub fn first(&self) -> Option<&Source> {
        self.0.first()
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

    /// Returns whether both have something in common, if only an end.
    pub(super) fn touches(self, other: Self) -> bool {
        self.source == other.source && self.start <= other.end && other.start <= self.end
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
