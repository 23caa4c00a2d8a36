//! Answers: JSON, lists in pages, and conditional requests (RFC 9110, section 13).

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use tracing::error;

use super::{Fields, Problem};
use crate::event::Timestamp;

/// How many elements a page has if nobody says otherwise, and at most.
const PAGE: (u64, u64) = (50, 500);

/// The longest cursor, in characters.
const LONGEST_CURSOR: usize = 256;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<T> {
    /// At most so many elements.
    pub limit: usize,
    /// Those behind this one; `None`: from the first.
    pub after: Option<T>,
}

impl<T: FromStr> Window<T> {
    /// Takes `limit` and `cursor` out of a query.
    pub fn read(query: &mut Fields) -> Self {
        let limit = query.integer("limit", 1, PAGE.1).unwrap_or(PAGE.0);
        let after = query.parse("cursor", |text| {
            let decoded = (text.len() <= LONGEST_CURSOR).then(|| URL_SAFE_NO_PAD.decode(text).ok());
            let text = decoded
                .flatten()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let after = text.and_then(|text| text.parse().ok());
            after.ok_or("it is no cursor that mqhook has given")
        });
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            after,
        }
    }
}

impl Window<String> {
    /// Leaves of a list that is in the order of names what is asked for; returns the name that the next page begins behind, if
    /// there is one.
    pub fn cut<T>(&self, found: &mut Vec<T>, name: impl Fn(&T) -> &str) -> Option<String> {
        let is_behind = |it: &T| self.after.as_deref().is_none_or(|after| name(it) > after);
        found.retain(is_behind);
        let next = (found.len() > self.limit).then(|| name(&found[self.limit - 1]).to_owned());
        found.truncate(self.limit);
        next
    }
}

#[derive(Serialize)]
struct Page<I> {
    items: Vec<I>,
    next: Option<String>,
}

/// Answers a page of a list; `next` is the last element that was looked at, `None` if there are no more.
pub fn page(items: Vec<impl Serialize>, next: Option<impl Display>) -> Response<Body> {
    let next = next.map(|next| URL_SAFE_NO_PAD.encode(next.to_string()));
    json(StatusCode::OK, &Page { items, next })
}

/// Answers JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    of_bytes(status, encode(value))
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|error| {
        error!(%error, "cannot write an answer of the API");
        b"null".to_vec()
    })
}

fn of_bytes(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// Answers that it was done, and that there is no more to say.
#[must_use]
pub fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The strong entity tag of a resource as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(HeaderValue);

impl Tag {
    /// Returns the tag of whatever makes a resource what it is: no two states have the same.
    ///
    /// What changes by itself, such as counts, does not belong there: a change that is based on the
    /// same definition must not be refused because of it.
    pub fn of(value: &impl Serialize) -> Self {
        let digest = digest(&SHA256, &encode(value));
        let text = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..12]));
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\"")))
    }

    /// Adds the tag to an answer.
    #[must_use]
    pub fn on(&self, mut response: Response<Body>) -> Response<Body> {
        response.headers_mut().insert(ETAG, self.0.clone());
        response
    }

    /// Answers a resource to a GET: with 304 and nothing if the client has it.
    pub fn answer(&self, headers: &HeaderMap, value: &impl Serialize) -> Response<Body> {
        if self.is_known(headers) {
            return self.not_modified();
        }
        self.on(json(StatusCode::OK, value))
    }

    /// Returns whether the client has the resource as it is.
    #[must_use]
    pub fn is_known(&self, headers: &HeaderMap) -> bool {
        self.is_in(headers, IF_NONE_MATCH.as_str()).unwrap_or(false)
    }

    /// Answers that the client has it.
    #[must_use]
    pub fn not_modified(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        self.on(response)
    }

    /// Refuses a change that is based on another state, or does not say on which.
    ///
    /// # Errors
    /// `If-Match` is missing, or does not have this tag.
    pub fn require(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match self.is_in(headers, IF_MATCH.as_str()) {
            None => Err(Problem::if_match()),
            Some(true) => Ok(()),
            Some(false) => Err(Problem::changed()),
        }
    }

    /// Returns whether a list of tags has this one; `None` if there is no such list.
    fn is_in(&self, headers: &HeaderMap, name: &str) -> Option<bool> {
        let mut lists = headers.get_all(name).iter().peekable();
        lists.peek()?;
        let own = self.0.as_bytes();
        // Caches on the way may weaken a tag; that is good enough for a read, and not for a change.
        let weak: &[u8] = if name == IF_NONE_MATCH.as_str() {
            b"W/"
        } else {
            b""
        };
        let has = |list: &HeaderValue| {
            let mut tags = list
                .as_bytes()
                .split(|byte| *byte == b',')
                .map(<[u8]>::trim_ascii);
            tags.any(|tag| tag == b"*" || tag.strip_prefix(weak).unwrap_or(tag) == own)
        };
        Some(lists.any(has))
    }
}

/// Reads a point in time as RFC 3339 has it.
///
/// # Errors
/// It is none since 1970.
pub fn time(text: &str) -> Result<Timestamp, &'static str> {
    Timestamp::from_rfc3339(text).ok_or("it must be a time such as 2026-11-21T09:30:00Z")
}
