//! Shell-style patterns for client identifiers, user names and hosts.
//!
//! | in a pattern | matches |
//! |---|---|
//! | `*` | any characters, or none |
//! | `?` | one character |
//! | anything else | itself; case matters |
//!
//! There is no escape: a `?` matches a `?`, too, and so does `*` a `*`.

use std::fmt;

use thiserror::Error;

/// The most characters of a pattern.
pub const MAX_CHARACTERS: usize = 256;

/// A pattern, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    /// With no two `*` side by side.
    characters: Box<[char]>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It would match nobody: a broker knows no empty client identifier.
    #[error("it is empty")]
    Empty,
    /// What it costs to match is the product of both lengths at worst.
    #[error("it has more than {MAX_CHARACTERS} characters")]
    TooLong,
}

impl TryFrom<&str> for Pattern {
    type Error = PatternError;

    fn try_from(text: &str) -> Result<Self, PatternError> {
        let mut characters: Vec<char> = text.chars().collect();
        if characters.is_empty() {
            return Err(PatternError::Empty);
        }
        if characters.len() > MAX_CHARACTERS {
            return Err(PatternError::TooLong);
        }
        characters.dedup_by(|next, last| *next == '*' && *last == '*');
        Ok(Self {
            characters: characters.into(),
        })
    }
}

impl Pattern {
    /// Returns whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        // Behind the last `*`: where the pattern goes on, and the text that it may still take.
        let mut star: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            let before = rest.clone();
            match (self.characters.get(at), rest.next()) {
                (Some('*'), _) => {
                    at += 1;
                    rest = before;
                    star = Some((at, rest.clone()));
                }
                (None, None) => return true,
                (Some('?'), Some(_)) => at += 1,
                (Some(wanted), Some(character)) if *wanted == character => at += 1,
                _ => {
                    let Some((behind, taken)) = &mut star else {
                        return false;
                    };
                    if taken.next().is_none() {
                        return false;
                    }
                    at = *behind;
                    rest = taken.clone();
                }
            }
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.characters.iter().collect();
        write!(f, "Pattern({text:?})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn stars_and_question_marks_stand_for_characters() {
        let check = |text: &str, matching: &[&str], other: &[&str]| {
            for id in matching {
                assert!(pattern(text).matches(id), "{text} and {id:?}");
            }
            for id in other {
                assert!(!pattern(text).matches(id), "{text} and {id:?}");
            }
        };
        check(
            "sensor-*",
            &["sensor-", "sensor-1"],
            &["sensor", "Sensor-1", "a-sensor-1"],
        );
        check("*", &["", "a", "*", "ä"], &[]);
        check("?", &["a", "ä", "?", "🦀"], &["", "ab"]);
        check(
            "a*b*c",
            &["abc", "abbc", "axbxc", "abcbc"],
            &["ab", "acb", "abcd"],
        );
        check("**a**", &["a", "ba", "ab"], &["", "b"]);
        check("a?c", &["abc", "a?c"], &["ac", "abbc"]);
        check("*-?", &["x-1", "--1"], &["x-", "x-12"]);
        check("a", &["a"], &["", "aa", "b"]);
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let check = |text: &str, expected| {
            assert_eq!(Pattern::try_from(text).unwrap_err(), expected, "{text}");
        };
        check("", PatternError::Empty);
        check(&"ä".repeat(257), PatternError::TooLong);
        assert!(Pattern::try_from("ä".repeat(256).as_str()).is_ok());
    }

    #[test]
    fn the_worst_pattern_takes_no_time_worth_naming() {
        let text = "a".repeat(65_535);
        let worst = pattern(&"*a".repeat(127));
        assert!(worst.matches(&text));
        assert!(!pattern(&format!("{}b", "*a".repeat(127))).matches(&text));
    }

    /// The table above by recursion, to compare with.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                naive(rest, text) || (!text.is_empty() && naive(pattern, &text[1..]))
            }
            (['?', pattern @ ..], [_, text @ ..]) => naive(pattern, text),
            ([wanted, pattern @ ..], [got, text @ ..]) if wanted == got => naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_is_what_the_table_says(text in "[ab*?]{1,8}", id in "[abä]{0,10}") {
            let characters: Vec<char> = text.chars().collect();
            let id_characters: Vec<char> = id.chars().collect();
            prop_assert_eq!(pattern(&text).matches(&id), naive(&characters, &id_characters));
        }
    }
}
