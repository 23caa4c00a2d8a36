//! The chunked transfer coding (RFC 9112 section 7.1), decoded from a buffer; trailers are dropped.

/// What a buffer that starts with a chunked body holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunked {
    /// The body ends in the buffer, `consumed` bytes after its start.
    Complete { body: Vec<u8>, consumed: usize },
    /// More bytes are needed.
    Partial,
    /// This is not a chunked body.
    Malformed,
}

pub(crate) fn decode(buffer: &[u8]) -> Chunked {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = line_at(buffer, at) else {
            return Chunked::Partial;
        };
        let Some(size) = chunk_size(line) else {
            return Chunked::Malformed;
        };
        at += line.len() + 2;
        if size == 0 {
            return end_of_trailers(buffer, at).map_or(Chunked::Partial, |consumed| {
                Chunked::Complete { body, consumed }
            });
        }
        let Some(chunk) = buffer.get(at..at + size + 2) else {
            return Chunked::Partial;
        };
        if !chunk.ends_with(b"\r\n") {
            return Chunked::Malformed;
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
    }
}

fn end_of_trailers(buffer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = line_at(buffer, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some(at);
        }
    }
}

fn line_at(buffer: &[u8], at: usize) -> Option<&[u8]> {
    let rest = buffer.get(at..)?;
    let length = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&rest[..length])
}

/// The bound keeps the sum of positions far from overflow.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.split(';').next()?.trim();
    usize::from_str_radix(digits, 16)
        .ok()
        .filter(|size| *size <= 1 << 32)
}

#[cfg(test)]
mod tests {
    use super::{Chunked, decode};

    #[test]
    fn a_body_ends_with_its_trailers() {
        let coded = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\nrest";
        let expected = Chunked::Complete {
            body: b"abcde".to_vec(),
            consumed: coded.len() - 4,
        };
        assert_eq!(decode(coded), expected);
    }

    #[test]
    fn every_prefix_is_partial() {
        let coded = b"3\r\nabc\r\n0\r\n\r\n";
        for length in 0..coded.len() {
            assert_eq!(decode(&coded[..length]), Chunked::Partial, "{length} bytes");
        }
    }

    #[test]
    fn a_bad_size_and_a_missing_end_of_line_are_malformed() {
        assert_eq!(decode(b"xyz\r\n"), Chunked::Malformed);
        assert_eq!(decode(b"1\r\nabc\r\n"), Chunked::Malformed);
    }
}
