//! What machines ask: `/live`, `/ready`, `/metrics`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use tracing::error;

use super::{Api, Problem, gauges};

/// The prefix of every metric but those of the process.
const METRICS_PREFIX: &str = "mqhook";

/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn live() -> &'static str {
    "live\n"
}

pub(super) async fn ready(State(api): State<Arc<Api>>) -> (StatusCode, String) {
    let status = if api.health.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, api.health.to_string())
}

pub(super) async fn metrics(State(api): State<Arc<Api>>) -> Result<Response<Body>, Problem> {
    let mut text = String::new();
    let now = gauges::now(&api, METRICS_PREFIX).await;
    let mut registries = std::iter::once(&api.registry).chain(&now);
    let written = registries.try_for_each(|registry| encode_registry(&mut text, registry));
    match written.and_then(|()| encode_eof(&mut text)) {
        Ok(()) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()),
        Err(error) => {
            error!(%error, "cannot write the metrics");
            Err(Problem::internal())
        }
    }
}
