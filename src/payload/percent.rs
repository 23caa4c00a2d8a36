//! Percent-encoding: of what stands in a URL (RFC 3986, 2.1), and of what stands in a header.
//!
//! Of a text in UTF-8 every byte that may not stand for itself becomes `%` and two digits. As `%` is
//! among those, everything decodes to what it was.

use std::fmt::{self, Write};

/// Which characters stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Letters, digits, `-`, `.`, `_` and `~` (RFC 3986, 2.3): for one segment of a path, or a name
    /// or value in a query.
    Component,
    /// Those and `/`: for a path.
    Path,
    /// All of visible ASCII but `"` and `%` (`CloudEvents` 1.0.2, HTTP binding, 3.1.3.2): for the
    /// value of a header.
    Header,
    /// All of visible ASCII and the space: for the value of a header that is encoded already, but for
    /// what no header may hold.
    EncodedHeader,
}

impl Set {
    const fn has(self, byte: u8) -> bool {
        match self {
            Self::Component => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
            }
            Self::Path => Self::Component.has(byte) || byte == b'/',
            Self::Header => byte.is_ascii_graphic() && byte != b'"' && byte != b'%',
            Self::EncodedHeader => byte.is_ascii_graphic() || byte == b' ',
        }
    }

    /// Writes a text, encoded.
    ///
    /// # Errors
    /// Only those of `to`.
    pub fn write(self, text: &str, to: &mut impl Write) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| !self.has(byte)) {
            // What stands for itself is ASCII, so the text may be cut in front of a byte that does
            // not, if that begins a character.
            to.write_str(&rest[..at])?;
            let character = rest[at..].chars().next().map_or(1, char::len_utf8);
            for byte in rest[at..at + character].bytes() {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                let code = [b'%', HEX[high], HEX[low]];
                to.write_str(std::str::from_utf8(&code).expect("they are ASCII"))?;
            }
            rest = &rest[at + character..];
        }
        to.write_str(rest)
    }

    /// Returns a text, encoded.
    ///
    /// # Panics
    /// Never: writing to a string does not fail.
    #[must_use]
    pub fn encode(self, text: &str) -> String {
        let mut encoded = String::with_capacity(text.len() + text.len() / 4);
        self.write(text, &mut encoded)
            .expect("writing to a string does not fail");
        encoded
    }

    /// Returns whether a text needs no encoding, or is encoded.
    #[must_use]
    pub fn is_encoded(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let is_code = |at: usize| {
            let code = bytes.get(at + 1..at + 3);
            code.is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
        };
        (0..bytes.len()).all(|at| self.has(bytes[at]) || (bytes[at] == b'%' && is_code(at)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_place_has_its_own_set() {
        let check = |set: Set, expected| assert_eq!(set.encode("a/b ?&\"%é\r\n~"), expected);
        check(Set::Component, "a%2Fb%20%3F%26%22%25%C3%A9%0D%0A~");
        check(Set::Path, "a/b%20%3F%26%22%25%C3%A9%0D%0A~");
        check(Set::Header, "a/b%20?&%22%25%C3%A9%0D%0A~");
        check(Set::EncodedHeader, "a/b ?&\"%%C3%A9%0D%0A~");
    }

    #[test]
    fn what_is_encoded_is_known() {
        let check = |text, expected| assert_eq!(Set::Path.is_encoded(text), expected, "{text}");
        check("a/b%2Fc", true);
        check("", true);
        check("a?b", false);
        check("%2", false);
        check("%zz", false);
    }

    proptest! {
        #[test]
        fn everything_decodes_to_what_it_was(text in any::<String>()) {
            for set in [Set::Component, Set::Path, Set::Header] {
                let encoded = set.encode(&text);
                prop_assert!(set.is_encoded(&encoded));
                let decoded = percent_encoding::percent_decode_str(&encoded);
                prop_assert_eq!(decoded.decode_utf8().expect("UTF-8"), text.as_str());
            }
        }
    }
}
