//! The one list of all routes: what each needs, and who answers.
//!
//! To add one, add a line here, its handler to the file of its resource, and its part to `docs/openapi`; the tests
//! of the API walk this list. A handler takes `State<Arc<Api>>`, [`Caller`](super::Caller), [`Query`](super::Query) or
//! [`Body`](super::Body), and returns `Result<Response, Problem>`.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::access::{Limited, Needs};
use super::auth::{Guard, guard};
use super::changes::Changes;
use super::{
    Api, Problem, clients, dead_letters, deliveries, devices, events, groups, openapi, page,
    probes, reload, replay, status, switch, tokens, webhooks,
};
use crate::spool::store::Role;

use Limited::{Confined, Refused};

const OPEN: Needs = Needs::Nothing;
const VIEWER: Needs = Needs::Role(Role::Viewer);
const OPERATOR: Needs = Needs::Role(Role::Operator);
const ADMIN: Needs = Needs::Role(Role::Admin);
const PUBLISHER: Needs = Needs::Role(Role::Publisher);

/// A route, as the tests and the documentation see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The method.
    pub method: Method,
    /// The path, with names in braces for what varies.
    pub path: &'static str,
    /// What it asks of who uses it.
    pub needs: Needs,
    /// What a token may do that is limited.
    pub limited: Limited,
}

struct Route {
    entry: Entry,
    handler: MethodRouter<Arc<Api>>,
}

/// All routes.
fn list() -> Vec<Route> {
    vec![
        get("/", OPEN, Confined, page::index),
        get("/ui/{file}", OPEN, Confined, page::file),
        get("/live", OPEN, Confined, probes::live),
        get("/ready", OPEN, Confined, probes::ready),
        get("/metrics", VIEWER, Refused, probes::metrics),
        get("/openapi.json", OPEN, Confined, openapi::document),
        get("/status", VIEWER, Confined, status::show),
        get("/whoami", Needs::Token, Confined, tokens::whoami),
        get("/tokens", ADMIN, Refused, tokens::list),
        post("/tokens", ADMIN, Refused, tokens::create),
        delete("/tokens/{id}", ADMIN, Refused, tokens::remove),
        post("/webhooks/{id}/enable", OPERATOR, Confined, switch::enable),
        post(
            "/webhooks/{id}/disable",
            OPERATOR,
            Confined,
            switch::disable,
        ),
        get("/metrics/summary", VIEWER, Confined, deliveries::summary),
        get("/deliveries", VIEWER, Confined, deliveries::list),
        get("/deliveries/stream", VIEWER, Confined, deliveries::stream),
        get("/events/stream", VIEWER, Confined, events::stream),
        get("/events/{id}", VIEWER, Confined, events::show),
        post("/replay", OPERATOR, Confined, replay::replay),
        get("/devices", VIEWER, Refused, devices::list),
        get("/devices/{client_id}", VIEWER, Refused, devices::show),
        delete("/devices/{client_id}", OPERATOR, Refused, devices::remove),
        get("/webhooks", VIEWER, Confined, webhooks::list),
        post("/webhooks", ADMIN, Confined, webhooks::create),
        get("/webhooks/{id}", VIEWER, Confined, webhooks::one),
        put("/webhooks/{id}", ADMIN, Confined, webhooks::replace),
        delete("/webhooks/{id}", ADMIN, Confined, webhooks::remove),
        post("/webhooks/{id}/test", OPERATOR, Confined, webhooks::trial),
        post(
            "/webhooks/{id}/rotate-secret",
            ADMIN,
            Confined,
            webhooks::rotate,
        ),
        get("/groups", VIEWER, Confined, groups::list),
        post("/groups", ADMIN, Refused, groups::create),
        get("/groups/{id}", VIEWER, Confined, groups::one),
        put("/groups/{id}", ADMIN, Refused, groups::replace),
        delete("/groups/{id}", ADMIN, Refused, groups::remove),
        post("/groups/{id}/events", PUBLISHER, Confined, groups::publish),
        get(
            "/clients/{client_id}/webhooks",
            VIEWER,
            Confined,
            clients::webhooks,
        ),
        get("/dead-letters", VIEWER, Confined, dead_letters::list),
        get("/dead-letters/{id}", VIEWER, Confined, dead_letters::show),
        post(
            "/dead-letters/replay",
            OPERATOR,
            Confined,
            dead_letters::replay,
        ),
        post(
            "/dead-letters/drop",
            OPERATOR,
            Confined,
            dead_letters::discard,
        ),
        post("/reload", ADMIN, Refused, reload::reload),
    ]
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {$(
        fn $name<H, T>(path: &'static str, needs: Needs, limited: Limited, handler: H) -> Route
        where
            H: Handler<T, Arc<Api>>,
            T: 'static,
        {
            Route {
                entry: Entry { method: Method::$method, path, needs, limited },
                handler: on(MethodFilter::$method, handler),
            }
        }
    )*};
}

methods! {
    get GET;
    post POST;
    put PUT;
    delete DELETE;
}

/// Returns what is known of every route.
#[must_use]
pub fn routes() -> Vec<Entry> {
    list().into_iter().map(|route| route.entry).collect()
}

/// Returns what serves machines without asking who they are, on a listener of its own.
pub(super) fn metrics_router(api: &Arc<Api>) -> Router {
    Router::new()
        .route("/live", on(MethodFilter::GET, probes::live))
        .route("/ready", on(MethodFilter::GET, probes::ready))
        .route("/metrics", on(MethodFilter::GET, probes::metrics))
        .fallback(nothing)
        .method_not_allowed_fallback(not_allowed)
        .with_state(Arc::clone(api))
}

/// Returns what serves all routes.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let mut router = Router::new();
    let changes = Changes::default();
    for route in list() {
        let guarded = Guard {
            api: Arc::clone(api),
            needs: route.entry.needs,
            limited: route.entry.limited,
            changes: changes.clone(),
        };
        let handler = route
            .handler
            .route_layer(from_fn_with_state(guarded, guard));
        router = router.route(route.entry.path, handler);
    }
    router
        .fallback(nothing)
        .method_not_allowed_fallback(not_allowed)
        .with_state(Arc::clone(api))
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing under this path")
}

async fn not_allowed() -> Problem {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    Problem::of_status(
        status,
        "this path does not take the method; Allow says which it takes",
    )
}
