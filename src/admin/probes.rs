//! What machines ask: `/live`, `/ready`, `/metrics`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use tracing::error;

use super::{Api, Problem};

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
    match prometheus_client::encoding::text::encode(&mut text, &api.registry) {
        Ok(()) => Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response()),
        Err(error) => {
            error!(%error, "cannot write the metrics");
            Err(Problem::internal())
        }
    }
}
