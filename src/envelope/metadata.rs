//! Attributes of an event as headers, percent-encoded and bounded.

use std::fmt::Display;

use http::{HeaderName, HeaderValue};

use super::Rejected;
use crate::payload::percent::Set;

/// The most that is put into headers: more than receivers take, and far less than a broker lets
/// through as properties.
const MOST_BYTES: usize = 64 * 1024;

/// The most headers; the library that holds them has a limit of its own, far above.
const MOST_HEADERS: usize = 512;

/// Headers that are being collected.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    headers: Vec<(HeaderName, HeaderValue)>,
    bytes: usize,
}

impl Metadata {
    /// Adds a text, encoded ([`Set::Header`]).
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        // What is already too long need not be encoded.
        self.bytes += text.len();
        if self.bytes <= MOST_BYTES {
            self.push(name, &Set::Header.encode(text));
        }
    }

    /// Adds a text, if there is one.
    pub(super) fn text_if(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Adds a number or a truth value.
    pub(super) fn number(&mut self, name: &'static str, number: impl Display) {
        self.push(name, &number.to_string());
    }

    /// Adds a name and a value, encoded so that the `=` between them, and a comma between such
    /// headers, are unlike any in them.
    pub(super) fn pair(&mut self, header: &'static str, name: &str, value: &str) {
        self.bytes += name.len() + value.len();
        if self.bytes <= MOST_BYTES {
            let (name, value) = (Set::Component.encode(name), Set::Component.encode(value));
            self.push(header, &format!("{name}={value}"));
        }
    }

    fn push(&mut self, name: &'static str, encoded: &str) {
        self.bytes += name.len() + encoded.len();
        if self.bytes <= MOST_BYTES && self.headers.len() < MOST_HEADERS {
            let value = HeaderValue::from_str(encoded).expect("what is encoded is visible ASCII");
            self.headers.push((HeaderName::from_static(name), value));
        } else {
            self.bytes = MOST_BYTES + 1;
        }
    }

    /// Returns the headers.
    ///
    /// # Errors
    /// It was too much.
    pub(super) fn finish(self) -> Result<Vec<(HeaderName, HeaderValue)>, Rejected> {
        if self.bytes > MOST_BYTES {
            return Err(Rejected::TooMuchMetadata);
        }
        Ok(self.headers)
    }
}
