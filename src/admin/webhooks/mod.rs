//! Webhooks: those of the file, which are shown, and those of the API, which can be changed as well.

mod change;
mod counts;
mod overlap;
mod past;
mod rotate;
mod trial;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::access::Sight;
use super::answer::{self, Tag, Window};
use super::{Api, Caller, Problem, Query, Segment};
use crate::catalogue::{View, Why};
use crate::config::{self, masked};
use crate::event::Timestamp;
use crate::spool::store::{Activity, Backlog, Defines, Definition, Status};

pub(super) use change::{create, remove, replace};
pub(super) use counts::keep;
pub(super) use overlap::end_all;
pub(super) use rotate::rotate;
pub(super) use trial::trial;

/// The longest text that may be searched for.
const LONGEST_SEARCH: usize = 256;

const STATUSES: [(&str, Status); 3] = [
    (Status::Enabled.name(), Status::Enabled),
    (Status::Disabled.name(), Status::Disabled),
    (
        Status::DisabledDueToErrors.name(),
        Status::DisabledDueToErrors,
    ),
];

/// A webhook as it is configured.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) url: String,
    /// Without secrets.
    pub(super) json: Value,
    /// `None` for one of the file.
    pub(super) definition: Option<Definition>,
    /// Why it is not there at all: the file switches it off, or it does not fit.
    pub(super) why_off: Option<String>,
    /// Whether another one has its name, and with it all that goes by the name.
    is_hidden: bool,
}

impl Known {
    fn of_api(view: &View, definition: &Definition) -> Self {
        let json = serde_json::from_str(&definition.json).unwrap_or(Value::Null);
        let json = masked::mask(&json);
        let clash = view.clash(Defines::Webhook, &definition.name);
        Self {
            url: url(view, &definition.name, &json),
            json,
            name: definition.name.clone(),
            group: definition.group.clone(),
            definition: Some(definition.clone()),
            why_off: clash.map(ToString::to_string),
            is_hidden: clash.is_some_and(|clash| clash.why == Why::NameTaken),
        }
    }

    fn of_file(view: &View, name: &str, running: Option<&config::Webhook>) -> Self {
        let json = view.file.written.webhooks.get(name).cloned();
        let json = json.unwrap_or_else(|| json!({}));
        Self {
            url: url(view, name, &json),
            name: name.to_owned(),
            group: running.and_then(|webhook| webhook.group.clone()),
            json,
            definition: None,
            why_off: running
                .is_none()
                .then(|| "`enable` is false in the configuration file".to_owned()),
            is_hidden: false,
        }
    }

    /// Returns what names it in paths.
    pub(super) fn id(&self) -> &str {
        let definition = self.definition.as_ref();
        definition.map_or(&self.name, |definition| &definition.id)
    }

    /// Returns the tag of how it is configured.
    pub(super) fn tag(&self) -> Tag {
        match &self.definition {
            Some(definition) => Tag::of(&(&definition.id, definition.version)),
            None => Tag::of(&(&self.name, &self.group, &self.json)),
        }
    }

    /// Returns the definition of one that the API may change.
    pub(super) fn changeable(&self) -> Result<&Definition, Problem> {
        self.definition.as_ref().ok_or_else(|| {
            let name = &self.name;
            Problem::conflict(format!(
                "`{name}` is in the configuration file: change it there, as `webhooks.{name}`, and reload"
            ))
        })
    }
}

/// Returns the URL of a webhook as it may be shown.
fn url(view: &View, name: &str, json: &Value) -> String {
    if let Some(url) = json.get("url").and_then(Value::as_str) {
        return url.to_owned();
    }
    let webhooks = &view.config.webhooks;
    let webhook = webhooks.iter().find(|webhook| webhook.name == name);
    webhook.map_or_else(String::new, |webhook| webhook.http.url.to_string())
}

/// Returns what names a webhook.
pub(super) fn reference(webhook: &Known) -> Value {
    json!({"id": webhook.id(), "name": webhook.name, "group": webhook.group})
}

/// Returns all webhooks that somebody may know of, in the order of their names.
pub(super) fn all(view: &View, sight: &Sight) -> Vec<Known> {
    let file = view.file.webhooks.iter();
    let mut all: Vec<Known> = file
        .map(|webhook| Known::of_file(view, &webhook.name, Some(webhook)))
        .collect();
    for name in view.file.written.webhooks.keys() {
        if !view
            .file
            .webhooks
            .iter()
            .any(|webhook| webhook.name == *name)
        {
            all.push(Known::of_file(view, name, None));
        }
    }
    let definitions = view.definitions.iter();
    let of_api = definitions.filter(|definition| definition.defines == Defines::Webhook);
    all.extend(of_api.map(|definition| Known::of_api(view, definition)));
    all.retain(|webhook| sight.has_definition(&webhook.name, webhook.group.as_deref()));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Returns the webhook of this id or name, if somebody may know of it.
pub(super) fn find(view: &View, sight: &Sight, id: &str) -> Result<Known, Problem> {
    let mut all = all(view, sight);
    let place = all.iter().position(|webhook| webhook.id() == id);
    let place = place.or_else(|| all.iter().position(|webhook| webhook.name == id));
    let place = place.ok_or_else(|| Problem::not_found("there is no such webhook"))?;
    Ok(all.swap_remove(place))
}

/// What the database knows of webhooks, by name.
#[derive(Debug, Default)]
pub(super) struct States {
    backlog: HashMap<String, Backlog>,
    activity: HashMap<String, Activity>,
}

impl States {
    pub(super) async fn read(api: &Api) -> Result<Self, Problem> {
        if !api.store.is_on_disk() {
            return Ok(Self::default());
        }
        let read = api
            .store
            .read(|store| Ok((store.backlog()?, store.activity()?)));
        let (backlog, activity) = read.await?;
        let activity = activity.into_iter();
        Ok(Self {
            backlog: backlog
                .into_iter()
                .map(|it| (it.name.clone(), it))
                .collect(),
            activity: activity.map(|it| (it.webhook.clone(), it)).collect(),
        })
    }

    fn status(&self, webhook: &Known) -> Status {
        let known = self.backlog.get(&webhook.name);
        match known.map(|known| known.state.status) {
            _ if webhook.why_off.is_some() => Status::Disabled,
            status => status.unwrap_or_default(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    origin: &'static str,
    group: Option<&'a str>,
    url: &'a str,
    status: &'static str,
    disabled_reason: Option<String>,
    created_at: Option<String>,
    last_modified_at: Option<String>,
    last_triggered_at: Option<String>,
    secret_overlaps_until: Option<String>,
    attempt_count: u64,
    failure_limit: Option<&'a Value>,
    waiting: u64,
    dead_letters: u64,
    definition: &'a Value,
}

/// Returns what is shown of a webhook.
pub(super) fn show<'a>(webhook: &'a Known, states: &States) -> Shown<'a> {
    let definition = webhook.definition.as_ref();
    let name = Some(&webhook.name).filter(|_| !webhook.is_hidden);
    let backlog = name.and_then(|name| states.backlog.get(name));
    let activity = name.and_then(|name| states.activity.get(name));
    let reason = backlog.map(|backlog| backlog.state.reason.clone());
    Shown {
        id: webhook.id(),
        name: &webhook.name,
        origin: if definition.is_some() { "api" } else { "file" },
        group: webhook.group.as_deref(),
        url: &webhook.url,
        status: states.status(webhook).name(),
        disabled_reason: match &webhook.why_off {
            Some(why) => Some(why.clone()),
            None => reason.filter(|reason| !reason.is_empty()),
        },
        created_at: definition.map(|it| it.created_at.rfc3339()),
        last_modified_at: definition.map(|it| it.last_modified_at.rfc3339()),
        last_triggered_at: activity.and_then(|it| it.last_triggered.map(Timestamp::rfc3339)),
        secret_overlaps_until: definition.and_then(|it| it.overlaps_until.map(Timestamp::rfc3339)),
        attempt_count: activity.map_or(0, |activity| activity.attempts),
        failure_limit: webhook.json.get("failure_limit"),
        waiting: backlog.map_or(0, Backlog::waiting),
        dead_letters: backlog.map_or(0, |backlog| backlog.dead_letters),
        definition: &webhook.json,
    }
}

/// `GET /webhooks`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Response<Bytes>, Problem> {
    let group = query.text("group", LONGEST_SEARCH);
    let status = query.choice("status", &STATUSES);
    let text = query
        .text("q", LONGEST_SEARCH)
        .map(|text| text.to_lowercase());
    let window: Window<String> = Window::read(&mut query);
    query.end(|| Some(()))?;
    let view = api.configured.catalogue.view();
    let sight = api.sight(&caller).await?;
    let known = States::read(&api).await?;
    let is_meant = |webhook: &Known| {
        let has = |text: &str| {
            webhook.name.to_lowercase().contains(text) || webhook.url.to_lowercase().contains(text)
        };
        group
            .as_ref()
            .is_none_or(|group| webhook.group.as_ref() == Some(group))
            && status.is_none_or(|status| known.status(webhook) == status)
            && text.as_deref().is_none_or(has)
    };
    let mut found = all(&view, &sight);
    found.retain(is_meant);
    let next = window.cut(&mut found, |webhook| &webhook.name);
    let items: Vec<_> = found.iter().map(|webhook| show(webhook, &known)).collect();
    Ok(answer::page(items, next))
}

/// `GET /webhooks/{id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let sight = api.sight(&caller).await?;
    let webhook = find(&api.configured.catalogue.view(), &sight, &id)?;
    let states = States::read(&api).await?;
    Ok(webhook.tag().answer(&headers, &show(&webhook, &states)))
}
