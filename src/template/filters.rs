//! Filters: minijinja's, but those that take the guard off, and mqhook's own.
//!
//! | filter | of a text |
//! |---|---|
//! | `urlencode` | percent-encoded, `/` too; in a URL that is done anyway |
//! | `urlpath` | percent-encoded but for `/` |
//! | `base64` | RFC 4648 base64 |
//! | `base62` | `NanoMQ`'s base 62, of at most 64 KiB |
//!
//! Nor are there those that take a length: see [`bound`].

use minijinja::{Environment, Value};

use super::bound;
use crate::payload::percent::Set;
use crate::payload::{Encoding, NotUtf8};

/// Marks of texts that need no escaping, which is for the place to say; and what makes as much as a
/// number says.
const REMOVED: [&str; 7] = ["safe", "escape", "e", "indent", "slice", "batch", "format"];

/// The longest text that becomes base 62, which takes more than linear time.
const MOST_BASE62_BYTES: usize = 64 * 1024;

pub(super) fn add(environment: &mut Environment<'_>) {
    for name in REMOVED {
        environment.remove_filter(name);
    }
    environment.remove_global("namespace");
    environment.add_filter("replace", bound::replace);
    environment.add_filter("join", bound::join);
    environment.add_filter("tojson", bound::tojson);
    environment.add_filter("urlencode", |text: &str| {
        Value::from_safe_string(Set::Component.encode(text))
    });
    environment.add_filter("urlpath", |text: &str| {
        Value::from_safe_string(Set::Path.encode(text))
    });
    environment.add_filter("base64", |text: &str| encode(Encoding::Base64, text));
    environment.add_filter("base62", |text: &str| {
        bound::at_most(text.len(), MOST_BASE62_BYTES).map(|_| encode(Encoding::Base62, text))
    });
}

fn encode(encoding: Encoding, text: &str) -> String {
    let encoded = encoding.encode(text.as_bytes(), NotUtf8::Base64);
    encoded.text.into_owned()
}
