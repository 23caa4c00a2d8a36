//! `/openapi.json`: what the routes take and answer, as `OpenAPI` 3.1.
//!
//! `docs/openapi.json` is put together out of `docs/openapi/`, a file per resource; a test of the API does that, and compares
//! it with the list of routes.

use std::sync::LazyLock;

use axum::body::Body as AnswerBody;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;

use super::Tag;

/// The document.
const DOCUMENT: &str = include_str!("../../docs/openapi.json");

static TAG: LazyLock<Tag> = LazyLock::new(|| Tag::of(&DOCUMENT));

pub(super) async fn document(headers: HeaderMap) -> Response<AnswerBody> {
    if TAG.is_known(&headers) {
        return TAG.not_modified();
    }
    let types = [
        (CONTENT_TYPE, "application/openapi+json;version=3.1"),
        (CACHE_CONTROL, "no-cache"),
    ];
    TAG.on((types, DOCUMENT).into_response())
}
