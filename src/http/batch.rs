//! Several bodies in one.

use bytes::Bytes;

/// How the bodies of a batch are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchFormat {
    /// A JSON array of them.
    #[default]
    Json,
    /// Each on a line of its own, which ends with a line feed.
    Ndjson,
    /// A JSON array of `CloudEvents` (JSON event format, 4).
    CloudEvents,
}

impl BatchFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::Ndjson, Self::CloudEvents];

    /// Returns its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// Returns one body out of bodies that are a JSON value each. In JSON a line break stands for a
    /// space, and is one where each value has its line.
    pub(super) fn join(self, bodies: &[Bytes]) -> Bytes {
        let (open, between, close) = match self {
            Self::Json | Self::CloudEvents => ("[", ",", "]"),
            Self::Ndjson => ("", "\n", "\n"),
        };
        let bytes: usize = bodies.iter().map(|body| body.len() + 1).sum();
        let mut joined = Vec::with_capacity(bytes + 1);
        joined.extend_from_slice(open.as_bytes());
        for (index, body) in bodies.iter().enumerate() {
            if index > 0 {
                joined.extend_from_slice(between.as_bytes());
            }
            let start = joined.len();
            joined.extend_from_slice(body);
            if self == Self::Ndjson {
                one_line(&mut joined[start..]);
            }
        }
        joined.extend_from_slice(close.as_bytes());
        Bytes::from(joined)
    }
}

fn one_line(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_joined_as_the_format_wants() {
        let check = |format: BatchFormat, bodies: &[&'static str], expected: &str| {
            let bodies: Vec<_> = bodies.iter().copied().map(Bytes::from).collect();
            assert_eq!(format.join(&bodies), expected);
        };
        check(BatchFormat::Json, &["{}"], "[{}]");
        check(BatchFormat::Json, &["{\"a\":1}", "{}"], "[{\"a\":1},{}]");
        check(BatchFormat::CloudEvents, &["{}", "{}"], "[{},{}]");
        check(BatchFormat::Json, &["{\n}"], "[{\n}]");
        check(BatchFormat::Ndjson, &["{}"], "{}\n");
        check(BatchFormat::Ndjson, &["{\r\n}", "{}"], "{  }\n{}\n");
        check(BatchFormat::Ndjson, &["{}", "{}"], "{}\n{}\n");
    }
}
