//! Event ids.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use thiserror::Error;
use uuid::{ContextV7, Uuid};

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
        Self::at(Timestamp::now())
    }

    /// Returns an id that no other event has, which says that it was made at `now`; if it were then not behind
    /// all before, at the time of the last.
    #[must_use]
    pub(super) fn at(now: Timestamp) -> Self {
        /// What ids of one millisecond are told apart and sorted by.
        static COUNTER: Mutex<ContextV7> = Mutex::new(ContextV7::new());
        Self::made(&COUNTER, now)
    }

    fn made(counter: &Mutex<ContextV7>, now: Timestamp) -> Self {
        let since = Duration::from_millis(now.as_millis());
        let time = uuid::Timestamp::from_unix(counter, since.as_secs(), since.subsec_nanos());
        Self(Uuid::new_v7(time).as_u128())
    }

    /// Returns the id of one event, or the one that several have together: the same for the same events
    /// in the same order, with the time of the first.
    #[must_use]
    pub fn of_all(ids: impl IntoIterator<Item = Self>) -> Self {
        /// Odd, so that nothing is lost, and with bits everywhere: from the golden ratio.
        const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        const TIME: u128 = u128::MAX << 80;
        let mut ids = ids.into_iter();
        let first = ids.next().unwrap_or(Self(0));
        let mix = |all: Option<u128>, id: Self| {
            let all = all.unwrap_or(first.0).rotate_left(59) ^ id.0;
            Some(all.wrapping_mul(SPREAD))
        };
        match ids.fold(None, mix) {
            None => first,
            // The product's upper bits depend on all others.
            Some(all) => Self((first.0 & TIME) | (all >> 48)),
        }
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
    fn several_events_have_an_id_of_their_own() {
        let ids: Vec<Id> = (0..100).map(|_| Id::new()).collect();
        let of = |ids: &[Id]| Id::of_all(ids.iter().copied());
        assert_eq!(of(&ids[..1]), ids[0]);
        assert_eq!(of(&ids), of(&ids));
        assert_eq!(of(&ids).time(), ids[0].time());
        let parts = (2..100).map(|count| of(&ids[..count]));
        let tails = (1..98).map(|first| of(&ids[first..]));
        let mut all: Vec<Id> = parts.chain(tails).chain([of(&[ids[1], ids[0]])]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 98 + 97 + 1, "some have the same id");
    }

    #[test]
    fn an_id_says_when_it_was_made_and_goes_not_back_with_the_clock() {
        let counter = Mutex::default();
        let now = Timestamp::now();
        let id = Id::made(&counter, now);
        assert_eq!(id.time(), now);
        let next = Id::made(&counter, Timestamp::from_millis(now.as_millis() - 500));
        assert!(next > id);
        assert_eq!(next.time(), now);
    }

    #[test]
    fn later_ids_sort_behind_earlier_ones() {
        let ids: Vec<Id> = (0..1_000).map(|_| Id::new()).collect();
        let texts: Vec<String> = ids.iter().map(Id::to_string).collect();
        assert!(ids.is_sorted());
        assert!(texts.is_sorted());
    }
}
