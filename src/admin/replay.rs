//! `POST /replay`: dead letters, and what was delivered and is kept, once more.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;
use tracing::error;

use super::deliveries::event_id;
use super::{Api, Body, Caller, Problem, Sight, answer, audit};
use crate::causes::describe;
use crate::delivery_log::{Progress, Replay, ReplayError};

/// The most that one request replays; the command line has no bound, and shows how far it is.
const MOST: u64 = 20_000;

/// The longest name that is asked for.
const LONGEST: usize = 256;

#[derive(Serialize)]
struct Replayed {
    count: u64,
    dead_letters: u64,
    delivered: u64,
}

pub(super) async fn replay(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(mut body): Body,
) -> Result<Response<axum::body::Body>, Problem> {
    let asked = Replay {
        event: body.parse("event", event_id),
        webhook: body.text("webhook", LONGEST),
        since: body.parse("since", answer::time),
        until: body.parse("until", answer::time),
        include_delivered: body.bool("include_delivered").unwrap_or(false),
    };
    let is_bounded = asked.event.is_some()
        || asked.webhook.is_some()
        || asked.since.is_some()
        || asked.until.is_some();
    let asked = body.end(|| Some(asked))?;
    if !is_bounded {
        let detail = "say what is to be replayed: `event`, `webhook`, `since` or `until`";
        return Err(Problem::invalid(detail));
    }
    let on = describe_request(&asked);
    let done = match within(asked, &api.sight(&caller).await?) {
        Ok(replays) => run(&api, replays).await,
        Err(problem) => Err(problem),
    };
    audit(&caller, "replay", &on, &done);
    let done = done?;
    let replayed = Replayed {
        count: done.total(),
        dead_letters: done.dead_letters,
        delivered: done.delivered,
    };
    Ok(answer::json(StatusCode::OK, &replayed))
}

fn describe_request(asked: &Replay) -> String {
    let time = |time: Option<crate::event::Timestamp>| time.map(crate::event::Timestamp::rfc3339);
    let parts = [
        ("event", asked.event.map(|id| id.to_string())),
        ("webhook", asked.webhook.clone()),
        ("since", time(asked.since)),
        ("until", time(asked.until)),
    ];
    let said = parts
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", value?)));
    said.collect::<Vec<_>>().join(" ")
}

/// Returns what of it concerns webhooks that may be known of.
fn within(asked: Replay, sight: &Sight) -> Result<Vec<Replay>, Problem> {
    let Some(names) = sight.names() else {
        return Ok(vec![asked]);
    };
    if let Some(name) = &asked.webhook {
        return if sight.has(name) {
            Ok(vec![asked])
        } else {
            Err(Problem::not_found("there is no such webhook"))
        };
    }
    let of = |name: &String| Replay {
        webhook: Some(name.clone()),
        ..asked.clone()
    };
    Ok(names.iter().map(of).collect())
}

async fn run(api: &Api, replays: Vec<Replay>) -> Result<Progress, Problem> {
    let log = api.log.log().clone();
    let work = move |spool: &mut crate::spool::store::Store| {
        let mut all = 0;
        for replay in &replays {
            match replay.count_beyond(MOST, spool, &log) {
                Ok(count) => all += count.total(),
                Err(error) => return Ok(Err(error)),
            }
        }
        if all > MOST {
            return Ok(Ok(Err(())));
        }
        let mut done = Progress::default();
        for replay in &replays {
            match replay.run(spool, &log, |_| ()) {
                Ok(one) => {
                    done.dead_letters += one.dead_letters;
                    done.delivered += one.delivered;
                }
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(Ok(done)))
    };
    match api.store.write(work).await? {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(())) => Err(Problem::conflict(format!(
            "these are more than {MOST}, which is what one request replays at most: narrow it by time, or use `mqhook replay`"
        ))),
        Err(ReplayError::Spool(error)) => Err(error.into()),
        Err(ReplayError::Log(error)) => {
            error!(
                error = describe(&error),
                "the API cannot read the delivery log"
            );
            Err(Problem::busy(format!("cannot {error}")))
        }
    }
}
