//! `/webhooks/{id}/enable` and `/disable`.

use std::sync::Arc;

use axum::body::Body as AnswerBody;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::webhooks::find;
use super::{Api, Caller, Fields, OptionalBody, Problem, Segment, answer, audit};
use crate::event::Timestamp;
use crate::spool::store::{self, Change, Status, Store, WebhookState};

/// The longest reason, in characters.
const LONGEST_REASON: usize = 1_024;

pub(super) async fn enable(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    OptionalBody(body): OptionalBody,
) -> Result<Response<AnswerBody>, Problem> {
    body.end(|| Some(()))?;
    switch(&api, &caller, &id, (Status::Enabled, String::new())).await
}

pub(super) async fn disable(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    OptionalBody(mut body): OptionalBody,
) -> Result<Response<AnswerBody>, Problem> {
    let reason = read_reason(&mut body);
    body.end(|| Some(()))?;
    switch(&api, &caller, &id, (Status::Disabled, reason)).await
}

fn read_reason(body: &mut Fields) -> String {
    body.text("reason", LONGEST_REASON).unwrap_or_default()
}

/// Returns the name of the webhook that an id or a name is of.
async fn name_of(api: &Api, caller: &Caller, id: &str) -> Result<String, Problem> {
    let sight = api.sight(caller).await?;
    match find(&api.configured.catalogue.view(), &sight, id) {
        // What has been left out must not switch another one of its name.
        Ok(webhook) if webhook.definition.is_some() => match webhook.why_off {
            Some(why) => Err(Problem::conflict(why)),
            None => Ok(webhook.name),
        },
        Ok(webhook) => Ok(webhook.name),
        // One that a program around mqhook has brought is in no configuration.
        Err(_) if sight.has(id) => Ok(id.to_owned()),
        Err(problem) => Err(problem),
    }
}

/// What came of it.
enum Switched {
    To(WebhookState),
    /// The database does not know the webhook.
    Unknown,
}

async fn switch(
    api: &Api,
    caller: &Caller,
    id: &str,
    wanted: (Status, String),
) -> Result<Response<AnswerBody>, Problem> {
    let name = &name_of(api, caller, id).await?;
    let missing = || Problem::not_found("there is no such webhook");
    let what = match wanted.0 {
        Status::Enabled => "enable a webhook",
        _ => "disable a webhook",
    };
    let webhook = name.to_owned();
    let done = match api
        .store
        .write(move |store| set(store, &webhook, wanted))
        .await
    {
        Ok(Switched::To(state)) => Ok(state),
        Ok(Switched::Unknown) if api.control.webhooks().iter().any(|it| it == name) => {
            let detail = "a webhook with `durable = false` has no state that is remembered";
            Err(Problem::conflict(detail))
        }
        Ok(Switched::Unknown) => Err(missing()),
        Err(problem) => Err(problem),
    };
    audit(caller, what, name, &done);
    Ok(answer::json(StatusCode::OK, &show(name, &done?)))
}

fn set(store: &mut Store, name: &str, wanted: (Status, String)) -> Result<Switched, store::Error> {
    let backlog = store.backlog()?;
    let Some(webhook) = backlog.into_iter().find(|webhook| webhook.name == name) else {
        return Ok(Switched::Unknown);
    };
    let (status, reason) = wanted;
    if webhook.state.status == status && webhook.state.reason == reason {
        return Ok(Switched::To(webhook.state));
    }
    let state = WebhookState {
        status,
        since: Some(Timestamp::now()),
        reason,
        ..WebhookState::default()
    };
    store.commit(&[Change::State {
        webhook: webhook.webhook,
        state: state.clone(),
    }])?;
    Ok(Switched::To(state))
}

fn show(name: &str, state: &WebhookState) -> Value {
    json!({
        "name": name,
        "status": state.status.name(),
        "reason": state.reason,
        "since": state.since.map(Timestamp::rfc3339),
    })
}
