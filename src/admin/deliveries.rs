//! `/deliveries`: attempts, one by one, as they end, and by minute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;

use super::answer::{self, Window};
use super::stream::{self, Line, Listener};
use super::{Api, Caller, Fields, Problem, Query, Sight};
use crate::delivery_log::{Attempt, AttemptId, Ending, Filter, Minute, Page};
use crate::event::{Id, Kind, Timestamp, TopicFilter};
use crate::spool::store::Role;

/// How long one request looks for attempts that are meant; then it answers what it has, and where to go on.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest name that is asked for.
const LONGEST: usize = 256;

/// An attempt as it is told.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    id: String,
    at: String,
    webhook: &'a str,
    event_id: String,
    kind: &'static str,
    topic: Option<&'a str>,
    attempt: u32,
    outcome: &'static str,
    status: Option<u16>,
    class: Option<&'a str>,
    detail: &'a str,
    latency_ms: f64,
    /// Null to whoever may see no payloads: receivers repeat them.
    response: Option<&'a str>,
    left_out: u32,
}

impl<'a> Shown<'a> {
    pub(super) fn of(attempt: &'a Attempt, caller: &Caller) -> Self {
        let response = Some(&*attempt.response);
        Self {
            id: attempt.id.to_string(),
            at: attempt.at.rfc3339(),
            webhook: &attempt.webhook,
            event_id: attempt.event.to_string(),
            kind: attempt.kind.name(),
            topic: attempt.topic.as_deref(),
            attempt: attempt.number,
            outcome: attempt.ending.name(),
            status: attempt.status,
            class: attempt.class.as_deref(),
            detail: &attempt.detail,
            latency_ms: milliseconds(attempt.latency),
            response: response.filter(|_| caller.may(Role::Operator)),
            left_out: attempt.left_out,
        }
    }
}

/// Returns milliseconds, to the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Takes the filter out of a query.
fn filter(query: &mut Fields) -> Filter {
    let outcomes = Ending::ALL.map(|ending| (ending.name(), ending));
    Filter {
        webhook: query.text("webhook", LONGEST),
        event: query.parse("event", event_id),
        kind: query.parse("kind", kind),
        topic: query.parse("topic", topic_filter),
        ending: query.choice("outcome", &outcomes),
        class: query.text("class", LONGEST),
        since: query.parse("since", answer::time),
        until: query.parse("until", answer::time),
    }
}

pub(super) fn event_id(text: &str) -> Result<Id, &'static str> {
    text.parse().map_err(|_| "it is not the id of an event")
}

pub(super) fn kind(text: &str) -> Result<Kind, &'static str> {
    text.parse()
        .map_err(|()| "it is not a kind of event, such as on_message_publish")
}

pub(super) fn topic_filter(text: &str) -> Result<TopicFilter, String> {
    TopicFilter::try_from(text).map_err(|error| error.to_string())
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Response<Body>, Problem> {
    let filter = filter(&mut query);
    let window: Window<AttemptId> = Window::read(&mut query);
    let (filter, window) = query.end(|| Some((filter, window)))?;
    let sight = api.sight(&caller).await?;
    let page = find(&api, filter, window, sight).await?;
    let items = page.attempts.iter();
    let items = items.map(|attempt| Shown::of(attempt, &caller)).collect();
    Ok(answer::page(items, page.next))
}

/// Looks until the page is full, all was looked at, or it takes too long.
async fn find(
    api: &Api,
    filter: Filter,
    window: Window<AttemptId>,
    sight: Sight,
) -> Result<Page, Problem> {
    let give_up_at = Instant::now() + PATIENCE;
    let mut found = Page {
        attempts: Vec::new(),
        next: window.after,
    };
    loop {
        let (filter, sight) = (filter.clone(), sight.clone());
        let (cursor, left) = (found.next, window.limit - found.attempts.len());
        let look = move |log: &crate::delivery_log::DeliveryLog| {
            let mut page = log.attempts(&filter, cursor, left)?;
            page.attempts.retain(|attempt| sight.has(&attempt.webhook));
            Ok(page)
        };
        let page = api.log.ask(look).await?;
        found.attempts.extend(page.attempts);
        found.next = page.next;
        let is_full = found.attempts.len() >= window.limit;
        if is_full || found.next.is_none() || Instant::now() >= give_up_at {
            return Ok(found);
        }
    }
}

pub(super) async fn stream(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Response<Body>, Problem> {
    let filter = Filter {
        since: None,
        until: None,
        ..filter(&mut query)
    };
    let filter = query.end(|| Some(filter))?;
    let listener = Listener::new(&api, caller).await?;
    let listening = listener.listen(api.log.log().tap())?;
    let Listener { caller, sight, .. } = listener.clone();
    let show = move |attempt: &Attempt| {
        let is_meant = filter.means(attempt) && sight.has(&attempt.webhook);
        is_meant.then(|| Line::of("attempt", &Shown::of(attempt, &caller)))
    };
    Ok(stream::answer(listener, listening, show))
}

#[derive(Serialize)]
struct Summary {
    /// The beginning of the last minute of each webhook.
    until: String,
    webhooks: Vec<LastHour>,
}

#[derive(Serialize)]
struct LastHour {
    webhook: String,
    minutes: Vec<ShownMinute>,
}

#[derive(Serialize)]
struct ShownMinute {
    delivered: u32,
    failed: u32,
    p50_ms: f64,
    p99_ms: f64,
}

impl From<Minute> for ShownMinute {
    fn from(minute: Minute) -> Self {
        Self {
            delivered: minute.delivered,
            failed: minute.failed,
            p50_ms: milliseconds(minute.median),
            p99_ms: milliseconds(minute.p99),
        }
    }
}

pub(super) async fn summary(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query,
) -> Result<Response<Body>, Problem> {
    query.end(|| Some(()))?;
    let sight = api.sight(&caller).await?;
    let now = Timestamp::now();
    let hours = api.log.log().last_hour(now).into_iter();
    let webhooks = hours
        .filter(|hour| sight.has(&hour.webhook))
        .map(|hour| LastHour {
            webhook: hour.webhook,
            minutes: hour.minutes.into_iter().map(ShownMinute::from).collect(),
        });
    let minute = now.as_millis() - now.as_millis() % 60_000;
    let summary = Summary {
        until: Timestamp::from_millis(minute).rfc3339(),
        webhooks: webhooks.collect(),
    };
    Ok(answer::json(StatusCode::OK, &summary))
}
