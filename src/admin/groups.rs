//! Groups: scopes that webhooks share.

mod change;
mod events;

use std::sync::Arc;

use axum::body::Body as Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use serde::Serialize;
use serde_json::Value;

use super::answer::{self, Tag, Window};
use super::{Api, Caller, Problem, Query, Segment};
use crate::catalogue::View;
use crate::config::Group;
use crate::event::{Kind, TopicFilter};
use crate::spool::store::{Defines, Definition, Limit};

pub(super) use change::{create, remove, replace};
pub(super) use events::publish;

/// A group as it is configured.
#[derive(Debug, Clone)]
struct Known {
    group: Group,
    /// `None` for one of the file.
    definition: Option<Definition>,
    /// The patterns of clients, as they are written.
    clients: Value,
    /// Why it does not fit.
    problem: Option<String>,
}

impl Known {
    fn id(&self) -> &str {
        let definition = self.definition.as_ref();
        definition.map_or(&self.group.name, |definition| &definition.id)
    }

    fn tag(&self) -> Tag {
        match &self.definition {
            Some(definition) => Tag::of(&(&definition.id, definition.version)),
            None => Tag::of(&(
                &self.group.name,
                self.topics(),
                &self.clients,
                self.events(),
            )),
        }
    }

    fn topics(&self) -> Vec<&str> {
        self.group.topics.iter().map(TopicFilter::as_str).collect()
    }

    fn events(&self) -> Vec<&'static str> {
        self.group.events.iter().map(Kind::name).collect()
    }

    /// Returns the definition of one that the API may change.
    fn changeable(&self) -> Result<&Definition, Problem> {
        self.definition.as_ref().ok_or_else(|| {
            let name = &self.group.name;
            Problem::conflict(format!(
                "`{name}` is in the configuration file: change it there, as `groups.{name}`, and reload"
            ))
        })
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    origin: &'static str,
    topics: Vec<&'a str>,
    clients: &'a Value,
    events: Vec<&'static str>,
    webhooks: Vec<String>,
    problem: Option<&'a str>,
    created_at: Option<String>,
    last_modified_at: Option<String>,
}

fn show<'a>(group: &'a Known, view: &View) -> Shown<'a> {
    let definition = group.definition.as_ref();
    let name = &group.group.name;
    // What does not fit is of it all the same.
    let defined = view.definitions.iter();
    let defined = defined
        .filter(|it| it.defines == Defines::Webhook && it.group.as_ref() == Some(name))
        .map(|definition| definition.id.clone());
    let in_file = view.file.webhooks.iter();
    let in_file = in_file
        .filter(|webhook| webhook.group.as_ref() == Some(name))
        .map(|webhook| webhook.name.clone());
    Shown {
        id: group.id(),
        name,
        origin: if definition.is_some() { "api" } else { "file" },
        topics: group.topics(),
        clients: &group.clients,
        events: group.events(),
        webhooks: in_file.chain(defined).collect(),
        problem: group.problem.as_deref(),
        created_at: definition.map(|it| it.created_at.rfc3339()),
        last_modified_at: definition.map(|it| it.last_modified_at.rfc3339()),
    }
}

/// Returns all groups that somebody may know of, in the order of their names.
fn all(view: &View, caller: &Caller) -> Vec<Known> {
    let is_seen = |name: &str| match &caller.limit {
        None => true,
        Some(Limit::Group(group)) => group == name,
        Some(Limit::Webhook(_)) => false,
    };
    let clients = |written: Option<Value>| {
        let clients = written.and_then(|written| written.get("clients").cloned());
        clients.unwrap_or_else(|| Value::Array(Vec::new()))
    };
    let of_file = view.file.groups.iter().map(|group| Known {
        group: group.clone(),
        definition: None,
        clients: clients(view.file.written.groups.get(&group.name).cloned()),
        problem: None,
    });
    let of_api = |definition: &Definition| {
        let clash = view.clash(Defines::Group, &definition.name);
        let mut groups = view.config.groups.iter();
        let group = groups.find(|group| clash.is_none() && group.name == definition.name);
        Known {
            // What cannot be read is shown as if it said nothing.
            group: group.map_or_else(|| Group::new(&definition.name), Clone::clone),
            definition: Some(definition.clone()),
            clients: clients(serde_json::from_str(&definition.json).ok()),
            problem: clash.map(ToString::to_string),
        }
    };
    let definitions = view.definitions.iter();
    let of_api = definitions
        .filter(|it| it.defines == Defines::Group)
        .map(of_api);
    let seen = of_file
        .chain(of_api)
        .filter(|known| is_seen(&known.group.name));
    let mut all: Vec<Known> = seen.collect();
    all.sort_by(|a, b| a.group.name.cmp(&b.group.name));
    all
}

/// Returns the group of this id or name, if somebody may know of it.
fn find(view: &View, caller: &Caller, id: &str) -> Result<Known, Problem> {
    let mut all = all(view, caller);
    let place = all.iter().position(|group| group.id() == id);
    let place = place.or_else(|| all.iter().position(|group| group.group.name == id));
    let place = place.ok_or_else(|| Problem::not_found("there is no such group"))?;
    Ok(all.swap_remove(place))
}

/// `GET /groups`
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Response<Bytes>, Problem> {
    let window: Window<String> = Window::read(&mut query);
    query.end(|| Some(()))?;
    let view = api.configured.catalogue.view();
    let mut found = all(&view, &caller);
    let next = window.cut(&mut found, |group| &group.group.name);
    let items: Vec<_> = found.iter().map(|group| show(group, &view)).collect();
    Ok(answer::page(items, next))
}

/// `GET /groups/{id}`
pub(super) async fn one(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    headers: HeaderMap,
    Query(query): Query,
) -> Result<Response<Bytes>, Problem> {
    query.end(|| Some(()))?;
    let view = api.configured.catalogue.view();
    let group = find(&view, &caller, &id)?;
    Ok(group.tag().answer(&headers, &show(&group, &view)))
}
