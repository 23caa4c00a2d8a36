//! Event ids.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use super::Timestamp;

/// Digits of an id: 62^22 is the first power of 62 beyond 2^128.
const DIGITS: usize = 22;

/// Names one event, for ever: a `UUIDv7` (RFC 9562, 5.7), printed as 22 base62 digits.
///
/// Ids sort by the time at which they were made, as numbers and as text, and ids that
/// one process makes never go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u128);

impl Id {
    /// Returns an id that no other event has.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "an id is not a value with a default"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7().as_u128())
    }

    /// Returns when the id was made, by the system's clock (RFC 9562, 5.7).
    #[must_use]
    pub const fn time(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as u64)
    }

    /// Returns the id in the hexadecimal form of UUIDs (RFC 9562, 4).
    #[must_use]
    pub fn uuid(self) -> String {
        Uuid::from_u128(self.0).hyphenated().to_string()
    }

    /// Returns the 22 digits of the id without allocating.
    #[must_use]
    pub fn digits(self) -> [u8; DIGITS] {
        let mut digits = [b'0'; DIGITS];
        let mut buffer = [0; DIGITS];
        let length = base62::encode_bytes(self.0, &mut buffer).expect("22 digits hold any u128");
        digits[DIGITS - length..].copy_from_slice(&buffer[..length]);
        digits
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        f.write_str(std::str::from_utf8(&digits).expect("base62 digits are ASCII"))
    }
}

/// The text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event id is 22 characters out of 0-9, A-Z and a-z")]
pub struct ParseIdError;

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() != DIGITS {
            return Err(ParseIdError);
        }
        base62::decode(text).map(Self).map_err(|_| ParseIdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_fixed_in_width_and_read_back() {
        for id in [Id(0), Id(1), Id(u128::MAX), Id::new()] {
            let text = id.to_string();
            assert_eq!(text.len(), DIGITS);
            assert_eq!(text.parse(), Ok(id));
        }
        assert_eq!("short".parse::<Id>(), Err(ParseIdError));
        assert_eq!("zzzzzzzzzzzzzzzzzzzzzz".parse::<Id>(), Err(ParseIdError));
    }

    #[test]
    fn later_ids_sort_behind_earlier_ones() {
        let ids: Vec<Id> = (0..1_000).map(|_| Id::new()).collect();
        let texts: Vec<String> = ids.iter().map(Id::to_string).collect();
        assert!(ids.is_sorted());
        assert!(texts.is_sorted());
    }
}
