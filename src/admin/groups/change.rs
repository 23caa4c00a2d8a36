//! Making, changing and removing groups.

use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use super::{find, show};
use crate::admin::access::audit;
use crate::admin::definitions::{Change, Step, carried_out, name_of, refuse_taken, turn};
use crate::admin::{Api, Body, Caller, Fields, Flaw, Problem, Query, Segment, answer};
use crate::catalogue::View;
use crate::config::json;
use crate::event::{Id, Timestamp};
use crate::spool::store::{Defines, Definition};

/// What a body says of a group; the keys beside the name are those of the configuration file.
struct Wanted {
    name: Option<String>,
    definition: Value,
}

impl Wanted {
    fn read(mut fields: Fields, needs_name: bool) -> Result<Self, Problem> {
        let name = if needs_name {
            fields.required("name", name_of)
        } else {
            name_of(&mut fields, "name")
        };
        let mut definition = Map::new();
        for key in ["topics", "clients", "events"] {
            if let Some(value) = fields.value(key) {
                definition.insert(key.to_owned(), value);
            }
        }
        let definition = Value::Object(definition);
        fields.end(|| Some(Self { name, definition }))
    }
}

fn check(view: &View, name: &str, definition: &Value) -> Result<(), Problem> {
    let (group, mistakes) = json::group(&view.config, name, definition);
    if group.is_some() {
        return Ok(());
    }
    let flaw = |mistake: json::Mistake| Flaw {
        pointer: Some(mistake.pointer),
        detail: mistake.detail,
        help: mistake.help,
        ..Flaw::default()
    };
    let flaws = mistakes.into_iter().map(flaw).collect();
    Err(Problem::configuration("the group is not as it must be").flaws(flaws))
}

fn answered(
    api: &Api,
    caller: &Caller,
    id: &str,
    status: StatusCode,
) -> Result<Response<Bytes>, Problem> {
    let view = api.configured.catalogue.view();
    let group = find(&view, caller, id)?;
    let shown = answer::json(status, &show(&group, &view));
    let mut response = group.tag().on(shown);
    if status == StatusCode::CREATED
        && let Ok(location) = HeaderValue::from_str(&format!("/groups/{}", group.id()))
    {
        response.headers_mut().insert("location", location);
    }
    Ok(response)
}

/// `POST /groups`
pub(in crate::admin) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query,
    Body(fields): Body,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let wanted = Wanted::read(fields, true)?;
    let name = wanted.name.unwrap_or_default();
    let made = make(&api, &name, &wanted.definition).await;
    audit(&caller, "make a group", &name, &made);
    made?;
    answered(&api, &caller, &name, StatusCode::CREATED)
}

async fn make(api: &Arc<Api>, name: &str, definition: &Value) -> Result<(), Problem> {
    if !api.store.is_on_disk() {
        return Err(Problem::not_on_disk());
    }
    let turn = turn(api).await?;
    let view = turn.view();
    refuse_taken(api, &view, Defines::Group, name)?;
    check(&view, name, definition)?;
    let now = Timestamp::now();
    let step = Step::Add(Definition {
        id: Id::new().to_string(),
        defines: Defines::Group,
        name: name.to_owned(),
        group: None,
        json: definition.to_string(),
        version: 1,
        created_at: now,
        last_modified_at: now,
        overlaps_until: None,
    });
    let change = Change::new(&turn, step).await?;
    carried_out(api, turn, change).await
}

/// `PUT /groups/{id}`
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
    let put = put(&api, &caller, &headers, wanted, &id).await;
    audit(&caller, "change a group", &id, &put);
    put?;
    answered(&api, &caller, &id, StatusCode::OK)
}

async fn put(
    api: &Arc<Api>,
    caller: &Caller,
    headers: &HeaderMap,
    wanted: Wanted,
    id: &str,
) -> Result<(), Problem> {
    let turn = turn(api).await?;
    let view = turn.view();
    let group = find(&view, caller, id)?;
    let old = group.changeable()?.clone();
    group.tag().require(headers)?;
    if wanted.name.is_some_and(|name| name != old.name) {
        return Err(Problem::conflict(
            "a group keeps its name; make another one",
        ));
    }
    check(&view, &old.name, &wanted.definition)?;
    let new = Definition {
        json: wanted.definition.to_string(),
        version: old.version + 1,
        last_modified_at: Timestamp::now(),
        ..old.clone()
    };
    let change = Change::new(&turn, Step::Set { old, new }).await?;
    carried_out(api, turn, change).await
}

/// `DELETE /groups/{id}`
pub(in crate::admin) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let removed = async {
        let turn = turn(&api).await?;
        let view = turn.view();
        let group = find(&view, &caller, &id)?;
        let old = group.changeable()?.clone();
        group.tag().require(&headers)?;
        if let [webhook, ..] = show(&group, &view).webhooks.as_slice() {
            let detail =
                format!("webhooks are of this group, such as {webhook}; remove them first");
            return Err(Problem::conflict(detail));
        }
        let change = Change::new(&turn, Step::Remove(old)).await?;
        carried_out(&api, turn, change).await
    };
    let removed = removed.await;
    audit(&caller, "remove a group", &id, &removed);
    removed.map(|()| answer::done())
}
