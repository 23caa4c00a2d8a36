//! What is answered when a request cannot be done: problem details (RFC 9457).
//!
//! | `type` | status | when |
//! |---|---|---|
//! | `about:blank` | any | there is no more to say than the status does |
//! | `/problems/invalid-request` | 400 | the query or the body is not what the route takes; `errors` has all that is wrong |
//! | `/problems/unauthorized` | 401 | there is no token, or it is not valid |
//! | `/problems/forbidden` | 403 | the token's role or limit does not allow it |
//! | `/problems/not-local` | 403 | without any token, only programs on this host may ask |
//! | `/problems/foreign-origin` | 403 | the page of another site asks |
//! | `/problems/not-on-disk` | 409 | it needs a spool on disk, and the backend is `memory` |
//! | `/problems/conflict` | 409 | it does not fit what there is |
//! | `/problems/changed` | 412 | what is to be changed is no more what it was |
//! | `/problems/configuration` | 422 | the configuration is wrong; `errors` has all that is |
//! | `/problems/if-match` | 428 | a change must say what it is based on |
//! | `/problems/too-many-failures` | 429 | too many wrong tokens came from this address |
//! | `/problems/busy` | 503 | the database or the data path does not answer in time |

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use tracing::error;

use crate::causes::describe;
use crate::spool::store;

/// The media type of problem details.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    /// The end of `type`; `None` where the status says all.
    slug: Option<&'static str>,
    title: &'static str,
    detail: String,
    flaws: Vec<Flaw>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// Which key of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is wrong.
    pub detail: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

#[derive(Serialize)]
struct Details<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Flaw],
}

impl Problem {
    fn new(
        status: StatusCode,
        slug: Option<&'static str>,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            flaws: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Returns the problem of a status that says all but the details.
    pub fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(
            status,
            None,
            status.canonical_reason().unwrap_or("Error"),
            detail,
        )
    }

    /// The body or the query is not what the route takes.
    pub fn invalid(detail: impl Into<String>) -> Self {
        let slug = Some("invalid-request");
        Self::new(StatusCode::BAD_REQUEST, slug, "Invalid request", detail)
    }

    /// Nobody knows who asks.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let problem = Self::new(
            StatusCode::UNAUTHORIZED,
            Some("unauthorized"),
            "Unauthorized",
            detail,
        );
        // Basic is not offered: a browser would remember it, and send it when another site's page asks.
        problem.header("www-authenticate", "Bearer realm=\"mqhook\"")
    }

    /// Who asks may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            Some("forbidden"),
            "Forbidden",
            detail,
        )
    }

    pub(super) fn not_local(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            Some("not-local"),
            "Not local",
            detail,
        )
    }

    pub(super) fn foreign_origin() -> Self {
        let detail = "the request comes from the page of another site";
        Self::new(
            StatusCode::FORBIDDEN,
            Some("foreign-origin"),
            "Foreign origin",
            detail,
        )
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::of_status(StatusCode::NOT_FOUND, detail)
    }

    /// It needs the spool's database, and there is none.
    #[must_use]
    pub fn not_on_disk() -> Self {
        let detail = "this needs a spool on disk, and `spool.backend` is \"memory\"";
        Self::new(
            StatusCode::CONFLICT,
            Some("not-on-disk"),
            "Not on disk",
            detail,
        )
    }

    /// It does not fit what there is.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, Some("conflict"), "Conflict", detail)
    }

    /// What is to be changed is no more what it was when the client saw it.
    #[must_use]
    pub fn changed() -> Self {
        let detail = "it has changed since; get it again, and its new ETag";
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            Some("changed"),
            "Changed",
            detail,
        )
    }

    /// A change must say what it is based on.
    #[must_use]
    pub fn if_match() -> Self {
        let detail = "send If-Match with the ETag of what is to be changed, or `*`";
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            Some("if-match"),
            "If-Match is missing",
            detail,
        )
    }

    /// The configuration is wrong.
    pub fn configuration(detail: impl Into<String>) -> Self {
        let slug = Some("configuration");
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            slug,
            "Wrong configuration",
            detail,
        )
    }

    pub(super) fn too_many_failures(wait_s: u64) -> Self {
        let detail = "too many wrong tokens came from this address";
        let slug = Some("too-many-failures");
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            slug,
            "Too many failures",
            detail,
        );
        problem.header("retry-after", &wait_s.to_string())
    }

    /// What is asked does not answer in time.
    pub fn busy(detail: impl Into<String>) -> Self {
        let slug = Some("busy");
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, slug, "Busy", detail);
        problem.header("retry-after", "5")
    }

    /// A bug, or a database that somebody else has written to; the log says more.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "mqhook's log says more";
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// Adds what is wrong in particular.
    #[must_use]
    pub fn flaws(mut self, flaws: Vec<Flaw>) -> Self {
        self.flaws.extend(flaws);
        self
    }

    /// Adds a header; one that no header may hold is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns what is wrong in particular.
    #[must_use]
    pub fn errors(&self) -> &[Flaw] {
        &self.flaws
    }

    /// Returns what is wrong, for a person.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match &error {
            store::Error::Row { .. }
            | store::Error::Delivery { .. }
            | store::Error::Other { .. } => {
                error!(error = describe(&error), "the API cannot use the spool");
                Self::internal()
            }
            // Only what failed is told: the chain may hold paths of this host.
            error => Self::busy(format!("cannot {error}")),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let details = Details {
            r#type: match self.slug {
                Some(slug) => format!("/problems/{slug}"),
                None => "about:blank".to_owned(),
            },
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.flaws,
        };
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.extend(self.headers);
        response
    }
}
