//! `/openapi.json`: what the routes take and answer, as `OpenAPI` 3.1.
//!
//! `docs/openapi.json` is put together out of `docs/openapi/`, a file per resource; a test of the API does that, and compares
//! it with the list of routes.

use axum::body::Body as AnswerBody;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;

use super::Tag;

/// The document.
const DOCUMENT: &str = include_str!("../../docs/openapi.json");

pub(super) async fn document(headers: HeaderMap) -> Response<AnswerBody> {
    let tag = Tag::of(&DOCUMENT);
    if tag.is_known(&headers) {
        return tag.not_modified();
    }
    let types = [
        (CONTENT_TYPE, "application/openapi+json;version=3.1"),
        (CACHE_CONTROL, "no-cache"),
    ];
    tag.on((types, DOCUMENT).into_response())
}
