//! `/devices`: the clients that are remembered.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use serde::Serialize;

use super::answer::{self, Window};
use super::{Api, Caller, Problem, Query, Segment, audit};
use crate::event::{Id, Reason, Status, Timestamp};
use crate::spool::store::{self, DeviceFilter, DeviceRow, Store};

/// The most rows that one request looks at for those that match `q`.
const SCANNED: usize = 5_000;

/// Rows that are read at once.
const BATCH: usize = 500;

/// The longest text that is searched for.
const LONGEST_SEARCH: usize = 256;

#[derive(Serialize)]
struct Device<'a> {
    client_id: &'a str,
    status: &'static str,
    since: String,
    reason: Option<&'static str>,
    username: Option<&'a str>,
    address: Option<&'a str>,
    first_seen: String,
    last_seen: String,
}

/// The status as it is told: a device of which nothing was heard in this watch may be connected or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Connected,
    Disconnected,
    Refused,
    Unknown,
}

const STATUSES: [(&str, Shown); 4] = [
    ("connected", Shown::Connected),
    ("disconnected", Shown::Disconnected),
    ("refused", Shown::Refused),
    ("unknown", Shown::Unknown),
];

impl Shown {
    fn of(device: &DeviceRow, watch: u64) -> Self {
        match device.status {
            _ if device.watch != watch => Self::Unknown,
            Status::Connected => Self::Connected,
            Status::Refused => Self::Refused,
            Status::Disconnected | Status::Decommissioned => Self::Disconnected,
        }
    }

    /// Returns the status that the database has; `None`: any.
    const fn recorded(self) -> Option<Status> {
        match self {
            Self::Connected => Some(Status::Connected),
            Self::Disconnected => Some(Status::Disconnected),
            Self::Refused => Some(Status::Refused),
            Self::Unknown => None,
        }
    }

    fn name(self) -> &'static str {
        let named = STATUSES.iter().find(|(_, status)| *status == self);
        named.map_or("unknown", |(name, _)| name)
    }
}

fn show_row(device: &DeviceRow, watch: u64) -> Device<'_> {
    Device {
        client_id: &device.id,
        status: Shown::of(device, watch).name(),
        since: device.since.rfc3339(),
        reason: device.reason.map(Reason::name),
        username: device.username.as_deref(),
        address: device.address.as_deref(),
        first_seen: device.first_seen.rfc3339(),
        last_seen: device.last_seen.rfc3339(),
    }
}

/// Which devices are asked for.
struct Search {
    status: Option<Shown>,
    not_seen_since: Option<Timestamp>,
    /// Is part of the client identifier, the user name or the address, in lower case.
    text: Option<String>,
    window: Window<u64>,
}

/// What was found.
struct Found {
    watch: u64,
    devices: Vec<DeviceRow>,
    /// The last that was looked at; `None` if that was the last of all.
    next: Option<u64>,
}

impl Search {
    fn read(mut query: super::Fields) -> Result<Self, Problem> {
        let status = query.choice("status", &STATUSES);
        let text = query.text("q", LONGEST_SEARCH);
        let not_seen_since = query.parse("not_seen_since", super::answer::time);
        let window = Window::read(&mut query);
        query.end(|| {
            Some(Self {
                status,
                not_seen_since,
                text: text.map(|text| text.to_lowercase()),
                window,
            })
        })
    }

    fn wants(&self, device: &DeviceRow, watch: u64) -> bool {
        let has = |text: &str, part: &str| text.to_lowercase().contains(part);
        let is_like = |part: &str| {
            let texts = [
                Some(&device.id),
                device.username.as_ref(),
                device.address.as_ref(),
            ];
            texts.into_iter().flatten().any(|text| has(text, part))
        };
        self.status
            .is_none_or(|status| Shown::of(device, watch) == status)
            && self.text.as_deref().is_none_or(is_like)
    }

    fn run(&self, store: &Store) -> Result<Found, store::Error> {
        let filter = DeviceFilter {
            status: self.status.and_then(Shown::recorded),
            not_seen_since: self.not_seen_since,
        };
        let mut found = Found {
            watch: store.device_counts()?.watch,
            devices: Vec::new(),
            next: self.window.after,
        };
        for _ in 0..SCANNED / BATCH {
            let rows = store.list_devices(filter, found.next.unwrap_or(0), BATCH)?;
            let is_last = rows.len() < BATCH;
            for (number, device) in rows {
                if found.devices.len() == self.window.limit {
                    return Ok(found);
                }
                found.next = Some(number);
                if self.wants(&device, found.watch) {
                    found.devices.push(device);
                }
            }
            if is_last {
                found.next = None;
                return Ok(found);
            }
        }
        Ok(found)
    }
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Query(query): Query,
) -> Result<Response<Body>, Problem> {
    let search = Search::read(query)?;
    let found = api.store.read(move |store| search.run(store)).await?;
    let devices = found.devices.iter();
    let items = devices
        .map(|device| show_row(device, found.watch))
        .collect();
    Ok(answer::page(items, found.next))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Segment(id): Segment,
    Query(query): Query,
) -> Result<Response<Body>, Problem> {
    query.end(|| Some(()))?;
    let read = move |store: &mut Store| Ok((store.device(&id)?, store.device_counts()?.watch));
    let (device, watch) = api.store.read(read).await?;
    let device = device.ok_or_else(|| Problem::not_found("there is no such device"))?;
    Ok(answer::json(
        axum::http::StatusCode::OK,
        &show_row(&device, watch),
    ))
}

pub(super) async fn remove(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segment(id): Segment,
    Query(query): Query,
) -> Result<Response<Body>, Problem> {
    query.end(|| Some(()))?;
    let on = id.clone();
    let remove = move |store: &mut Store| store.remove_device(&id, Id::new(), Timestamp::now());
    let removed = match api.store.write(remove).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Problem::not_found("there is no such device")),
        Err(problem) => Err(problem),
    };
    audit(&caller, "remove a device", &on, &removed);
    removed.map(|()| answer::done())
}
