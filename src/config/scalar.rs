//! What a single value says: text, a number, a duration.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::complaint::{Complaint, out_of_range};
use super::units;
use super::value::{Node, Value};

/// Returns the text of a string.
pub(super) fn text(node: &Node) -> Result<&str, Complaint> {
    match &node.value {
        Value::String(text) => Ok(text),
        other => {
            let complaint = Complaint::wrong_type("a string", other);
            Err(match other {
                Value::Number(_) | Value::Bool(_) => complaint.help("put it into quotes"),
                _ => complaint,
            })
        }
    }
}

/// Returns the duration that a value says, with its unit.
pub(super) fn duration(
    node: &Node,
    range: &RangeInclusive<Duration>,
) -> Result<Duration, Complaint> {
    let text = scalar(node, "a duration such as \"15s\"")?;
    within(units::duration(text)?, range, text)
}

/// Returns the whole number that a value says.
pub(super) fn integer(node: &Node, range: &RangeInclusive<u64>) -> Result<u64, Complaint> {
    let text = scalar(node, "a whole number")?;
    let number: i128 = text
        .parse()
        .map_err(|_| Complaint::new(format!("`{text}` is not a whole number")))?;
    let is_within = |number: &u64| range.contains(number);
    u64::try_from(number)
        .ok()
        .filter(is_within)
        .ok_or_else(|| out_of_range(range.start(), range.end(), text))
}

/// Returns the text of a string or a number.
pub(super) fn scalar<'a>(node: &'a Node, wanted: &str) -> Result<&'a str, Complaint> {
    match &node.value {
        Value::String(text) | Value::Number(text) => Ok(text),
        other => Err(Complaint::wrong_type(wanted, other)),
    }
}

/// Returns a duration that lies within its limits; `text` is how it was written.
pub(super) fn within(
    duration: Duration,
    range: &RangeInclusive<Duration>,
    text: &str,
) -> Result<Duration, Complaint> {
    if range.contains(&duration) {
        return Ok(duration);
    }
    let show = units::show_duration;
    Err(out_of_range(
        &show(*range.start()),
        &show(*range.end()),
        text,
    ))
}
