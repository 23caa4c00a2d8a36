//! The keys of a rule that ask for more than its kind and topic.

use super::complaint::{Complaint, closest, unknown};
use super::problem::Problem;
use super::section::Section;
use crate::event::Kind;
use crate::pattern::{Pattern, PatternError};
use crate::rule::Guard;
use crate::rule::condition::{Condition, ConditionError, Fault};
use crate::template::Publisher;

/// What a condition looks like.
const EXAMPLE: &str =
    "write a condition such as \"payload.temp > 30.0 && topic.startsWith('plant/')\"";

/// What other languages write, and what CEL does.
const FOREIGN_WORDS: [(&str, &str); 5] = [
    (" and ", "&&"),
    (" or ", "||"),
    ("not ", "!"),
    ("<>", "!="),
    ("=", "=="),
];

/// Reads them; `None` if one of them is not what it should be, or the kind is not known.
pub(super) fn read(
    section: &mut Section<'_>,
    kind: Option<Kind>,
    publisher: Publisher,
) -> Option<Guard> {
    let mut guard = Guard::default();
    let mut is_good = kind.is_some();
    for (key, pattern) in [
        ("client_id", &mut guard.client_id),
        ("username", &mut guard.username),
    ] {
        *pattern = section.parse(key, |text| {
            Pattern::try_from(text).map_err(|error: PatternError| Complaint::new(error.to_string()))
        });
        is_good &= pattern.is_some() || !section.has(key);
        let is_untold = publisher == Publisher::Untold && kind.is_some_and(Kind::is_message);
        if pattern.is_some() && is_untold {
            report_unknown_publisher(section, key);
        }
    }
    guard.condition = section
        .parse("where", |text| {
            let Some(kind) = kind else { return Ok(None) };
            let compiled = Condition::compile(text, kind);
            compiled
                .map(Some)
                .map_err(|error| complaint(&error, text, kind))
        })
        .flatten();
    is_good &= guard.condition.is_some() || !section.has("where");
    is_good.then_some(guard)
}

fn report_unknown_publisher(section: &Section<'_>, key: &str) {
    let message = format!("`{}` never matches", section.path(key));
    let problem = Problem::warning(section.span_of(key), message);
    section.report(problem.help("brokers do not tell who published a message, but Mosquitto with mqhook's plugin does: set `broker.plugin_key_file`, or remove it"));
}

fn complaint(error: &ConditionError, text: &str, kind: Kind) -> Complaint {
    let complaint = Complaint::new(error.to_string());
    match error {
        ConditionError::Syntax { .. } => {
            let meant = FOREIGN_WORDS.iter().find(|(word, _)| text.contains(word));
            match meant {
                Some((word, cel)) if !text.contains(cel) => {
                    complaint.help(format!("CEL writes `{cel}` for `{}`", word.trim()))
                }
                _ => complaint.help(EXAMPLE),
            }
        }
        ConditionError::Fault(fault) => match (fault, fault.known(kind)) {
            (Fault::UnknownVariable(name), Some((what, known))) => {
                unknown(what, name, known.into_iter())
            }
            (_, Some((_, known))) => {
                let name = fault.name().unwrap_or_default();
                match closest(name, known.iter().copied()).filter(|meant| *meant != name) {
                    Some(meant) => complaint.help(format!("did you mean `{meant}`?")),
                    None => complaint.one_of(known.into_iter()),
                }
            }
            (Fault::Map, None) => complaint.help("ask with `exists`, `all` or `filter`"),
            (Fault::NotBoolean | Fault::Unreadable, None) => complaint.help(EXAMPLE),
            (_, None) => complaint.help("make it shorter, or two rules of it"),
        },
    }
}
