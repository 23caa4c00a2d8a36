//! How large values may get on the way to what is made.
//!
//! What comes out is bounded, and so are steps; but one step can make a text of any length, out of a
//! number that a client chose or of many times the payload. So filters that take lengths are not there
//! (see [`super::filters`]), nor is `namespace`, by which a loop could add to a text; those that multiply
//! texts are asked beforehand; and what goes into a block that is kept is counted like what goes out.

use std::io;

use minijinja::value::{Kwargs, StringInput, ValueKind};
use minijinja::{Error, State, Value, filters};

use super::escape::{Refusal, refuse};

/// The most bytes of a value that is not the event's own.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// The most bytes of long texts that are written for one event, into blocks and out.
const MOST_WRITTEN_BYTES: usize = 4 * MOST_BYTES;

/// Texts up to here are not counted: there are no more of them than steps.
const SHORT_BYTES: usize = 1_024;

/// The widest that JSON may be indented.
const MOST_INDENT: usize = 16;

/// Where it is counted what was written.
const WRITTEN: &str = "mqhook.written";

/// Counts a text that is written.
pub(super) fn count(bytes: usize, state: &mut State) -> Result<(), Error> {
    if bytes <= SHORT_BYTES {
        return Ok(());
    }
    let before = state.get_temp(WRITTEN);
    let before = before.and_then(|before| before.as_usize()).unwrap_or(0);
    let written = at_most(before + bytes, MOST_WRITTEN_BYTES)?;
    state.set_temp(WRITTEN, written.into());
    Ok(())
}

/// Returns a value as JSON.
pub(super) fn json(value: &Value) -> Result<String, Error> {
    let mut json = Bounded::default();
    let written = serde_json::to_writer(&mut json, value);
    if json.is_full {
        return Err(refuse(Refusal::TooLarge));
    }
    written.map_err(|_| refuse(Refusal::NotJson))?;
    String::from_utf8(json.bytes).map_err(|_| refuse(Refusal::NotJson))
}

/// minijinja's `replace`.
pub(super) fn replace(
    state: &mut State,
    text: StringInput<'_>,
    from: StringInput<'_>,
    to: StringInput<'_>,
) -> Result<Value, Error> {
    let times = text.as_str().matches(from.as_str()).count();
    // Encoding may make three bytes of one.
    let most = to.as_str().len().saturating_mul(3).saturating_mul(times);
    at_most(most.saturating_add(text.as_str().len()), MOST_BYTES)?;
    filters::replace(state, text, from, to)
}

/// minijinja's `join`.
pub(super) fn join(
    state: &mut State,
    list: &Value,
    between: Option<StringInput<'_>>,
    attribute: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let of_kwargs: Option<StringInput<'_>> = kwargs.get("d")?;
    let between_bytes =
        [&between, &of_kwargs].map(|text| text.as_ref().map_or(0, |it| it.as_str().len()));
    let mut most: usize = 0;
    for item in list.try_iter().into_iter().flatten() {
        let bytes = match item.as_str() {
            Some(text) => text.len(),
            None => json(&item)?.len(),
        };
        most = at_most(
            most + bytes + between_bytes[0] + between_bytes[1],
            MOST_BYTES,
        )?;
    }
    filters::join(state, list, between, attribute, kwargs)
}

/// minijinja's `tojson`.
pub(super) fn tojson(value: &Value, indent: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    if value.kind() != ValueKind::String {
        json(value)?;
    }
    let of_kwargs: Option<Value> = kwargs.get("indent")?;
    for indent in [&indent, &of_kwargs].into_iter().flatten() {
        at_most(indent.as_usize().unwrap_or(0), MOST_INDENT)?;
    }
    filters::tojson(value, indent, kwargs)
}

/// Returns a number of bytes, unless it is too large.
pub(super) fn at_most(bytes: usize, most: usize) -> Result<usize, Error> {
    if bytes > most {
        return Err(refuse(Refusal::TooLarge));
    }
    Ok(bytes)
}

/// Takes no more than [`MOST_BYTES`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MOST_BYTES {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
