//! Bodies that take less on the way.

use std::io::Write as _;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::HeaderValue;

/// A smaller body fits into one packet either way, and a request has hundreds of bytes of headers.
const WORTHWHILE: usize = 512;

/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How bodies are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As gzip (RFC 1952), at the usual level.
    Gzip,
    /// As Zstandard (RFC 8878): faster, and smaller; fewer receivers understand it.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// Returns its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns up to which size compressing takes no longer than a task should run between two awaits.
    pub(super) const fn quick_bytes(self) -> usize {
        match self {
            Self::None => usize::MAX,
            Self::Gzip => 16 * 1024,
            Self::Zstd => 64 * 1024,
        }
    }

    /// Returns the body as it is sent, and its `Content-Encoding` if it has one.
    #[must_use]
    pub fn compress(self, body: Bytes) -> (Bytes, Option<HeaderValue>) {
        if self == Self::None || body.len() < WORTHWHILE {
            return (body, None);
        }
        match self.compressed(&body) {
            Some(compressed) if compressed.len() < body.len() => {
                let name = HeaderValue::from_static(self.as_str());
                (compressed.into(), Some(name))
            }
            _ => (body, None),
        }
    }

    fn compressed(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::None => None,
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(body).ok()?;
                encoder.finish().ok()
            }
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn decompressed(body: &[u8], encoding: Option<&HeaderValue>) -> Vec<u8> {
        let mut plain = Vec::new();
        match encoding.map(HeaderValue::as_bytes) {
            None => return body.to_vec(),
            Some(b"gzip") => {
                let mut decoder = flate2::read::GzDecoder::new(body);
                decoder.read_to_end(&mut plain).expect("it is gzip");
            }
            Some(_) => plain = zstd::decode_all(body).expect("it is zstd"),
        }
        plain
    }

    #[test]
    fn only_what_becomes_smaller_is_compressed() {
        let check = |compression: Compression, body: Vec<u8>, expected: Option<&'static str>| {
            let (_, encoding) = compression.compress(body.into());
            assert_eq!(encoding, expected.map(HeaderValue::from_static));
        };
        check(Compression::None, vec![b'a'; 10_000], None);
        check(Compression::Gzip, vec![b'a'; 10_000], Some("gzip"));
        check(Compression::Zstd, vec![b'a'; 10_000], Some("zstd"));
        check(Compression::Gzip, vec![b'a'; WORTHWHILE - 1], None);
        check(
            Compression::Gzip,
            rand::random::<[u8; 1_024]>().to_vec(),
            None,
        );
    }

    proptest! {
        #[test]
        fn what_is_compressed_is_what_was_to_be_sent(
            body in proptest::collection::vec(any::<u8>(), 0..3_000),
            gzip in any::<bool>(),
        ) {
            let compression = if gzip { Compression::Gzip } else { Compression::Zstd };
            let (sent, encoding) = compression.compress(body.clone().into());
            prop_assert_eq!(decompressed(&sent, encoding.as_ref()), body);
        }
    }
}
