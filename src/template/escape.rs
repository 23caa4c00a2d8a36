//! How a value is written in the place where it stands.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Output, State, Value};
use thiserror::Error;

use super::bound;
use crate::payload::media_type;
use crate::payload::percent::Set;

/// What a template is a piece of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The method.
    Method,
    /// The path and the query of a URL.
    Url,
    /// The value of a header.
    Header,
    /// A body that is JSON.
    Json,
    /// A body that is `application/x-www-form-urlencoded`.
    Form,
    /// Any other body.
    Text,
}

/// Why a value may not stand where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// `null` has no text.
    #[error("a value is null, and only JSON can say that")]
    Null,
    /// It is not a value that JSON has.
    #[error("a value can not be written as JSON")]
    NotJson,
    /// A client must not decide how much memory is taken on the way.
    #[error("a value on the way gets too large")]
    TooLarge,
}

impl Place {
    /// Returns the place of a body with this media type.
    #[must_use]
    pub fn of_body(media_type: &str) -> Self {
        if media_type::is_json(media_type) {
            Self::Json
        } else if media_type::is(media_type, "application/x-www-form-urlencoded") {
            Self::Form
        } else {
            Self::Text
        }
    }

    /// Writes a value, counted with all that was written before it.
    pub(super) fn write(
        self,
        value: &Value,
        state: &mut State,
        out: &mut Output<'_>,
    ) -> Result<(), Error> {
        match value.kind() {
            // An `if` without `else` that did not come true.
            ValueKind::Undefined => Ok(()),
            ValueKind::None if self != Self::Json => Err(refuse(Refusal::Null)),
            ValueKind::String => {
                let text = value.as_str().ok_or_else(|| refuse(Refusal::NotJson))?;
                bound::count(text.len(), state)?;
                self.write_text(text, value.is_safe(), out)
            }
            _ => {
                let json = bound::json(value)?;
                bound::count(json.len(), state)?;
                self.write_text(&json, self == Self::Json, out)
            }
        }
    }

    /// Writes a text. One that is safe was written for this place by a filter or in a block, if it
    /// looks like it: `tojson` makes safe texts of anything.
    fn write_text(self, text: &str, is_safe: bool, out: &mut Output<'_>) -> Result<(), Error> {
        match self {
            Self::Method | Self::Text => out.write_str(text)?,
            Self::Url | Self::Form if is_safe && Set::Path.is_encoded(text) => {
                out.write_str(text)?;
            }
            Self::Url | Self::Form => Set::Component.write(text, out)?,
            Self::Header if is_safe => Set::EncodedHeader.write(text, out)?,
            Self::Header => Set::Header.write(text, out)?,
            Self::Json if is_safe => out.write_str(text)?,
            Self::Json => write_json_content(text, out)?,
        }
        Ok(())
    }
}

/// Writes what stands between the quotes of a JSON string.
fn write_json_content(text: &str, out: &mut Output<'_>) -> Result<(), Error> {
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_special) {
        out.write_str(&rest[..at])?;
        match rest.as_bytes()[at] {
            byte @ (b'"' | b'\\') => write!(out, "\\{}", char::from(byte))?,
            b'\n' => out.write_str("\\n")?,
            b'\r' => out.write_str("\\r")?,
            b'\t' => out.write_str("\\t")?,
            byte => write!(out, "\\u{byte:04x}")?,
        }
        rest = &rest[at + 1..];
    }
    out.write_str(rest)?;
    Ok(())
}

pub(super) fn refuse(refusal: Refusal) -> Error {
    Error::new(ErrorKind::InvalidOperation, "refused").with_source(refusal)
}
