//! Webhooks over HTTP: the only place that names hyper's client.
//!
//! A [`Client`] is the [`Sink`] of one webhook. An attempt is a request over a connection of
//! its [pool](pool::Pool), which never has more connections than `pool_size`, and its time
//! is bounded from the look-up of the receiver's name to the last byte of its answer.
//! Success is a status of 2xx and nothing else; redirects are not followed (RFC 9110, 15.4).
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx | delivered |
//! | 408, 425, 429, 5xx, one of `retry_statuses`, no answer | retry |
//! | anything else | rejected |
//!
//! A request that was sent and not answered is made again: whether the receiver has the event is
//! not known, and it tells a second one by its `webhook-id`.

pub mod auth;
mod batch;
mod compression;
mod connect;
mod content;
mod error;
mod exchange;
mod gather;
mod headers;
mod multiplex;
mod outcome;
pub mod policy;
mod pool;
mod preview;
mod proof;
pub mod proxy;
mod resolver;
mod retry_after;
mod route;
mod shape;
mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use crate::event::{Id, Timestamp};
use crate::sink::{Attempt, Events, Outcome, Report, Sink};
use crate::{envelope, sign, tls};

pub use batch::BatchFormat;
pub use compression::Compression;
use connect::Connector;
use content::{Content, Contents};
pub use error::Error;
pub use exchange::{Answer, ExchangeError, Peer, query};
use headers::Headers;
use multiplex::Connections;
pub use outcome::is_temporary;
use policy::Policy;
pub use preview::Preview;
use proof::Proofs;
use proxy::Proxy;
use shape::{Shape, add_body_headers};
pub use shape::{Templates, is_sent};
pub use target::{Target, TargetError};

/// How to reach one receiver, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to post to.
    pub url: Target,
    /// The method of requests; default POST.
    pub method: Method,
    /// What of the request is made of each event; default nothing.
    pub templates: Templates,
    /// Headers of every request, in this order; they replace mqhook's own of the same name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How bodies are made.
    pub body: envelope::Config,
    /// How bodies of several events are put together; `None`: a request has the body of one event.
    pub batch: Option<BatchFormat>,
    /// How bodies are compressed; default not at all.
    pub compression: Compression,
    /// The most connections, and the most requests in flight; at least 1, default 32.
    pub pool_size: usize,
    /// Longest time one attempt may take, from connect to the last byte of the answer; default 15 s.
    pub timeout: Duration,
    /// Longest time to get a connection; default 5 s.
    pub connect_timeout: Duration,
    /// For how long a connection may idle before it is closed rather than used again; default 30 s.
    pub idle_timeout: Duration,
    /// Further answers that are no rejection, but to be followed by another attempt; default none.
    pub retry_statuses: Vec<StatusCode>,
    /// Whom to trust behind `https`.
    pub tls: tls::Config,
    /// How requests are signed; `None`: they are not.
    pub sign: Option<sign::Config>,
    /// Who requests are from.
    pub auth: auth::Config,
    /// Which HTTP is spoken; default HTTP/1.1.
    pub version: Version,
    /// Which addresses may be connected to, the proxy's included.
    pub network: Policy,
    /// What connects to the receiver; `None`, the default: mqhook itself.
    pub proxy: Option<Proxy>,
}

/// Versions of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1, and nothing else is offered.
    #[default]
    Http11,
    /// HTTP/2: negotiated with `https`, and taken for granted with `http` (RFC 9113, 3.3).
    Http2,
    /// HTTP/2 if an `https` receiver wants it, otherwise HTTP/1.1.
    Auto,
}

impl Config {
    /// The default of [`pool_size`](Self::pool_size): `NanoMQ`'s.
    pub const POOL_SIZE: usize = 32;

    /// Returns the defaults for a receiver.
    #[must_use]
    pub fn new(url: Target) -> Self {
        Self {
            url,
            method: Method::POST,
            templates: Templates::default(),
            headers: Vec::new(),
            body: envelope::Config::default(),
            batch: None,
            compression: Compression::None,
            pool_size: Self::POOL_SIZE,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            retry_statuses: Vec::new(),
            tls: tls::Config::default(),
            sign: None,
            auth: auth::Config::default(),
            version: Version::default(),
            network: Policy::default(),
            proxy: None,
        }
    }
}

/// The sink of one webhook.
#[derive(Debug)]
pub struct Client {
    contents: Contents,
    timeout: Duration,
    retry_statuses: Vec<StatusCode>,
    method: Method,
    path: http::Uri,
    /// `None` if all requests are alike but for their bodies.
    templates: Option<Templates>,
    /// The headers that the user has set, which a body does not replace.
    configured: Vec<HeaderName>,
    headers: Mutex<Headers>,
    pool: Connections,
    /// `None` if no request needs any.
    proofs: Option<Box<Proofs>>,
}

impl Client {
    /// Returns a client that has no connection yet.
    ///
    /// # Errors
    /// A TLS file is missing or does not hold what it should, or a secret is none.
    pub fn new(config: Config) -> Result<Self, Error> {
        let headers = Headers::new(&config);
        let connector = Connector::new(&config)?;
        Ok(Self {
            proofs: Proofs::new(&config)?.map(Box::new),
            contents: Contents::new(&config),
            pool: Connections::new(connector, &config),
            configured: configured(&config),
            method: config.method,
            templates: Some(config.templates).filter(|templates| !templates.is_empty()),
            path: config.url.path().clone(),
            timeout: config.timeout,
            retry_statuses: config.retry_statuses,
            headers: Mutex::new(headers),
        })
    }

    async fn attempt(self: Arc<Self>, events: Events) -> Report {
        let now = Instant::now();
        let deadline = now + self.timeout;
        let content = match self.contents.of(&events, deadline).await {
            Ok(content) => content,
            Err(outcome) => return outcome.into(),
        };
        let shape = match (&self.templates, events.as_slice()) {
            (Some(templates), [event, ..]) => {
                // Large, and its future shall not make every attempt's large.
                match Box::pin(templates.shape_of(event, &self.contents, deadline)).await {
                    Ok(shape) => Some(Box::new(shape)),
                    Err(outcome) => return outcome.into(),
                }
            }
            _ => None,
        };
        let draft = Draft {
            id: Id::of_all(events.iter().map(|event| event.id)),
            content,
            shape,
        };
        let sent = match &self.proofs {
            None => {
                let request = self.request(draft, now);
                self.pool.send(request, now, deadline).await
            }
            // Large, and its future shall not make every attempt's large.
            Some(proofs) => Box::pin(self.send_proved(proofs, draft, deadline)).await,
        };
        match sent {
            Ok(answer) => answer.report(&self.retry_statuses),
            Err(failure) => Outcome::Retry(failure).into(),
        }
    }

    /// Returns a request that is made at `now`, in a box: it is large, and the futures that pass it on shall not be.
    fn request(&self, draft: Draft, now: Instant) -> Box<Request<Full<Bytes>>> {
        let Draft { id, content, shape } = draft;
        let mut body = content.body;
        let mut headers = self
            .headers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of_request(id, now, Timestamp::now, body.bytes.len());
        add_body_headers(&mut headers, &mut body, &self.configured);
        if let Some(encoding) = content.encoding {
            headers.insert(CONTENT_ENCODING, encoding);
        }
        let mut request = Box::new(Request::new(Full::new(body.bytes)));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        if let Some(shape) = shape {
            shape.put_into(&mut request);
        }
        request
    }
}

/// What requests of one attempt are made of.
#[derive(Debug, Clone)]
struct Draft {
    id: Id,
    content: Content,
    shape: Option<Box<Shape>>,
}

/// Returns the names of the headers that the user has set.
fn configured(config: &Config) -> Vec<HeaderName> {
    let fixed = config.headers.iter().map(|(name, _)| name);
    let made = config.templates.headers.iter().map(|(name, _)| name);
    fixed.chain(made).cloned().collect()
}

impl Sink for Client {
    fn deliver(self: Arc<Self>, events: Events) -> Attempt {
        Box::pin(self.attempt(events))
    }

    fn connections(&self) -> Option<crate::sink::Connections> {
        Some(self.pool.count())
    }

    fn retire(&self) {
        self.pool.retire();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// glibc's malloc has blocks of up to 1,032 bytes at hand; larger ones cost some hundred instructions.
    #[tokio::test]
    async fn an_attempt_is_small_enough_to_be_allocated_quickly() {
        let url = "http://127.0.0.1:1/".parse().expect("a URL");
        let client = Client::new(Config::new(url)).expect("there is no TLS");
        let attempt = Arc::new(client).attempt(Events::new());
        assert!(size_of_val(&attempt) <= 1_024);
    }
}
