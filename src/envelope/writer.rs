//! A JSON object, written key by key into one buffer.
//!
//! Bodies are flat and known key by key, and this is the hottest code that is mqhook's own:
//! text without anything to escape is found in blocks and copied whole.

use bytes::Bytes;

/// Bytes that are looked at together; a size that compilers make one or two vector instructions of.
const BLOCK: usize = 32;

/// The key of a member, ready to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(pub(super) &'static str);

/// Returns the [`Key`] of this name, which must need no escaping. All that is around the name is
/// joined to it by the compiler, so that a key is written in one piece.
macro_rules! key {
    ($name:literal) => {
        $crate::envelope::writer::Key(concat!(",\"", $name, "\":"))
    };
}
pub(super) use key;

/// An object that is being written: its members, each behind a comma. The first comma becomes the
/// opening brace in the end.
#[derive(Debug)]
pub(super) struct Object(Vec<u8>);

impl Object {
    /// Returns an empty object with room for this many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds a string, escaped.
    #[inline]
    pub(super) fn string(mut self, key: Key, value: &str) -> Self {
        self.key(key);
        self.quoted(value);
        self
    }

    /// Adds a string, or `null`.
    #[inline]
    pub(super) fn string_or_null(self, key: Key, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.string(key, value),
            None => self.literal(key, "null"),
        }
    }

    /// Adds a string that needs no escaping.
    #[inline]
    pub(super) fn plain(mut self, key: Key, value: &'static str) -> Self {
        self.key(key);
        self.0.push(b'"');
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(b'"');
        self
    }

    /// Adds a whole number.
    #[inline]
    pub(super) fn number(mut self, key: Key, value: impl Into<u64>) -> Self {
        self.key(key);
        self.0
            .extend_from_slice(itoa::Buffer::new().format(value.into()).as_bytes());
        self
    }

    /// Adds a whole number, or `null`.
    #[inline]
    pub(super) fn number_or_null(self, key: Key, value: Option<impl Into<u64>>) -> Self {
        match value {
            Some(value) => self.number(key, value),
            None => self.literal(key, "null"),
        }
    }

    /// Adds `true` or `false`.
    #[inline]
    pub(super) fn bool(self, key: Key, value: bool) -> Self {
        self.literal(key, if value { "true" } else { "false" })
    }

    /// Adds a value that is JSON already.
    pub(super) fn json(mut self, key: Key, json: &str) -> Self {
        self.key(key);
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// Adds `true`, `false` or `null`.
    pub(super) fn bool_or_null(self, key: Key, value: Option<bool>) -> Self {
        match value {
            Some(value) => self.bool(key, value),
            None => self.literal(key, "null"),
        }
    }

    /// Adds a list of objects with a name and a value.
    pub(super) fn pairs<'a>(
        mut self,
        key: Key,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        self.key(key);
        self.0.push(b'[');
        for (at, (name, value)) in pairs.enumerate() {
            if at > 0 {
                self.0.push(b',');
            }
            let room = name.len() + value.len() + 24;
            let pair = Self::with_capacity(room)
                .string(key!("name"), name)
                .string(key!("value"), value);
            self.0.extend_from_slice(&pair.finish());
        }
        self.0.push(b']');
        self
    }

    /// Adds an object.
    pub(super) fn object(mut self, key: Key, value: Self) -> Self {
        self.key(key);
        self.0.extend_from_slice(&value.finish());
        self
    }

    /// Returns the text of the object. It takes no further memory if the object fills its room.
    pub(super) fn finish(mut self) -> Bytes {
        match self.0.first_mut() {
            Some(comma) => *comma = b'{',
            None => self.0.push(b'{'),
        }
        self.0.push(b'}');
        self.0.into()
    }

    /// Begins a member.
    #[inline]
    fn key(&mut self, key: Key) {
        self.0.extend_from_slice(key.0.as_bytes());
    }

    #[inline]
    fn literal(mut self, key: Key, literal: &'static str) -> Self {
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
    if rest.len() < BLOCK && rest.iter().fold(0, |any, &byte| any | special(byte)) == 0 {
        return bytes.len();
    }
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
        let inner = Object::with_capacity(16).number(key!("qos"), 1_u8);
        let object = Object::with_capacity(64)
            .string(key!("a"), "x")
            .string_or_null(key!("b"), None)
            .number(key!("c"), u64::MAX)
            .number_or_null(key!("d"), None::<u8>)
            .bool(key!("e"), true)
            .object(key!("f"), inner)
            .plain(key!("g"), "y");
        let expected = r#"{"a":"x","b":null,"c":18446744073709551615,"d":null,"e":true,"f":{"qos":1},"g":"y"}"#;
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
            let ours = Object::with_capacity(0).string(key!("k"), &text).finish();
            let theirs = serde_json::json!({ "k": text }).to_string();
            prop_assert_eq!(std::str::from_utf8(&ours), Ok(theirs.as_str()));
        }
    }
}
