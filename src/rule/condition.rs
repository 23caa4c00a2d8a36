//! Conditions on events, in the Common Expression Language (CEL).
//!
//! A [`Condition`] is compiled once, and a [`Subject`] is one event as expressions see it. What a
//! condition may cost is bounded, whatever a payload holds:
//!
//! | bound | value |
//! |---|---|
//! | bytes of an expression | 2,048 |
//! | nodes of an expression, their depth | 256, 20 |
//! | `exists`, `all`, `exists_one`, `filter` | 4, none within another |
//! | bytes of a payload that is read as JSON | 65,536 |
//! | values in it, their depth | 2,048, 32 |
//! | bytes of a payload that is read as text | 65,536 |
//! | levels of a topic | 200 |
//! | bytes of what is mentioned, each time that it is | 32 MiB |
//!
//! So of what one event holds, no loop has more than 2,048 elements; and what is mentioned for each of
//! them, such as the whole payload as text, is bounded over all of them together: see [`Failure::TooMuch`].
//! There are no regular expressions, and no `map`, which could make much of little. What is beyond the
//! other bounds is null: `payload` (as if it were not JSON), `payload_text`, `topic_levels`. A condition that cannot be evaluated is false and says why, see [`Failure`]; a panic of the
//! library is such a reason.

mod inspect;
mod json;
mod subject;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};
use std::thread;

use cel::common::types::CelBool;
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, IdedExpr, Value};
use thiserror::Error;

use crate::event::Kind;

pub use inspect::Fault;
pub use subject::Subject;

/// The most bytes of an expression.
pub const MAX_BYTES: usize = 2_048;

/// The deepest that brackets may nest: the parser calls itself for each.
const MAX_BRACKETS: usize = 32;

/// Stack for the parser; [`MAX_BYTES`] were seen to need less than half of it in a debug build.
const PARSER_STACK_BYTES: usize = 16 << 20;

/// What all conditions are evaluated in: the standard library without optional values.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let environment = Env::stdlib().with_optional_support(false);
    Arc::new(environment)
});

/// A condition on events of one kind, compiled.
#[derive(Clone)]
pub struct Condition {
    text: Box<str>,
    expression: Arc<IdedExpr>,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConditionError {
    /// It does not follow CEL's grammar.
    #[error("it is not CEL: {what} (column {column})")]
    Syntax {
        /// What the parser says.
        what: String,
        /// Where, in characters from 1; of a text with several lines, in its line.
        column: usize,
    },
    /// It does, but cannot be a condition.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a condition was false without being evaluated to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Failure {
    /// The payload was needed, and it is not JSON, or beyond the bounds.
    #[error("the payload is not JSON, or too large to be looked into")]
    Payload,
    /// A field or an element that is not there; `has` asks for one.
    #[error("a field or an element is missing")]
    Missing,
    /// An operator or a function does not take values of this type.
    #[error("a value is of another type than the condition needs")]
    Type,
    /// It came out neither true nor false.
    #[error("it came out neither true nor false")]
    NotBoolean,
    /// A division by zero, a number that is too large, or the like.
    #[error("a value cannot be computed")]
    Value,
    /// It would take too long: it looks at too much for each of too many elements.
    #[error("it looks at too much for each of too many elements")]
    TooMuch,
    /// The library has a bug.
    #[error("evaluating it failed; this is a bug")]
    Panic,
}

impl Condition {
    /// Compiles a condition on events of a kind.
    ///
    /// # Errors
    /// It is not CEL, names what such events do not have, or may cost too much.
    pub fn compile(text: &str, kind: Kind) -> Result<Self, ConditionError> {
        if text.len() > MAX_BYTES {
            return Err(Fault::TooLong.into());
        }
        if brackets(text) > MAX_BRACKETS {
            return Err(Fault::TooDeep.into());
        }
        let expression = with_large_stack(|| parse(text, kind))?;
        Ok(Self {
            text: text.into(),
            expression: Arc::new(expression),
        })
    }

    /// Returns whether the condition holds for an event of the kind that it was compiled for.
    ///
    /// # Errors
    /// It could not be evaluated, which is as good as false.
    pub fn holds(&self, subject: &Subject<'_>) -> Result<bool, Failure> {
        subject.begin();
        let evaluate = || evaluate(&self.expression, subject);
        let evaluated = catch_unwind(AssertUnwindSafe(evaluate)).unwrap_or(Err(Failure::Panic));
        match evaluated {
            // Whatever came of it: `exists` and its like get over failures.
            _ if subject.is_exhausted() => Err(Failure::TooMuch),
            Err(Failure::Missing | Failure::Type) if subject.payload_is_unreadable() => {
                Err(Failure::Payload)
            }
            evaluated => evaluated,
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condition({:?})", self.text)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Condition {}

fn parse(text: &str, kind: Kind) -> Result<IdedExpr, ConditionError> {
    let parsed = ENVIRONMENT.parser().parse(text);
    let expression = parsed.map_err(|errors| syntax(&errors))?;
    inspect::inspect(&expression, kind)?;
    Ok(expression)
}

/// Does it on a thread of its own: the parser calls itself for each of a thousand dots, and a thread
/// of the runtime has no stack for that. A panic is an error.
fn with_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, ConditionError> + Send,
) -> Result<T, ConditionError> {
    let thread = thread::Builder::new().stack_size(PARSER_STACK_BYTES);
    thread::scope(|scope| {
        let spawned = thread.spawn_scoped(scope, work);
        let joined = spawned.map(thread::ScopedJoinHandle::join);
        joined.map_or(Err(Fault::Unreadable.into()), |joined| {
            joined.unwrap_or_else(|_panic| Err(Fault::Unreadable.into()))
        })
    })
}

fn evaluate(expression: &IdedExpr, subject: &Subject<'_>) -> Result<bool, Failure> {
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    context.set_variable_resolver(subject);
    let value = Value::resolve_val(expression, &context).map_err(|error| failure(&error))?;
    boolean(&value).ok_or(Failure::NotBoolean)
}

fn boolean(value: &CowVal<'_, '_>) -> Option<bool> {
    let value: &dyn Val = value.as_ref();
    value.downcast_ref::<CelBool>().map(|value| *value.inner())
}

/// Sorts the library's errors, whose texts hold values and must not reach a log.
fn failure(error: &ExecutionError) -> Failure {
    match error {
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => Failure::Missing,
        ExecutionError::DivisionByZero(_)
        | ExecutionError::RemainderByZero(_)
        | ExecutionError::Overflow(..)
        | ExecutionError::FunctionError { .. } => Failure::Value,
        _ => Failure::Type,
    }
}

/// Returns how deep brackets nest; those in strings count, which does no harm.
fn brackets(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Says the first of the parser's errors in one line.
fn syntax(errors: &cel::ParseErrors) -> ConditionError {
    let Some(error) = errors.errors.first() else {
        return Fault::Unreadable.into();
    };
    let what = error.msg.lines().next().unwrap_or_default();
    let what = what.strip_prefix("Syntax error: ").unwrap_or(what);
    // What else could stand there is a list of nearly everything.
    let what = what.split(" expecting ").next().unwrap_or(what);
    ConditionError::Syntax {
        what: what.replace("<EOF>", "end"),
        column: usize::try_from(error.pos.1).unwrap_or_default().max(1),
    }
}
