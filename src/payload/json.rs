//! Whether a payload is JSON, as strictly as a receiver may read it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Returns the text of a payload that is one JSON value (RFC 8259), with white space around it or
/// not; `None` for any other, and for one that is nested deeper than 127 levels, holds a number
/// that no double comes near, or half of a surrogate pair: such things make receivers fail.
#[must_use]
pub fn json(payload: &[u8]) -> Option<&str> {
    // What begins so is no JSON, and most payloads that are none begin so.
    let first = payload.trim_ascii_start().first()?;
    if !matches!(
        first,
        b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
    ) {
        return None;
    }
    let text = std::str::from_utf8(payload).ok()?;
    is_json(text).then_some(text)
}

/// Returns the same of a text.
#[must_use]
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

/// A JSON value that was read and forgotten. Unlike serde's `IgnoredAny` it reads strings and numbers
/// for what they are, and no deeper than `serde_json` goes.
struct Value;

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while let Some((Key, Self)) = members.next_entry()? {}
        Ok(self)
    }
}

/// A key, which is a string.
struct Key;

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Value).map(|_| Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_receiver_reads_is_json() {
        let check = |payload: &[u8], expected| {
            assert_eq!(json(payload).is_some(), expected, "{payload:?}");
        };
        for good in [
            "1",
            " {\"a\": [1.50, null]}\n",
            "\"x\"",
            "true",
            "-0",
            "{\"a\":1,\"a\":2}",
        ] {
            check(good.as_bytes(), true);
        }
        for bad in [
            "",
            " ",
            "hello",
            "1 2",
            "{a:1}",
            "{\"a\":1,}",
            "[1",
            "01",
            "NaN",
            "1e999",
            "nul",
            "\u{feff}1",
            "\"\\ud800\"",
            "{\"\\ud800\":1}",
            "\"\u{1}\"",
            "'a'",
        ] {
            check(bad.as_bytes(), false);
        }
        check(b"\"\xff\"", false);
        check(&vec![b'['; 1 << 20], false);
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        check(nested(127).as_bytes(), true);
        check(nested(128).as_bytes(), false);
    }
}
