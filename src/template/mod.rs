//! Templates: a piece of a request, made of an event.
//!
//! The language is Jinja's as minijinja speaks it, without what reaches beyond one template. A
//! template is compiled once; making something of it is bounded in steps and in bytes. What the
//! names stand for is in [`scope`].
//!
//! **Where a value stands decides how it is written**, so that nothing a client chose ends the place
//! it stands in:
//!
//! | place | a text | `null` | other values |
//! |---|---|---|---|
//! | URL | percent-encoded, `/` too | refused | as JSON, percent-encoded |
//! | header | percent-encoded but for visible ASCII without `"` and `%` | refused | likewise |
//! | JSON body | escaped, without quotes | `null` | as JSON |
//! | form body | percent-encoded | refused | as JSON, percent-encoded |
//! | other body, method | as it is | refused | as JSON |
//!
//! Beyond that a path with a segment `.` or `..`, or one that values leave empty, is refused ([`url`]), and a body that says that it
//! is JSON and is not. **What has no value is refused**, not empty: an event that lacks what a
//! template names is rejected with the name, unless the template asks first (`default`, `if`).

mod bound;
mod check;
mod escape;
mod filters;
mod scope;
pub mod url;

use std::fmt;
use std::io;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use thiserror::Error;

pub use check::{Mistake, Publisher};
pub use escape::{Place, Refusal};
pub use scope::Scope;

/// The steps that one template may take for one event; some thousand turns of a loop.
const FUEL: u64 = 100_000;

/// How deep expressions and blocks may be nested.
const DEPTH: usize = 64;

/// The only template of an environment.
const NAME: &str = "template";

/// A compiled template, cheap to clone; `Debug` does not show its text, which may hold a secret.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    place: Place,
    most_bytes: usize,
}

/// Why nothing could be made of an event; the event's fault or the template's, and the same at
/// every attempt. Holds nothing of the event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The template names what this event has not.
    #[error("line {line} needs {names}, which this event does not have")]
    Undefined {
        /// The line of the template, from 1.
        line: usize,
        /// The names.
        names: String,
    },
    /// A value may not stand where it does.
    #[error("line {line}: {refusal}")]
    Refused {
        /// The line of the template, from 1.
        line: usize,
        /// Why not.
        refusal: Refusal,
    },
    /// It became too long.
    #[error("it gets longer than {most_bytes} bytes")]
    TooLong {
        /// The most bytes that it may have.
        most_bytes: usize,
    },
    /// It took too many steps.
    #[error("it takes more than {FUEL} steps")]
    OutOfFuel,
    /// An operation failed, such as a number out of a text that is none.
    #[error("line {line}: {what}")]
    Failed {
        /// The line of the template, from 1.
        line: usize,
        /// What failed, in general words.
        what: String,
    },
    /// What was made is not what it must be.
    #[error("{0}")]
    Unfit(&'static str),
}

impl Template {
    /// Returns whether a text is a template and not what it says.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
    }

    /// Compiles a template for a place, whose results have no more than so many bytes.
    ///
    /// # Errors
    /// The text is no template, or names what no event has.
    pub fn compile(text: &str, place: Place, most_bytes: usize) -> Result<Self, Mistake> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // Blocks that are kept in a variable are written in the same place.
        environment.set_auto_escape_callback(|_| AutoEscape::Custom("place".into()));
        environment.set_formatter(move |out, state, value| place.write(value, state, out));
        filters::add(&mut environment);
        environment
            .add_template_owned(NAME, text.to_owned())
            .map_err(|error| Mistake::of_syntax(&error))?;
        let template = Self {
            environment: Arc::new(environment),
            place,
            most_bytes,
        };
        template.check()?;
        Ok(template)
    }

    /// Returns what the template says of an event.
    ///
    /// # Errors
    /// Nothing can be made of this event.
    pub fn render(&self, scope: &Scope) -> Result<Vec<u8>, Error> {
        let mut out = Bounded {
            bytes: Vec::with_capacity(self.compiled().source().len().min(self.most_bytes) + 256),
            most: self.most_bytes,
            is_full: false,
        };
        let rendered = self
            .compiled()
            .render_captured_to(scope.value(), &mut out)
            .map(|_state| ());
        match rendered {
            Ok(()) => Ok(out.bytes),
            Err(_) if out.is_full => Err(Error::TooLong {
                most_bytes: self.most_bytes,
            }),
            Err(error) => Err(self.explain(&error, &scope.value())),
        }
    }

    /// Returns the result as text.
    ///
    /// # Errors
    /// Nothing can be made of this event.
    ///
    /// # Panics
    /// Never: what a template makes of text is text.
    pub fn render_text(&self, scope: &Scope) -> Result<String, Error> {
        let bytes = self.render(scope)?;
        Ok(String::from_utf8(bytes).expect("templates write whole strings"))
    }

    fn compiled(&self) -> minijinja::Template<'_, '_> {
        self.environment
            .get_template(NAME)
            .expect("it was added when this was made")
    }

    /// Says why a template failed without a word of the event's.
    fn explain(&self, error: &minijinja::Error, scope: &Value) -> Error {
        let line = error.line().unwrap_or(1);
        let refusal = std::error::Error::source(error).and_then(|source| source.downcast_ref());
        match (error.kind(), refusal) {
            (_, Some(refusal)) => Error::Refused {
                line,
                refusal: *refusal,
            },
            (ErrorKind::OutOfFuel, _) => Error::OutOfFuel,
            (ErrorKind::UndefinedError, _) => Error::Undefined {
                line,
                names: self.missing(scope, line),
            },
            (kind, _) => Error::Failed {
                line,
                what: kind.to_string(),
            },
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.place)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
            && self.most_bytes == other.most_bytes
            && self.compiled().source() == other.compiled().source()
    }
}

impl Eq for Template {}

/// Takes no more than so many bytes.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.bytes.len() {
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

#[cfg(test)]
mod tests;
