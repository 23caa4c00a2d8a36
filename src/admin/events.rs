//! `/events`: where one went, and all as they are accepted.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytestring::ByteString;
use serde::Serialize;

use super::deliveries::{Shown, event_id, kind, topic_filter};
use super::stream::{self, Line, Listener};
use super::{Api, Caller, Fields, Problem, Query, Segment, Sight, answer};
use crate::delivery_log::{Attempt, DeliveryLog, Filter, Trace};
use crate::event::{Id, Kind, Timestamp, TopicFilter, TopicName};
use crate::pattern::Pattern;
use crate::spool::Passing;
use crate::spool::store::Role;

/// The most attempts of one event that are told: the newest.
const ATTEMPTS: usize = 500;

/// The longest name that is asked for.
const LONGEST: usize = 256;

#[derive(Serialize)]
struct ShownTrace<'a> {
    id: String,
    kind: &'static str,
    topic: Option<&'a str>,
    at: String,
    deliveries: Vec<Destination<'a>>,
}

#[derive(Serialize)]
struct Destination<'a> {
    webhook: &'a str,
    state: &'static str,
    dead_letter: Option<u64>,
    attempts: Vec<Shown<'a>>,
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
) -> Result<Response<Body>, Problem> {
    query.end(|| Some(()))?;
    let id = event_id(&id).map_err(Problem::not_found)?;
    let sight = api.sight(&caller).await?;
    let attempts = api.log.ask(move |log| attempts(log, id)).await?;
    let whereabouts = if api.store.is_on_disk() {
        Some(api.store.read(move |store| store.whereabouts(id)).await?)
    } else {
        None
    };
    let trace = Trace::of(id, &attempts, whereabouts.as_deref(), Timestamp::now());
    let unknown = "nothing is known of this event, or not any more";
    let mut trace = trace.ok_or_else(|| Problem::not_found(unknown))?;
    trace.destinations.retain(|it| sight.has(&it.webhook));
    if trace.destinations.is_empty() {
        return Err(Problem::not_found(unknown));
    }
    let destinations = trace.destinations.iter().map(|it| Destination {
        webhook: &it.webhook,
        state: it.state.name(),
        dead_letter: it.dead_letter.map(|id| id.0),
        attempts: it
            .attempts
            .iter()
            .map(|attempt| Shown::of(attempt, &caller))
            .collect(),
    });
    let shown = ShownTrace {
        id: trace.id.to_string(),
        kind: trace.kind.name(),
        topic: trace.topic.as_deref(),
        at: trace.at.rfc3339(),
        deliveries: destinations.collect(),
    };
    Ok(answer::json(StatusCode::OK, &shown))
}

fn attempts(log: &DeliveryLog, id: Id) -> Result<Vec<Attempt>, crate::delivery_log::Error> {
    let filter = Filter {
        event: Some(id),
        ..Filter::default()
    };
    Ok(log.attempts(&filter, None, ATTEMPTS)?.attempts)
}

/// Which events somebody listens to.
struct Wanted {
    kind: Option<Kind>,
    topic: Option<TopicFilter>,
    client_id: Option<Pattern>,
    webhook: Option<String>,
    /// Whether payloads are wanted, and may be seen.
    with_payload: bool,
    sight: Sight,
}

#[derive(Serialize)]
struct ShownEvent<'a> {
    id: String,
    kind: &'static str,
    time: String,
    topic: Option<&'a str>,
    client_id: Option<&'a str>,
    username: Option<&'a str>,
    webhooks: Vec<&'a str>,
    bytes: usize,
    /// The payload's beginning, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    /// The same, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl Wanted {
    fn read(mut query: Fields, caller: &Caller, sight: Sight) -> Result<Self, Problem> {
        let kind = query.parse("kind", kind);
        let topic = query.parse("topic", topic_filter);
        let client_id = query.parse("client_id", |text| Pattern::try_from(text));
        let webhook = query.text("webhook", LONGEST);
        let with_payload = query.bool("payload").unwrap_or(false);
        if with_payload && !caller.may(Role::Operator) {
            return Err(Problem::forbidden("payloads need the role operator"));
        }
        query.end(|| {
            Some(Self {
                kind,
                topic,
                client_id,
                webhook,
                with_payload,
                sight,
            })
        })
    }

    fn show(&self, event: &Passing) -> Option<Line> {
        let webhooks = event.webhooks.iter().map(String::as_str);
        let webhooks: Vec<&str> = webhooks.filter(|name| self.sight.has(name)).collect();
        let is_client = |pattern: &Pattern| {
            let id = event.client_id.as_deref();
            id.is_some_and(|id| pattern.matches(id))
        };
        let is_meant = !webhooks.is_empty()
            && self.kind.is_none_or(|kind| kind == event.kind)
            && self.client_id.as_ref().is_none_or(is_client)
            && self
                .webhook
                .as_deref()
                .is_none_or(|name| webhooks.contains(&name))
            && self.matches(event.topic.as_deref());
        if !is_meant {
            return None;
        }
        let payload = Some(&*event.payload).filter(|_| self.with_payload && event.topic.is_some());
        let text = payload.and_then(beginning);
        Some(Line::of(
            "event",
            &ShownEvent {
                id: event.id.to_string(),
                kind: event.kind.name(),
                time: event.time.rfc3339(),
                topic: event.topic.as_deref(),
                client_id: event.client_id.as_deref(),
                username: event.username.as_deref(),
                webhooks,
                bytes: event.payload_bytes,
                payload: text,
                payload_base64: payload
                    .filter(|_| text.is_none())
                    .map(|bytes| STANDARD.encode(bytes)),
            },
        ))
    }

    fn matches(&self, topic: Option<&str>) -> bool {
        let Some(filter) = &self.topic else {
            return true;
        };
        let name = topic.and_then(|topic| TopicName::try_from(ByteString::from(topic)).ok());
        name.is_some_and(|name| filter.matches(&name))
    }
}

/// Returns the text that a payload begins with; its last character may have been cut.
fn beginning(payload: &[u8]) -> Option<&str> {
    match std::str::from_utf8(payload) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&payload[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

pub(super) async fn stream(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query,
) -> Result<Response<Body>, Problem> {
    let listener = Listener::new(&api, caller).await?;
    let wanted = Wanted::read(query, &listener.caller, listener.sight.clone())?;
    let listening = listener.listen(&api.events)?;
    let show = move |event: &Passing| wanted.show(event);
    Ok(stream::answer(listener, listening, show))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_chosen_by_pattern() {
        let event = |client_id: Option<&str>| Passing {
            id: Id::new(),
            kind: Kind::ClientConnack,
            time: Timestamp::now(),
            topic: None,
            client_id: client_id.map(str::to_owned),
            username: None,
            webhooks: vec!["a".to_owned()],
            payload_bytes: 0,
            payload: bytes::Bytes::new(),
        };
        let check = |pattern: &str, client_id, expected| {
            let query = Fields::of_query(&format!("client_id={pattern}"));
            let wanted = Wanted::read(query, &Caller::local(), Sight::All).expect("it is right");
            let is_shown = wanted.show(&event(client_id)).is_some();
            assert_eq!(is_shown, expected, "{pattern} {client_id:?}");
        };
        check("s-*", Some("s-17"), true);
        check("s-17", Some("s-17"), true);
        check("s-*", Some("t-17"), false);
        check("*", None, false);
    }
}
