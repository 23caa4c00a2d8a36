//! What is said about a value or a word, before its place is known.

use super::problem::Problem;
use super::source::Span;
use super::value::Value;

/// Why a value is not what its key wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    what: String,
    help: Option<String>,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says that it is about what a file holds.
    pub(super) fn within(mut self, file: &str) -> Self {
        self.what = format!("in {file}: {}", self.what);
        self
    }

    pub(super) fn wrong_type(wanted: &str, got: &Value) -> Self {
        Self::new(format!("it must be {wanted}, not {}", got.type_name()))
    }

    pub(super) fn about(self, path: &str, span: impl Into<Option<Span>>) -> Problem {
        let problem = Problem::error(span, format!("`{path}`: {}", self.what));
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// Says what would be right.
    pub(super) fn one_of<'a>(self, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.collect();
        match known.as_slice() {
            [only] => self.help(format!("it can only be {only}")),
            _ => self.help(format!("it must be one of {}", known.join(", "))),
        }
    }
}

impl std::fmt::Display for Complaint {
    /// Says what is wrong and how to mend it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.help {
            Some(help) => write!(f, "{}: {help}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl From<&str> for Complaint {
    fn from(what: &str) -> Self {
        Self::new(what)
    }
}

/// Returns a complaint about a name that is none of those that are known.
pub(super) fn unknown<'a>(
    what: &str,
    text: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Complaint {
    let complaint = Complaint::new(format!("unknown {what} `{text}`"));
    match closest(text, known.clone()) {
        Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
        None => complaint.one_of(known),
    }
}

/// Returns a complaint about a number beyond its limits.
pub(super) fn out_of_range(from: &impl ToString, to: &impl ToString, text: &str) -> Complaint {
    let (from, to) = (from.to_string(), to.to_string());
    Complaint::new(format!("it must be from {from} to {to}, not {text}"))
}

/// Returns the known word that is most like the one that was written, if it is like enough and no
/// other is as much: what `drop` means must not be guessed.
pub(super) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.75;
    let written = written.to_ascii_lowercase();
    let alike: Vec<(f64, &str)> = known
        .map(|word| (likeness(&written, word), word))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    let most = alike
        .iter()
        .fold(0.0, |most, (likeness, _)| likeness.max(most));
    let mut best = alike.into_iter().filter(|(likeness, _)| *likeness >= most);
    let (_, word) = best.next()?;
    best.all(|(_, other)| other == word).then_some(word)
}

/// Returns from 0 to 1 how much two words are alike; a word that the other begins with is.
fn likeness(written: &str, word: &str) -> f64 {
    const BEGINNING: f64 = 0.8;
    let likeness = strsim::normalized_damerau_levenshtein(written, word);
    let shorter = written.len().min(word.len());
    if shorter >= 3 && (written.starts_with(word) || word.starts_with(written)) {
        return likeness.max(BEGINNING);
    }
    likeness
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_guessed_only_if_one_is_most_like_it() {
        let check = |written, expected| {
            let known = ["block", "drop_oldest", "drop_newest"];
            assert_eq!(closest(written, known.into_iter()), expected, "{written}");
        };
        check("blok", Some("block"));
        check("DROP_OLD", Some("drop_oldest"));
        check("drop", None);
        check("wait", None);
    }
}
