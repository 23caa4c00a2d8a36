//! `/status`: how mqhook is, at a glance.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::body::Body as AnswerBody;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use serde::Serialize;

use super::{Api, Caller, Problem, Query, Sight, answer};
use crate::dialect;
use crate::event::Timestamp;
use crate::mqtt;
use crate::spool::store::{self, Backlog, Store};

#[derive(Serialize)]
struct Status {
    version: &'static str,
    started_at: String,
    ready: bool,
    broker: Broker,
    spool: Spool,
    webhooks: Webhooks,
    dead_letters: Total,
    /// What concerns no webhook; not for a token that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Total>,
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<BTreeMap<&'static str, u64>>,
}

#[derive(Serialize)]
struct Broker {
    url: String,
    dialect: Option<&'static str>,
    /// Why it does not tell of its clients, and what to do about it.
    advice: Option<String>,
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    name: String,
    state: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct Spool {
    backend: &'static str,
    waiting: u64,
    bytes: Option<u64>,
    oldest_age_seconds: Option<f64>,
    failure: Option<String>,
}

#[derive(Serialize)]
struct Webhooks {
    total: usize,
    enabled: usize,
    disabled: usize,
    failing: usize,
}

#[derive(Serialize)]
struct Total {
    total: u64,
}

/// What the database knows of it.
#[derive(Default)]
struct Stored {
    backlog: Vec<Backlog>,
    devices: u64,
    bytes: Option<u64>,
}

fn read(store: &mut Store) -> Result<Stored, store::Error> {
    Ok(Stored {
        backlog: store.backlog()?,
        devices: store.device_counts()?.devices,
        bytes: Some(store.used_bytes()?),
    })
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Query(query): Query,
) -> Result<Response<AnswerBody>, Problem> {
    query.end(|| Some(()))?;
    let sight = api.sight(&caller).await?;
    let mut unread = None;
    let mut stored = Stored::default();
    if api.store.is_on_disk() {
        // All else is worth telling then in particular.
        match api.store.read(read).await {
            Ok(read) => stored = read,
            Err(problem) => unread = Some(problem.detail().to_owned()),
        }
    }
    stored.backlog.retain(|webhook| sight.has(&webhook.name));
    let mut names = api.control.webhooks();
    names.retain(|name| sight.has(name));
    let dead_letters = stored.backlog.iter().map(|webhook| webhook.dead_letters);
    let status = Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: api.started_at.rfc3339(),
        ready: api.health.is_ready(),
        broker: broker(&api),
        spool: Spool {
            failure: api.health.spool_failure().or(unread),
            ..spool(&api, &stored, &sight)
        },
        webhooks: webhooks(&names, &stored.backlog),
        dead_letters: Total {
            total: dead_letters.sum(),
        },
        devices: (sight == Sight::All).then_some(Total {
            total: stored.devices,
        }),
        events: (sight == Sight::All).then(|| {
            let events = api.came_in.events().into_iter();
            events.map(|(kind, count)| (kind.name(), count)).collect()
        }),
    };
    Ok(answer::json(StatusCode::OK, &status))
}

fn broker(api: &Api) -> Broker {
    let connection = |watched: &super::Watched| {
        let status = watched.status.borrow().clone();
        Connection {
            name: watched.name.clone(),
            state: word(&status),
            detail: status.to_string(),
        }
    };
    Broker {
        url: api.broker.clone(),
        dialect: api.health.dialect().map(dialect::Name::as_str),
        advice: api.health.advice(),
        connections: api.health.connections().iter().map(connection).collect(),
    }
}

const fn word(status: &mqtt::Status) -> &'static str {
    match status {
        mqtt::Status::Connecting => "connecting",
        mqtt::Status::Subscribing => "subscribing",
        mqtt::Status::Subscribed(_) => "subscribed",
        mqtt::Status::Full => "full",
        mqtt::Status::Waiting(_) => "waiting",
        mqtt::Status::Stopped => "stopped",
    }
}

fn spool(api: &Api, stored: &Stored, sight: &Sight) -> Spool {
    let on_disk: u64 = stored.backlog.iter().map(Backlog::waiting).sum();
    let oldest = stored
        .backlog
        .iter()
        .filter_map(|webhook| webhook.oldest)
        .min();
    let is_all = *sight == Sight::All;
    Spool {
        backend: if api.store.is_on_disk() {
            "sqlite"
        } else {
            "memory"
        },
        // What is in memory only is not told apart by webhook.
        waiting: if is_all {
            api.spool.waiting() as u64
        } else {
            on_disk
        },
        bytes: stored.bytes.filter(|_| is_all),
        oldest_age_seconds: oldest.map(|oldest| Timestamp::now().since(oldest).as_secs_f64()),
        failure: None,
    }
}

/// Counts the webhooks that run; one of which the database knows nothing is enabled.
fn webhooks(names: &[String], backlog: &[Backlog]) -> Webhooks {
    let names: HashSet<&String> = names.iter().collect();
    let with = |status: store::Status| {
        let has_it =
            |webhook: &&Backlog| webhook.state.status == status && names.contains(&webhook.name);
        backlog.iter().filter(has_it).count()
    };
    let disabled = with(store::Status::Disabled);
    let failing = with(store::Status::DisabledDueToErrors);
    Webhooks {
        total: names.len(),
        enabled: names.len().saturating_sub(disabled + failing),
        disabled,
        failing,
    }
}
