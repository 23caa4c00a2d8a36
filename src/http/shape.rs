//! What of a request is made of its event: method, path and headers, where they are templates.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

use tokio::time::{Instant, timeout_at};

use super::content::Contents;
use crate::envelope::Body;
use crate::event::Event;
use crate::sink::{Class, Failure, Outcome};
use crate::template::{Error, Scope, Template, url::PathTemplate};

/// Of events with so many bytes, shapes are made on another thread: filters may look at all of them.
const QUICK_BYTES: usize = 16 * 1024;

/// The templates of one webhook; where one is missing, that part is the same for all events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates {
    /// Of the method.
    pub method: Option<Template>,
    /// Of path and query.
    pub path: Option<PathTemplate>,
    /// Of values of headers.
    pub headers: Vec<(HeaderName, Template)>,
}

impl Templates {
    /// Returns whether everything is the same for all events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.method.is_none() && self.path.is_none() && self.headers.is_empty()
    }

    /// Returns what differs from event to event, made on another thread if that may take long.
    pub(super) async fn shape_of(
        &self,
        event: &Arc<Event>,
        contents: &Contents,
        deadline: Instant,
    ) -> Result<Shape, Outcome> {
        let scope = contents.scope(event);
        if event.size() <= QUICK_BYTES {
            return self.shape(&scope).map_err(Outcome::Rejected);
        }
        let templates = self.clone();
        let making = tokio::task::spawn_blocking(move || templates.shape(&scope));
        match timeout_at(deadline, making).await {
            Ok(Ok(made)) => made.map_err(Outcome::Rejected),
            Ok(Err(error)) => Err(Outcome::Retry(Failure::because(Class::Other, &error))),
            Err(_elapsed) => Err(Outcome::Retry(Class::Timeout.into())),
        }
    }

    /// Returns what differs from event to event.
    fn shape(&self, scope: &Scope) -> Result<Shape, Failure> {
        let method = self.method.as_ref().map(|template| method(template, scope));
        let path = self.path.as_ref().map(|template| path(template, scope));
        let headers = self.headers.iter().map(|(name, template)| {
            let value = value(template, scope).map_err(|error| of(name.as_str(), &error))?;
            Ok((name.clone(), value))
        });
        Ok(Shape {
            method: method.transpose().map_err(|error| of("method", &error))?,
            path: path.transpose().map_err(|error| of("url", &error))?,
            headers: headers.collect::<Result<_, Failure>>()?,
        })
    }
}

/// What of one request is not the same for all events.
#[derive(Debug, Clone, Default)]
pub(super) struct Shape {
    pub(super) method: Option<Method>,
    pub(super) path: Option<Uri>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Shape {
    pub(super) fn put_into<T>(self, request: &mut Request<T>) {
        if let Some(method) = self.method {
            *request.method_mut() = method;
        }
        if let Some(path) = self.path {
            *request.uri_mut() = path;
        }
        for (name, value) in self.headers {
            request.headers_mut().insert(name, value);
        }
    }
}

/// Adds the headers of the body, but those that the user has set.
pub(super) fn add_body_headers(
    headers: &mut HeaderMap,
    body: &mut Body,
    configured: &[HeaderName],
) {
    let content_type = body.content_type.take().map(|value| (CONTENT_TYPE, value));
    if let Some((name, value)) = content_type.filter(|(name, _)| !configured.contains(name)) {
        headers.insert(name, value);
    }
    for (name, value) in body.headers.drain(..) {
        if !configured.contains(&name) {
            headers.append(name, value);
        }
    }
}

fn method(template: &Template, scope: &Scope) -> Result<Method, Error> {
    let text = template.render_text(scope)?;
    let method = Method::from_bytes(text.trim().as_bytes());
    let method = method.map_err(|_| Error::Unfit("the method would be no word"))?;
    if is_sent(&method) {
        Ok(method)
    } else {
        Err(Error::Unfit("the method would be CONNECT"))
    }
}

/// Returns whether a method asks for something at a path; CONNECT asks for a tunnel.
#[must_use]
pub fn is_sent(method: &Method) -> bool {
    *method != Method::CONNECT
}

fn path(template: &PathTemplate, scope: &Scope) -> Result<Uri, Error> {
    let text = template.render(scope)?;
    let path = http::uri::PathAndQuery::try_from(text);
    path.map(Uri::from)
        .map_err(|_| Error::Unfit("the path would hold what no URL does"))
}

fn value(template: &Template, scope: &Scope) -> Result<HeaderValue, Error> {
    let text = template.render_text(scope)?;
    // The text of the template itself may hold more than the values in it.
    let mut value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| Error::Unfit("the value would have a line break"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn of(place: &str, error: &Error) -> Failure {
    Failure {
        detail: format!("{place}: {error}"),
        ..Class::Request.into()
    }
}
