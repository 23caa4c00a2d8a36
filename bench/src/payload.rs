//! The 256 bytes that are published, and how the receiver finds them again in a request body.
//!
//! ```text
//! MQB1:<sequence, 16 hex digits>:<publish time, 16 hex digits>:xxxx...
//! ```
//! Pure printable ASCII without quotes or backslashes, so that every envelope that writes plain payloads
//! into JSON carries it literally.

/// Length of a published payload in bytes.
pub const LEN: usize = 256;

const MARKER: &[u8] = b"MQB1:";
const STAMP_LEN: usize = MARKER.len() + 16 + 1 + 16;

/// What a payload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Position in the run, from 0.
    pub sequence: u64,
    /// `CLOCK_MONOTONIC` at the moment of publishing, in nanoseconds.
    pub published_ns: u64,
}

impl Stamp {
    /// Appends the payload of [`LEN`] bytes.
    pub fn append_to(self, out: &mut Vec<u8>) {
        let end = out.len() + LEN;
        out.extend_from_slice(MARKER);
        append_hex(out, self.sequence);
        out.push(b':');
        append_hex(out, self.published_ns);
        out.push(b':');
        out.resize(end, b'x');
    }

    /// Finds the stamps in a request body, of which a batch has several.
    pub fn all_in(mut body: &[u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let start = find(body, MARKER)?;
            let stamp = body.get(start..start + STAMP_LEN)?;
            body = body.get(start + LEN..).unwrap_or_default();
            let (sequence, published) = stamp[MARKER.len()..].split_at(16);
            Some(Self {
                sequence: parse_hex(sequence)?,
                published_ns: parse_hex(&published[1..])?,
            })
        })
    }
}

/// Returns where `needle` begins in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn append_hex(out: &mut Vec<u8>, value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in value.to_be_bytes() {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 0xf)]);
    }
}

fn parse_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamp_survives_a_json_body() {
        let stamp = Stamp {
            sequence: 99_999,
            published_ns: u64::MAX - 3,
        };
        let mut payload = Vec::new();
        stamp.append_to(&mut payload);
        assert_eq!(payload.len(), LEN);

        let body = format!(
            r#"{{"qos":1,"payload":"{}"}}"#,
            String::from_utf8_lossy(&payload)
        );
        let found = |body: &str| Stamp::all_in(body.as_bytes()).collect::<Vec<_>>();
        assert_eq!(found(&body), [stamp]);
        assert_eq!(found(&format!("[{body},{body}]")), [stamp; 2]);
    }

    #[test]
    fn body_without_a_whole_stamp_has_none() {
        for body in ["", "MQB1", "MQB1:00000000000000", r#"{"payload":"x"}"#] {
            assert_eq!(Stamp::all_in(body.as_bytes()).next(), None, "{body}");
        }
    }
}
