//! Encodings: how the bytes of a payload become a JSON value.
//!
//! | name | of bytes | of an empty payload |
//! |---|---|---|
//! | `plain` | the text; what is not UTF-8, by [`NotUtf8`] | `""` |
//! | `base64` | RFC 4648 section 4, padded | `""` |
//! | `base62` | `NanoMQ`'s big-endian number in base 62 (since 0.24.9) | `""` |
//!
//! Every encoding is lossless, but `plain` with [`NotUtf8::Replace`].
//!
//! [`percent`] is for what stands in a URL or a header, [`json()`] for payloads that are JSON already.

mod base62;
mod json;
pub mod media_type;
pub mod percent;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

pub use json::{is_json, json};

/// How payload bytes become a JSON string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As the text that it is.
    #[default]
    Plain,
    /// RFC 4648 base64.
    Base64,
    /// Base 62 over 0-9, A-Z, a-z.
    Base62,
}

impl Encoding {
    /// Every encoding, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Base64, Self::Base62];

    /// Returns `NanoMQ`'s name of the encoding.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Base64 => "base64",
            Self::Base62 => "base62",
        }
    }

    /// Returns the name by which bodies say how they hold a payload.
    #[must_use]
    pub const fn text_name(self) -> &'static str {
        match self {
            Self::Plain => "text",
            _ => self.as_str(),
        }
    }

    /// Returns the text that stands for the payload.
    #[must_use]
    pub fn encode(self, payload: &[u8], not_utf8: NotUtf8) -> Encoded<'_> {
        let text = match self {
            Self::Plain => match (std::str::from_utf8(payload), not_utf8) {
                (Ok(text), _) => Cow::Borrowed(text),
                (Err(_), NotUtf8::Base64) => return Self::Base64.encode(payload, not_utf8),
                (Err(_), NotUtf8::Replace) => String::from_utf8_lossy(payload),
            },
            Self::Base64 => STANDARD.encode(payload).into(),
            Self::Base62 => base62::encode(payload).into(),
        };
        Encoded {
            text,
            encoding: self,
        }
    }
}

/// A payload as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// How it was made: the encoding that was asked for, or what `plain` fell back to.
    pub encoding: Encoding,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = ();

    /// Reads an encoding's name; case does not matter, as in `NanoMQ`.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.as_str().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// What `plain` makes of a payload that is not UTF-8, so that the body stays JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum NotUtf8 {
    /// Base64, and the envelope says so: nothing is lost.
    #[default]
    Base64,
    /// U+FFFD in place of what cannot be read: for receivers that want text at any price.
    Replace,
}

impl NotUtf8 {
    /// Every choice, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Base64, Self::Replace];

    /// Returns the name that `body.not_utf8` takes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Replace => "replace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_is_lossless_or_lossy_as_asked() {
        let check = |payload: &[u8], not_utf8, expected: &str| {
            assert_eq!(Encoding::Plain.encode(payload, not_utf8).text, expected);
        };
        check(b"", NotUtf8::Base64, "");
        check(b"ab\0cd", NotUtf8::Base64, "ab\0cd");
        check("héllo".as_bytes(), NotUtf8::Base64, "héllo");
        check(&[0xff, 0xfe, 0x80, b'a'], NotUtf8::Base64, "//6AYQ==");
        check(&[0xff, b'a'], NotUtf8::Replace, "\u{fffd}a");
    }

    #[test]
    fn base64_is_padded() {
        let check = |payload: &[u8], expected: &str| {
            let text = Encoding::Base64.encode(payload, NotUtf8::Base64).text;
            assert_eq!(text, expected);
        };
        check(b"", "");
        check(b"f", "Zg==");
        check(&[0xfb, 0xef, 0xbe, 0xff], "++++/w==");
    }

    #[test]
    fn names_read_in_any_case() {
        assert_eq!("Base62".parse(), Ok(Encoding::Base62));
        assert_eq!("base32".parse::<Encoding>(), Err(()));
    }
}
