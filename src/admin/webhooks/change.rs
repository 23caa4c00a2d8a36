//! Making, changing and removing webhooks.

use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::{Known, States, find, past, show};
use crate::admin::access::{Sight, audit};
use crate::admin::definitions::{
    Change, Step, applied, carried_out, flaws_of, name_of, refuse_taken, turn, warning, warnings_of,
};
use crate::admin::{Api, Body, Caller, Fields, Flaw, Problem, Query, Segment, answer};
use crate::catalogue::View;
use crate::config::json;
use crate::config::masked::{self, Unmaskable, Why};
use crate::event::{Id, Kind, Timestamp};
use crate::spool::store::{Defines, Definition, Limit};

/// The largest definition, in bytes of JSON.
const MAX_DEFINITION_BYTES: usize = 64 << 10;

/// What a body says of a webhook.
struct Wanted {
    name: Option<String>,
    group: Option<String>,
    definition: Value,
}

impl Wanted {
    fn read(mut fields: Fields, needs_name: bool) -> Result<Self, Problem> {
        let name = if needs_name {
            fields.required("name", name_of)
        } else {
            name_of(&mut fields, "name")
        };
        let group = fields.text("group", 256);
        let definition = fields.required("definition", |fields, key| {
            let value = fields.value(key)?;
            if value.to_string().len() > MAX_DEFINITION_BYTES {
                let detail = format!("it has more than {} KiB", MAX_DEFINITION_BYTES >> 10);
                fields.flaw(key, detail, None);
            }
            Some(value)
        });
        fields.end(|| {
            Some(Self {
                name,
                group,
                definition: definition?,
            })
        })
    }

    /// Refuses what would reach beyond what a caller may touch.
    fn allow(&self, caller: &Caller, earlier: Option<&Known>) -> Result<(), Problem> {
        let allowed = match &caller.limit {
            None => return Ok(()),
            Some(Limit::Group(group)) => Some(group.clone()),
            Some(Limit::Webhook(_)) => match earlier {
                Some(webhook) => webhook.group.clone(),
                None => return Err(Problem::forbidden("the token is limited to one webhook")),
            },
        };
        if self.group != allowed {
            let detail = "the token is limited: the webhook must be, and stay, in its group";
            return Err(Problem::forbidden(detail));
        }
        if self.takes_notices() {
            let detail = "the token is limited, and notices are about all webhooks";
            return Err(Problem::forbidden(detail));
        }
        Ok(())
    }

    fn takes_notices(&self) -> bool {
        let rules = self.definition.get("events").and_then(Value::as_array);
        let is_notice = |rule: &Value| {
            let kind = rule.get("event").and_then(Value::as_str);
            let kind: Option<Kind> = kind.and_then(|kind| kind.parse().ok());
            kind.is_some_and(Kind::is_notice)
        };
        rules.is_some_and(|rules| rules.iter().any(is_notice))
    }
}

/// `POST /webhooks`
pub(in crate::admin) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query,
    Body(fields): Body,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let wanted = Wanted::read(fields, true)?;
    let name = wanted.name.clone().unwrap_or_default();
    let made = make(&api, &caller, wanted, &name).await;
    audit(&caller, "make a webhook", &name, &made);
    let warnings = made?;
    let webhook = find(&api.configured.catalogue.view(), &Sight::All, &name)?;
    let mut response = answered(&api, StatusCode::CREATED, &webhook, &warnings).await?;
    if let Ok(location) = HeaderValue::from_str(&format!("/webhooks/{}", webhook.id())) {
        response.headers_mut().insert("location", location);
    }
    Ok(response)
}

async fn make(
    api: &Arc<Api>,
    caller: &Caller,
    wanted: Wanted,
    name: &str,
) -> Result<Vec<Value>, Problem> {
    wanted.allow(caller, None)?;
    if !api.store.is_on_disk() {
        return Err(Problem::not_on_disk());
    }
    let turn = turn(api).await?;
    let view = turn.view();
    refuse_taken(api, &view, Defines::Webhook, name)?;
    if caller.limit.is_some() {
        past::refuse(api, name).await?;
    }
    let warnings = check(&view, name, wanted.group.as_deref(), &wanted.definition)?;
    let now = Timestamp::now();
    let step = Step::Add(Definition {
        id: Id::new().to_string(),
        defines: Defines::Webhook,
        name: name.to_owned(),
        group: wanted.group,
        json: wanted.definition.to_string(),
        version: 1,
        created_at: now,
        last_modified_at: now,
        overlaps_until: None,
    });
    let change = Change::new(&turn, step).await?;
    carried_out(api, turn, change).await?;
    Ok(warnings)
}

/// Returns what is odd about a definition, and no error.
pub(super) fn check(
    view: &View,
    name: &str,
    group: Option<&str>,
    definition: &Value,
) -> Result<Vec<Value>, Problem> {
    let (webhook, mistakes) = json::webhook(&view.config, name, group, definition);
    if webhook.is_some() {
        return Ok(warnings_of(&mistakes));
    }
    let flaws = flaws_of(&mistakes);
    Err(Problem::configuration("the webhook is not as it must be").flaws(flaws))
}

async fn answered(
    api: &Api,
    status: StatusCode,
    webhook: &Known,
    warnings: &[Value],
) -> Result<Response<Bytes>, Problem> {
    let known = States::read(api).await.unwrap_or_default();
    let shown = serde_json::to_value(show(webhook, &known));
    let mut shown = shown.map_err(|_| Problem::internal())?;
    shown["warnings"] = warnings.into();
    Ok(webhook.tag().on(answer::json(status, &shown)))
}

/// `PUT /webhooks/{id}`
pub(in crate::admin) async fn replace(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    headers: HeaderMap,
    Query(query): Query,
    Body(fields): Body,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let wanted = Wanted::read(fields, false)?;
    let sight = api.sight(&caller).await?;
    let put = put(&api, &caller, &headers, wanted, (&sight, &id)).await;
    audit(&caller, "change a webhook", &id, &put);
    let warnings = put?;
    // Its token is not limited if it is of another group now.
    let webhook = find(&api.configured.catalogue.view(), &sight, &id)?;
    answered(&api, StatusCode::OK, &webhook, &warnings).await
}

async fn put(
    api: &Arc<Api>,
    caller: &Caller,
    headers: &HeaderMap,
    wanted: Wanted,
    (sight, id): (&Sight, &str),
) -> Result<Vec<Value>, Problem> {
    let turn = turn(api).await?;
    let view = turn.view();
    let webhook = find(&view, sight, id)?;
    let old = webhook.changeable()?.clone();
    webhook.tag().require(headers)?;
    wanted.allow(caller, Some(&webhook))?;
    if wanted.name.as_ref().is_some_and(|name| *name != old.name) {
        let detail = "a webhook keeps its name, under which its events wait; make another one";
        return Err(Problem::conflict(detail));
    }
    let earlier = serde_json::from_str(&old.json).unwrap_or(Value::Null);
    let definition = masked::unmask(&wanted.definition, &earlier).map_err(|lost| masks(&lost))?;
    let (name, group) = (old.name.as_str(), wanted.group.as_deref());
    let mut warnings = check(&view, name, group, &definition)?;
    if let Some(group) = group.filter(|_| wanted.group != old.group) {
        warnings.extend(past::warning(api, name, group).await);
    }
    // Secrets that somebody has written stay until somebody takes them away.
    let overlaps_until = old
        .overlaps_until
        .filter(|_| definition.get("sign") == earlier.get("sign"));
    let new = Definition {
        group: wanted.group.clone(),
        json: definition.to_string(),
        version: old.version + 1,
        last_modified_at: Timestamp::now(),
        overlaps_until,
        ..old.clone()
    };
    let name = name.to_owned();
    let change = Change::new(&turn, Step::Set { old, new }).await?;
    let applied = applied(api, turn, change).await?;
    if applied.stay_durable.contains(&name) {
        let detail = "it stays durable until mqhook starts anew, as what waits for it is";
        warnings.push(warning("/definition/durable", detail, None));
    }
    Ok(warnings)
}

fn masks(lost: &[Unmaskable]) -> Problem {
    let flaw = |lost: &Unmaskable| {
        let (detail, help) = match lost.why {
            Why::Nothing => (
                "there was no secret here that could be kept",
                "write the secret itself",
            ),
            Why::Elsewhere => (
                "a secret is not kept where requests go to another place, or `tls` changes",
                "write the secret again",
            ),
        };
        Flaw {
            pointer: Some(format!("/definition{}", lost.pointer)),
            detail: detail.to_owned(),
            help: Some(help.to_owned()),
            ..Flaw::default()
        }
    };
    let flaws = lost.iter().map(flaw).collect();
    Problem::configuration("not every secret can be kept").flaws(flaws)
}

/// `DELETE /webhooks/{id}`
pub(in crate::admin) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let sight = api.sight(&caller).await?;
    let removed = async {
        let turn = turn(&api).await?;
        let webhook = find(&turn.view(), &sight, &id)?;
        let old = webhook.changeable()?.clone();
        webhook.tag().require(&headers)?;
        let change = Change::new(&turn, Step::Remove(old)).await?;
        past::keep_name(&api, &webhook.name).await?;
        carried_out(&api, turn, change).await
    };
    let removed = removed.await;
    audit(&caller, "remove a webhook", &id, &removed);
    removed.map(|()| answer::done())
}
