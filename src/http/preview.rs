//! What a request looks like, without sending it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::{Client, Draft};
use crate::event::Event;
use crate::sink::Outcome;

/// A request as it would be sent, but for what proves it.
#[derive(Debug, Clone)]
pub struct Preview {
    /// The method.
    pub method: Method,
    /// The path, without a query: that may hold secrets.
    pub path: String,
    /// The headers; those with secrets are [sensitive](HeaderValue::is_sensitive).
    pub headers: HeaderMap<HeaderValue>,
    /// The body; compressed, if bodies are.
    pub body: Bytes,
}

impl Client {
    /// Returns what would be sent of an event, without signature and without what is got for each request.
    ///
    /// # Errors
    /// Nothing is made of the event; what comes of it then.
    pub async fn preview(&self, event: &Arc<Event>) -> Result<Preview, Outcome> {
        let now = Instant::now();
        let deadline = now + self.timeout;
        let events = [Arc::clone(event)];
        let content = self.contents.of(&events, deadline).await?;
        let shape = match &self.templates {
            Some(templates) => {
                let shape = templates.shape_of(event, &self.contents, deadline);
                Some(Box::new(shape.await?))
            }
            None => None,
        };
        let id = event.id;
        let request = self.request(Draft { id, content, shape }, now);
        let (parts, body) = request.into_parts();
        let body = body.collect().await;
        Ok(Preview {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            // It is whole, and reading it cannot fail.
            body: body
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default(),
        })
    }
}
