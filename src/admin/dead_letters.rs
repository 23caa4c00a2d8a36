//! `/dead-letters`: deliveries that were given up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as AnswerBody;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{self, Window};
use super::event::{self, Payload};
use super::{Api, Body, Caller, Fields, Problem, Query, Segment, Sight, audit};
use crate::event::{Id, Kind, Timestamp};
use crate::spool::store::{DeadLetter, DeadLetterId, Filter, Role, Store};

/// Dead letters that one transaction changes.
const BATCH: usize = 500;

/// For how long one request goes on changing.
const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers that one request may name.
const MOST_IDS: usize = 1_000;

/// The longest name of a webhook that is looked for.
const LONGEST_NAME: usize = 256;

#[derive(Serialize)]
struct Shown<'a> {
    id: u64,
    at: String,
    webhook: &'a str,
    event_id: String,
    kind: &'static str,
    topic: Option<&'a str>,
    attempts: u32,
    why: &'static str,
    outcome: &'a str,
    first_failed_at: Option<String>,
    accepted_at: String,
    payload_bytes: u64,
}

fn show_letter(letter: &DeadLetter) -> Shown<'_> {
    Shown {
        id: letter.id.0,
        at: letter.at.rfc3339(),
        webhook: &letter.webhook,
        event_id: letter.event_id.to_string(),
        kind: letter.kind.name(),
        topic: letter.topic.as_deref(),
        attempts: letter.failures,
        why: letter.reason.name(),
        outcome: &letter.outcome,
        first_failed_at: letter.first_failed.map(Timestamp::rfc3339),
        accepted_at: letter.accepted.rfc3339(),
        payload_bytes: letter.payload_bytes,
    }
}

/// Takes what a filter says out of a query or a body.
fn read_filter(fields: &mut Fields, sight: &Sight) -> Filter {
    let id = |text: &str| text.parse::<Id>().map_err(|_| "it is no event id");
    let kind = |text: &str| text.parse::<Kind>().map_err(|()| "it is no kind of event");
    Filter {
        id: None,
        from: None,
        webhook: fields.text("webhook", LONGEST_NAME),
        webhooks: sight.names().map(|names| names.iter().cloned().collect()),
        kind: fields.parse("kind", kind),
        event: fields.parse("event", id),
        since: fields.parse("since", answer::time),
        until: fields.parse("until", answer::time),
    }
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Response<AnswerBody>, Problem> {
    let filter = read_filter(&mut query, &api.sight(&caller).await?);
    let window = Window::<u64>::read(&mut query);
    query.end(|| Some(()))?;
    let (before, limit) = (window.after.map(DeadLetterId), window.limit);
    let read = move |store: &mut Store| store.newest_dead_letters(&filter, before, limit);
    let letters = api.store.read(read).await?;
    let last = letters.last().map(|letter| letter.id.0);
    let next = last.filter(|_| letters.len() == limit);
    Ok(answer::page(
        letters.iter().map(show_letter).collect(),
        next,
    ))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
) -> Result<Response<AnswerBody>, Problem> {
    query.end(|| Some(()))?;
    let missing = || {
        Problem::not_found(
            "there is no such dead letter; it may have been replayed, dropped or too old",
        )
    };
    let id = id.parse().map(DeadLetterId).map_err(|_| missing())?;
    let sight = api.sight(&caller).await?;
    let found = api.store.read(move |store| store.dead_letter(id)).await?;
    let found = found.filter(|(letter, _)| sight.has(&letter.webhook));
    let (letter, event) = found.ok_or_else(missing)?;
    let payload = if caller.may(Role::Operator) {
        Payload::Shown
    } else {
        Payload::Hidden
    };
    let mut shown = serde_json::to_value(show_letter(&letter)).unwrap_or_default();
    shown["event"] = event::show(&event, payload);
    Ok(answer::json(StatusCode::OK, &shown))
}

/// What is to be done with dead letters.
#[derive(Debug, Clone, Copy)]
enum Act {
    Replay,
    Drop,
}

/// Which are meant, by number or by what they are.
struct Chosen {
    filter: Filter,
    ids: Option<BTreeSet<u64>>,
}

impl Chosen {
    /// Reads a body; it must say which are meant, and may say `all`.
    fn read(mut body: Fields, sight: &Sight) -> Result<Self, Problem> {
        let id = |value: &Value| {
            value
                .as_u64()
                .ok_or_else(|| "it must be a number".to_owned())
        };
        let ids = body.list("ids", MOST_IDS, id);
        let all = body.bool("all").unwrap_or(false);
        let mut filter = read_filter(&mut body, sight);
        let is_filtered = filter.webhook.is_some()
            || filter.kind.is_some()
            || filter.event.is_some()
            || filter.since.is_some()
            || filter.until.is_some();
        if [ids.is_some(), all, is_filtered]
            .iter()
            .filter(|is_said| **is_said)
            .count()
            > 1
        {
            body.flaw("", "say `ids`, `all`, or what they have in common", None);
        }
        let is_nothing = ids.is_none() && !all && !is_filtered;
        // What is given up from now on is not meant; otherwise a replay might never end.
        filter.until = filter.until.or(Some(Timestamp::now()));
        let chosen = body.end(|| {
            Some(Self {
                filter,
                ids: ids.map(BTreeSet::from_iter),
            })
        })?;
        if is_nothing {
            return Err(Problem::invalid(
                "say which are meant: `ids`, `all`, or what they have in common",
            ));
        }
        Ok(chosen)
    }
}

impl Act {
    /// Changes what is meant, in portions; returns how many, and whether that is all.
    async fn perform(self, api: &Api, chosen: Chosen) -> Result<(u64, bool), Problem> {
        let give_up_at = Instant::now() + PATIENCE;
        let mut ids = chosen.ids.map(IntoIterator::into_iter);
        let mut count = 0;
        while Instant::now() < give_up_at {
            let mut filter = chosen.filter.clone();
            if let Some(ids) = &mut ids {
                let Some(id) = ids.next() else {
                    return Ok((count, true));
                };
                filter.id = Some(DeadLetterId(id));
                // A number names one that may have been given up this very moment.
                filter.until = None;
            }
            let write = move |store: &mut Store| match self {
                Self::Replay => store.replay(&filter, Timestamp::now(), BATCH),
                Self::Drop => store.drop_dead_letters(&filter, BATCH),
            };
            let changed = api.store.write(write).await?;
            count += changed;
            if ids.is_none() && changed == 0 {
                return Ok((count, true));
            }
        }
        Ok((count, false))
    }
}

async fn change(
    act: Act,
    api: &Api,
    caller: &Caller,
    body: Fields,
) -> Result<Response<AnswerBody>, Problem> {
    let chosen = Chosen::read(body, &api.sight(caller).await?)?;
    let on = match &chosen.filter {
        Filter {
            webhook: Some(name),
            ..
        } => format!("those of {name}"),
        _ => "dead letters".to_owned(),
    };
    let done = act.perform(api, chosen).await;
    let what = match act {
        Act::Replay => "replay dead letters",
        Act::Drop => "drop dead letters",
    };
    audit(caller, what, &on, &done);
    let (count, is_complete) = done?;
    let done = json!({"count": count, "complete": is_complete});
    Ok(answer::json(StatusCode::OK, &done))
}

pub(super) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body,
) -> Result<Response<AnswerBody>, Problem> {
    change(Act::Replay, &api, &caller, body).await
}

pub(super) async fn discard(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(body): Body,
) -> Result<Response<AnswerBody>, Problem> {
    change(Act::Drop, &api, &caller, body).await
}
