//! Changing what the API defines: first checked, then written, then applied.
//!
//! What is written and not applied is taken back. All of it is a task of its own, so that a client that goes
//! away in the middle does not leave half of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::error;

use super::control::{Applied, Refused, Wrong};
use super::{Api, Fields, Flaw, Problem};
use crate::catalogue::{Clash, Turn, View};
use crate::config::group::{NAME_HELP, is_name};
use crate::config::json::Mistake;
use crate::config::problem::Severity;
use crate::spool::store::{Defines, Definition, MAX_DEFINITIONS, Store};

/// How long a change may take before who asked is told that it goes on.
const DEADLINE: Duration = Duration::from_secs(30);

/// One definition more, another, or one less.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Add(Definition),
    Set { old: Definition, new: Definition },
    Remove(Definition),
}

/// A change that has been checked.
pub(super) struct Change {
    pub(super) step: Step,
    pub(super) view: View,
}

impl Change {
    /// Returns the change, if all that is defined fits together after it.
    pub(super) async fn new(turn: &Turn, step: Step) -> Result<Self, Problem> {
        let view = turn.view();
        let mut definitions = view.definitions.to_vec();
        match &step {
            Step::Add(new) => definitions.push(new.clone()),
            Step::Set { old, new } => {
                let places = definitions.iter_mut();
                places
                    .filter(|it| it.id == old.id)
                    .for_each(|it| *it = new.clone());
            }
            Step::Remove(old) => definitions.retain(|it| it.id != old.id),
        }
        // Everything is read anew, which may be much.
        let composing = tokio::task::spawn_blocking(move || view.with_definitions(definitions));
        let composed = composing.await.map_err(|_| Problem::internal())?;
        let view = composed.map_err(|clashes| {
            let flaw = |clash: &Clash| Flaw {
                key: Some(format!("{}s.{}", clash.defines.name(), clash.name)),
                detail: clash.to_string(),
                ..Flaw::default()
            };
            let flaws = clashes.iter().map(flaw).collect();
            let detail = "something else would not fit any more";
            Problem::configuration(detail).flaws(flaws)
        })?;
        Ok(Self { step, view })
    }
}

/// Takes a name that can stand in paths.
pub(super) fn name_of(fields: &mut Fields, key: &'static str) -> Option<String> {
    fields.parse(key, |text| {
        if is_name(text) {
            Ok(text.to_owned())
        } else {
            Err(NAME_HELP)
        }
    })
}

/// Waits until nothing else is changed.
pub(super) async fn turn(api: &Api) -> Result<Turn, Problem> {
    let turn = api.configured.catalogue.turn();
    let turn = timeout(DEADLINE, turn).await;
    turn.map_err(|_| Problem::busy("another change does not come to an end"))
}

/// Writes and applies a change.
pub(super) async fn carried_out(api: &Arc<Api>, turn: Turn, change: Change) -> Result<(), Problem> {
    applied(api, turn, change).await.map(drop)
}

/// Does the same, and returns what that has changed.
pub(super) async fn applied(
    api: &Arc<Api>,
    turn: Turn,
    change: Change,
) -> Result<Applied, Problem> {
    let api = Arc::clone(api);
    let task = tokio::spawn(async move { carry_out(&api, &turn, change).await });
    match timeout(DEADLINE, task).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Problem::internal()),
        Err(_) => Err(Problem::busy(
            "it is not known yet whether it can be done; look at it again",
        )),
    }
}

async fn carry_out(api: &Api, turn: &Turn, change: Change) -> Result<Applied, Problem> {
    let Change { step, view } = change;
    let inverse = inverse(&step);
    if let Err(problem) = write(api, step).await {
        // Whether it was written may not be known.
        if problem.status() == StatusCode::SERVICE_UNAVAILABLE {
            let _ = write(api, inverse).await;
        }
        return Err(problem);
    }
    turn.expect(&view);
    match api.control.apply((*view.config).clone()).await {
        Ok(applied) => {
            turn.set(view);
            Ok(applied)
        }
        Err(refused) => {
            if let Err(problem) = write(api, inverse).await {
                let why = problem.detail();
                error!(
                    why,
                    "what was refused stays in the spool, and counts from the next start"
                );
            }
            Err(refusal(refused))
        }
    }
}

/// Returns what takes a step back.
fn inverse(step: &Step) -> Step {
    match step.clone() {
        Step::Add(new) => Step::Remove(new),
        Step::Set { old, new } => Step::Set { old: new, new: old },
        Step::Remove(old) => Step::Add(old),
    }
}

async fn write(api: &Api, step: Step) -> Result<(), Problem> {
    let act = move |store: &mut Store| match step {
        Step::Add(new) => store.add_definition(&new),
        Step::Set { new, .. } => store.set_definition(&new).map(drop),
        Step::Remove(old) => store.remove_definition(&old.id).map(drop),
    };
    api.store.write(act).await
}

fn refusal(refused: Refused) -> Problem {
    match refused {
        Refused::Restart { .. } => Problem::conflict(format!("mqhook cannot {refused}")),
        Refused::Wrong(wrong) => {
            let flaw = |wrong: Wrong| Flaw {
                detail: wrong.what,
                help: wrong.help,
                ..Flaw::default()
            };
            let flaws = wrong.into_iter().map(flaw).collect();
            Problem::configuration("it cannot be used").flaws(flaws)
        }
        Refused::Unusable(why) => Problem::configuration(why),
        Refused::Closing => Problem::busy("mqhook is shutting down"),
    }
}

/// Returns what is wrong with a definition as the flaws of a body that has it under `definition`.
pub(super) fn flaws_of(mistakes: &[Mistake]) -> Vec<Flaw> {
    let errors = mistakes.iter().filter(|it| it.severity == Severity::Error);
    let flaw = |mistake: &Mistake| Flaw {
        pointer: Some(pointer_of(mistake)),
        detail: mistake.detail.clone(),
        help: mistake.help.clone(),
        ..Flaw::default()
    };
    errors.map(flaw).collect()
}

/// Returns where a mistake is in a body that has the definition under `definition`.
fn pointer_of(mistake: &Mistake) -> String {
    match mistake.pointer.as_str() {
        "/group" => "/group".to_owned(),
        pointer => format!("/definition{pointer}"),
    }
}

/// Returns what is odd about a definition, and no error.
pub(super) fn warnings_of(mistakes: &[Mistake]) -> Vec<Value> {
    let warnings = mistakes
        .iter()
        .filter(|it| it.severity == Severity::Warning);
    let said = |it: &Mistake| warning(&pointer_of(it), &it.detail, it.help.as_deref());
    warnings.map(said).collect()
}

/// Returns what an answer says of a place in the body.
pub(super) fn warning(pointer: &str, detail: &str, help: Option<&str>) -> Value {
    json!({"pointer": pointer, "detail": detail, "help": help})
}

/// Refuses a name that is taken, and one definition too many.
pub(super) fn refuse_taken(
    api: &Api,
    view: &View,
    defines: Defines,
    name: &str,
) -> Result<(), Problem> {
    if view.definitions.len() >= MAX_DEFINITIONS {
        let detail = format!("there are {MAX_DEFINITIONS} definitions already");
        return Err(Problem::conflict(detail));
    }
    let is_taken = match defines {
        Defines::Webhook => {
            view.config
                .webhooks
                .iter()
                .any(|webhook| webhook.name == name)
                || view.file.written.webhooks.contains_key(name)
                || api.control.webhooks().iter().any(|other| other == name)
        }
        Defines::Group => view.config.groups.iter().any(|group| group.name == name),
    };
    let mut definitions = view.definitions.iter();
    let is_defined =
        definitions.any(|it| it.id == name || it.defines == defines && it.name == name);
    if is_taken || is_defined {
        let what = defines.name();
        return Err(Problem::conflict(format!(
            "there is a {what} `{name}` already"
        )));
    }
    Ok(())
}
