//! A JSON object, written key by key into one buffer.
//!
//! Bodies are flat and known key by key, and this is the hottest code that is mqhook's own:
//! text without anything to escape is found in blocks and copied whole.

use bytes::Bytes;

/// Bytes that are looked at together; a size that compilers make one or two vector instructions of.
const BLOCK: usize = 32;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object(Vec<u8>);

impl Object {
    /// Returns an empty object with room for this many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes);
        buffer.push(b'{');
        Self(buffer)
    }

    /// Adds a string, escaped.
    pub(super) fn string(mut self, key: &'static str, value: &str) -> Self {
        self.key(key);
        self.quoted(value);
        self
    }

    /// Adds a string, or `null`.
    pub(super) fn string_or_null(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.string(key, value),
            None => self.literal(key, "null"),
        }
    }

    /// Adds a whole number.
    pub(super) fn number(mut self, key: &'static str, value: impl Into<u64>) -> Self {
        self.key(key);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value.into()).as_bytes());
        self
    }

    /// Adds a whole number, or `null`.
    pub(super) fn number_or_null(self, key: &'static str, value: Option<impl Into<u64>>) -> Self {
        match value {
            Some(value) => self.number(key, value),
            None => self.literal(key, "null"),
        }
    }

    /// Adds `true` or `false`.
    pub(super) fn bool(self, key: &'static str, value: bool) -> Self {
        self.literal(key, if value { "true" } else { "false" })
    }

    /// Adds an object.
    pub(super) fn object(mut self, key: &'static str, value: Self) -> Self {
        self.key(key);
        self.0.extend_from_slice(&value.finish());
        self
    }

    /// Returns the text of the object.
    pub(super) fn finish(mut self) -> Bytes {
        self.0.push(b'}');
        self.0.into()
    }

    /// Begins a member; keys need no escaping.
    fn key(&mut self, key: &'static str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn literal(mut self, key: &'static str, literal: &'static str) -> Self {
        self.key(key);
        self.0.extend_from_slice(literal.as_bytes());
        self
    }

    fn quoted(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        self.0.push(b'"');
        loop {
            let plain = plain_prefix(rest);
            self.0.extend_from_slice(&rest[..plain]);
            let Some(&byte) = rest.get(plain) else {
                break;
            };
            self.escape(byte);
            rest = &rest[plain + 1..];
        }
        self.0.push(b'"');
    }

    /// RFC 8259, section 7: the short form where there is one.
    fn escape(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0C => b'f',
            _ => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                self.0
                    .extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
                return;
            }
        };
        self.0.extend_from_slice(&[b'\\', short]);
    }
}

/// Returns how many bytes from the start need no escaping.
fn plain_prefix(bytes: &[u8]) -> usize {
    let blocks = bytes
        .chunks_exact(BLOCK)
        .take_while(|block| block.iter().fold(0, |any, &byte| any | special(byte)) == 0);
    let start = blocks.count() * BLOCK;
    let rest = &bytes[start..];
    let special = rest.iter().position(|&byte| special(byte) != 0);
    start + special.unwrap_or(rest.len())
}

/// Returns 1 for a byte that must be escaped, otherwise 0; as a number, it makes vector code.
fn special(byte: u8) -> u8 {
    u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_come_in_order() {
        let inner = Object::with_capacity(16).number("qos", 1_u8);
        let object = Object::with_capacity(64)
            .string("a", "x")
            .string_or_null("b", None)
            .number("c", u64::MAX)
            .number_or_null("d", None::<u8>)
            .bool("e", true)
            .object("f", inner);
        let expected =
            r#"{"a":"x","b":null,"c":18446744073709551615,"d":null,"e":true,"f":{"qos":1}}"#;
        assert_eq!(object.finish(), expected);
        assert_eq!(Object::with_capacity(0).finish(), "{}");
    }

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            "[\\x00-\\x7f]{0,80}",
            "[a-z]{0,80}",
            Just("\"".to_owned())
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn strings_are_escaped_like_the_oracle_does(text in text()) {
            let ours = Object::with_capacity(0).string("k", &text).finish();
            let theirs = serde_json::json!({ "k": text }).to_string();
            prop_assert_eq!(std::str::from_utf8(&ours), Ok(theirs.as_str()));
        }
    }
}
