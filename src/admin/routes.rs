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
use super::{Api, Problem, devices, probes};
use crate::spool::store::Role;

use Limited::{Confined, Refused};

const OPEN: Needs = Needs::Nothing;
const VIEWER: Needs = Needs::Role(Role::Viewer);
const OPERATOR: Needs = Needs::Role(Role::Operator);

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
        get("/live", OPEN, Confined, probes::live),
        get("/ready", OPEN, Confined, probes::ready),
        get("/metrics", VIEWER, Refused, probes::metrics),
        get("/devices", VIEWER, Refused, devices::list),
        get("/devices/{client_id}", VIEWER, Refused, devices::show),
        delete("/devices/{client_id}", OPERATOR, Refused, devices::remove),
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
    delete DELETE;
}

/// Returns what is known of every route.
#[must_use]
pub fn routes() -> Vec<Entry> {
    list().into_iter().map(|route| route.entry).collect()
}

/// Returns what serves all routes.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let mut router = Router::new();
    for route in list() {
        let guarded = Guard {
            api: Arc::clone(api),
            needs: route.entry.needs,
            limited: route.entry.limited,
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
    Problem::not_found("there is nothing under this path; see /openapi.json")
}

async fn not_allowed() -> Problem {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    Problem::of_status(
        status,
        "this path does not take the method; Allow says which it takes",
    )
}
