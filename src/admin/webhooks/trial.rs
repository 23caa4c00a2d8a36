//! `POST /webhooks/{id}/test`: an example of what the webhook gets, sent now, past the spool and all counts.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout};

use super::find;
use crate::admin::access::audit;
use crate::admin::{Api, Caller, Problem, Query, Segment, answer};
use crate::config::Webhook;
use crate::event::{Event, Kind, TopicFilter};
use crate::http::{Client, Preview};
use crate::sink::{Class, Events, Failure, Outcome, Report, Sink as _};

/// How long a trial may take, whatever the webhook's timeout is.
const DEADLINE: Duration = Duration::from_secs(30);

/// The most of a body that is shown.
const MOST_BODY_BYTES: usize = 16 << 10;

/// How many trials may be under way.
const AT_A_TIME: usize = 4;

static UNDER_WAY: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(AT_A_TIME);

pub(in crate::admin) async fn trial(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let view = api.configured.catalogue.view();
    let known = find(&view, &api.sight(&caller).await?, &id)?;
    let webhooks = &view.config.webhooks;
    let webhook = webhooks.iter().find(|webhook| webhook.name == known.name);
    let tried = match (&known.why_off, webhook) {
        (None, Some(webhook)) => tried(webhook).await,
        (why, _) => Err(Problem::conflict(why.clone().unwrap_or_default())),
    };
    audit(&caller, "test a webhook", &id, &tried);
    Ok(answer::json(StatusCode::OK, &tried?))
}

async fn tried(webhook: &Webhook) -> Result<Value, Problem> {
    let _permit = UNDER_WAY
        .try_acquire()
        .map_err(|_| Problem::busy("other tests are under way"))?;
    let event = Arc::new(example(webhook));
    // A client of its own: what it meets must not count against the webhook's connections.
    let client = Client::new(webhook.http.clone());
    let client = client
        .map_err(|error| Problem::configuration(format!("the webhook cannot be used: {error}")))?;
    let client = Arc::new(client);
    let request = client.preview(&event).await;
    let request = request.ok().map(|preview| shown(webhook, &preview));
    let began = Instant::now();
    let events = Events::from_elem(event, 1);
    let sent = timeout(DEADLINE, client.deliver(events)).await;
    let report = sent.unwrap_or_else(|_| Outcome::Retry(Class::Timeout.into()).into());
    let latency_ms = began.elapsed().as_secs_f64() * 1_000.0;
    let latency_ms = (latency_ms * 1_000.0).round() / 1_000.0;
    Ok(told(&report, latency_ms, request.as_ref()))
}

/// Returns an event that the first rule of a webhook takes.
fn example(webhook: &Webhook) -> Event {
    match webhook.rules.first() {
        Some(rule) => Event::example(rule.kind, &rule.topic),
        None => Event::example(Kind::MessagePublish, &TopicFilter::all()),
    }
}

fn told(report: &Report, latency_ms: f64, request: Option<&Value>) -> Value {
    let (name, failure) = match &report.outcome {
        Outcome::Delivered => ("delivered", None),
        Outcome::Retry(failure) => ("retry", Some(failure)),
        Outcome::Rejected(failure) => ("rejected", Some(failure)),
    };
    let detail = |failure: &Failure| failure.detail.clone();
    json!({
        "outcome": name,
        "status": report.status,
        "class": failure.map(|failure| failure.class.as_str()),
        "detail": failure.map(detail).filter(|detail| !detail.is_empty()),
        "latency_ms": latency_ms,
        "request": request,
        "response": report.status.map(|_| json!({"body": body(&report.response)})),
    })
}

fn shown(webhook: &Webhook, preview: &Preview) -> Value {
    let origin = webhook.http.url.origin().to_string();
    json!({
        "method": preview.method.as_str(),
        "url": format!("{}{}", origin.trim_end_matches('/'), preview.path),
        "headers": headers(&preview.headers),
        "body": body(&preview.body),
    })
}

/// Returns headers by name, those of one name in a list; asterisks stand for secrets.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut shown: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let text = if value.is_sensitive() {
            "***".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        match shown.entry(name.as_str()).or_insert(Value::Null) {
            Value::Array(values) => values.push(text.into()),
            first @ Value::Null => *first = text.into(),
            first => *first = json!([first.take(), text]),
        }
    }
    shown
}

/// Returns the beginning of a body: as text, or else in base64.
fn body(bytes: &[u8]) -> Value {
    let capped = &bytes[..bytes.len().min(MOST_BODY_BYTES)];
    let is_capped = capped.len() < bytes.len();
    let text = match std::str::from_utf8(capped) {
        Ok(text) => Some(text),
        // The end may stand in the middle of a character.
        Err(error) if is_capped && error.error_len().is_none() => {
            std::str::from_utf8(&capped[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text {
        Some(text) => json!({"text": text, "capped": is_capped}),
        None => json!({"base64": STANDARD.encode(capped), "capped": is_capped}),
    }
}
