//! Topic names and topic filters (MQTT 5, 4.7).
//!
//! Both are checked once, when they are made, and are then known to be well formed.
//! [`TopicFilter`] also answers how two filters relate, which is what keeps
//! overlapping subscriptions from making two events out of one message.

use std::fmt;

use bytestring::ByteString;
use thiserror::Error;

/// Longest topic name or filter in bytes: MQTT's UTF-8 strings have a two-byte length (1.5.4).
const MAX_BYTES: usize = 65_535;

/// Most levels of a filter; Mosquitto refuses more, too.
const MAX_LEVELS: usize = 200;

/// Why a text is not a topic name or not a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TopicError {
    /// Nothing was changed; so for all variants.
    #[error("it is empty")]
    Empty,
    /// MQTT 5, 1.5.4.
    #[error("it is longer than 65535 bytes")]
    TooLong,
    /// MQTT 5, 4.7.3.
    #[error("it contains a null character")]
    Null,
    /// A name, unlike a filter, has no wildcards (4.7.1).
    #[error("a topic name cannot contain the wildcards `+` and `#`")]
    Wildcard,
    /// 4.7.1.2.
    #[error("`#` must be the last level and stand alone in it")]
    MultiLevel,
    /// 4.7.1.3.
    #[error("`+` must stand alone in its level")]
    SingleLevel,
    /// Brokers refuse such filters.
    #[error("it has more than 200 levels")]
    TooDeep,
    /// 4.8.2.
    #[error("a shared subscription is `$share/<group>/<filter>`, the group without `+` and `#`")]
    Share,
}

/// The name of a topic: what a message is published to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(ByteString);

impl TopicName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the levels between the slashes; some may be empty.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        levels(&self.0)
    }

    /// Returns the name in a buffer of its own.
    pub(super) fn compact(&self) -> Self {
        Self(ByteString::from(self.as_str()))
    }

    /// Returns whether the name is reserved for the broker, so that no leading wildcard matches it (4.7.2).
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl TryFrom<ByteString> for TopicName {
    type Error = TopicError;

    fn try_from(text: ByteString) -> Result<Self, TopicError> {
        check_text(&text)?;
        if has_any(&text, [b'+', b'#']) {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(text))
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic filter: what a rule asks for and what a SUBSCRIBE carries.
///
/// A shared subscription, `$share/<group>/<filter>`, keeps its group apart; what
/// it matches is the filter behind the group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter {
    group: Option<ByteString>,
    filter: ByteString,
}

impl TopicFilter {
    /// Returns the filter that matches every topic that is not reserved.
    #[must_use]
    pub fn all() -> Self {
        Self {
            group: None,
            filter: ByteString::from_static("#"),
        }
    }

    /// Returns what topics are compared with: the filter without `$share/<group>/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.filter
    }

    /// Returns the share name of a shared subscription (4.8.2).
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Returns the levels between the slashes; some may be empty.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        levels(&self.filter)
    }

    /// Returns whether the filter matches the name (4.7).
    #[must_use]
    pub fn matches(&self, name: &TopicName) -> bool {
        if name.is_reserved() && !self.is_reserved() {
            return false;
        }
        let mut levels = name.levels();
        for wanted in self.levels() {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    /// Returns whether some topic matches both filters, whatever their groups are.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.is_reserved() != other.is_reserved() {
            return false;
        }
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        loop {
            match (ours.next(), theirs.next()) {
                (Some("#"), _) | (_, Some("#")) | (None, None) => return true,
                (None, _) | (_, None) => return false,
                (Some("+"), _) | (_, Some("+")) => {}
                (Some(our), Some(their)) if our == their => {}
                _ => return false,
            }
        }
    }

    /// Returns the narrowest filter that matches all that two overlapping filters match.
    ///
    /// The result is not shared and may match more: `a/+` and `+/b` give `+/+`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        let mut levels = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => break,
                (Some(our), Some(their)) if our == their && our != "#" => levels.push(our),
                (Some("#") | None, _) | (_, Some("#") | None) => {
                    levels.push("#");
                    break;
                }
                (Some(_), Some(_)) => levels.push("+"),
            }
        }
        Self {
            group: None,
            filter: levels.join("/").into(),
        }
    }

    /// Returns the filter that matches the topics that both match, in the share group of `self`; `None` if there
    /// is no such topic.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        if self.is_reserved() != other.is_reserved() {
            return None;
        }
        let (mut ours, mut theirs) = (self.levels(), other.levels());
        let mut levels = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                // What stands before `#` matches as well.
                (None | Some("#"), None) | (None, Some("#")) => break,
                (Some("#"), Some(rest)) => {
                    levels.push(rest);
                    levels.extend(theirs.by_ref());
                    break;
                }
                (Some(rest), Some("#")) => {
                    levels.push(rest);
                    levels.extend(ours.by_ref());
                    break;
                }
                (Some("+"), Some(level)) | (Some(level), Some("+")) => levels.push(level),
                (Some(our), Some(their)) if our == their => levels.push(our),
                _ => return None,
            }
        }
        let filter = levels.join("/");
        (filter.len() <= MAX_BYTES).then(|| Self {
            group: self.group.clone(),
            filter: filter.into(),
        })
    }

    fn is_reserved(&self) -> bool {
        self.filter.starts_with('$')
    }
}

impl TryFrom<&str> for TopicFilter {
    type Error = TopicError;

    fn try_from(text: &str) -> Result<Self, TopicError> {
        check_text(text)?;
        let (group, filter) = match text.strip_prefix("$share/") {
            None => (None, text),
            Some(shared) => {
                let (group, filter) = shared.split_once('/').ok_or(TopicError::Share)?;
                if group.is_empty() || filter.is_empty() || group.contains(['+', '#']) {
                    return Err(TopicError::Share);
                }
                (Some(group.into()), filter)
            }
        };
        check_wildcards(filter)?;
        Ok(Self {
            group,
            filter: filter.into(),
        })
    }
}

impl fmt::Display for TopicFilter {
    /// Writes what a SUBSCRIBE carries, with the group of a shared subscription.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(group) = &self.group {
            write!(f, "$share/{group}/")?;
        }
        f.write_str(&self.filter)
    }
}

/// Returns whether brokers may close a connection over a character: control characters, and those that
/// Unicode says are none (1.5.4). Names of topics that a broker sends may have them all the same.
#[must_use]
pub fn is_unsendable(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code)
}

/// Returns what is between the slashes. Most topics are short, and are split quicker like this than by a search
/// that is made for long texts.
fn levels(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.bytes().position(|byte| byte == b'/') else {
            return rest.take();
        };
        let (level, others) = text.split_at(end);
        rest = Some(&others[1..]);
        Some(level)
    })
}

/// Returns whether a text has any of some ASCII characters; it looks at all of it, as that makes vector code.
fn has_any<const N: usize>(text: &str, wanted: [u8; N]) -> bool {
    let is_wanted = |byte| wanted.contains(&byte);
    text.bytes().fold(false, |any, byte| any | is_wanted(byte))
}

fn check_text(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        Err(TopicError::Empty)
    } else if text.len() > MAX_BYTES {
        Err(TopicError::TooLong)
    } else if has_any(text, [0]) {
        Err(TopicError::Null)
    } else {
        Ok(())
    }
}

fn check_wildcards(filter: &str) -> Result<(), TopicError> {
    if levels(filter).nth(MAX_LEVELS).is_some() {
        return Err(TopicError::TooDeep);
    }
    let mut levels = levels(filter).peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(TopicError::MultiLevel);
        }
        if level.contains('+') && level != "+" {
            return Err(TopicError::SingleLevel);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
