//! `GET /clients/{client_id}/webhooks`: which webhooks a client's events reach, and by which rules.

use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::Response;
use serde_json::{Value, json};

use super::answer;
use super::webhooks::{all, reference};
use super::{Api, Caller, Problem, Query, Segment};
use crate::event::Kind;
use crate::rule::{Rule, any_matches};

/// Answers with those whose rules do not exclude the client: by its identifier, or by what only an event shows.
pub(super) async fn webhooks(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(client): Segment,
    Query(query): Query,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let view = api.configured.catalogue.view();
    let sight = api.sight(&caller).await?;
    let tells_publishers = view.config.plugin_key.is_some();
    let mut items = Vec::new();
    for known in all(&view, &sight)
        .into_iter()
        .filter(|it| it.why_off.is_none())
    {
        let webhooks = &view.config.webhooks;
        let Some(webhook) = webhooks.iter().find(|webhook| webhook.name == known.name) else {
            continue;
        };
        let rules = webhook.rules.iter();
        let rules: Vec<Value> = rules
            .filter(|rule| reaches(rule, &client, tells_publishers))
            .map(show)
            .collect();
        if !rules.is_empty() {
            let mut item = reference(&known);
            item["rules"] = rules.into();
            items.push(item);
        }
    }
    Ok(answer::page(items, None::<String>))
}

/// Returns whether a rule may take an event of a client.
fn reaches(rule: &Rule, client: &str, tells_publishers: bool) -> bool {
    if rule.kind.is_notice() || rule.kind.is_of_application() {
        return false;
    }
    let Some(guard) = &rule.guard else {
        return true;
    };
    let asks_who = guard.client_id.is_some() || guard.username.is_some() || guard.scope.is_some();
    if asks_who && rule.kind == Kind::MessagePublish && !tells_publishers {
        return false;
    }
    let is_named = guard.client_id.as_ref().is_none_or(|it| it.matches(client));
    let scope = guard.scope.as_ref();
    is_named && scope.is_none_or(|scope| any_matches(scope, client))
}

fn show(rule: &Rule) -> Value {
    let topic = rule.kind.is_message().then(|| rule.topic.to_string());
    let guard = rule.guard.as_deref();
    let is_conditional = guard.is_some_and(|it| it.username.is_some() || it.condition.is_some());
    json!({"event": rule.kind.name(), "topic": topic, "conditional": is_conditional})
}
