//! Webhooks over HTTP: the only place that names hyper's client.
//!
//! A [`Client`] is the [`Sink`] of one webhook. An attempt is a request over a connection of
//! its [`Pool`], which never has more connections than `pool_size`, and its time
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

mod connect;
mod headers;
mod multiplex;
mod outcome;
pub mod policy;
mod pool;
pub mod proxy;
mod resolver;
mod retry_after;
mod route;
mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};

use crate::envelope;
use crate::event::{Event, Timestamp};
use crate::sink::{Attempt, Class, Failure, Outcome, Sink};
use crate::tls;

use connect::Connector;
use headers::Headers;
use multiplex::Connections;
pub use outcome::is_temporary;
use policy::Policy;
use proxy::Proxy;
pub use target::{Target, TargetError};

/// How to reach one receiver, and with what.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to post to.
    pub url: Target,
    /// Headers of every request, in this order; they replace mqhook's own of the same name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How bodies are made.
    pub body: envelope::Config,
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
            headers: Vec::new(),
            body: envelope::Config::default(),
            pool_size: Self::POOL_SIZE,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            retry_statuses: Vec::new(),
            tls: tls::Config::default(),
            version: Version::default(),
            network: Policy::default(),
            proxy: None,
        }
    }
}

/// The sink of one webhook.
#[derive(Debug)]
pub struct Client {
    body: envelope::Config,
    timeout: Duration,
    retry_statuses: Vec<StatusCode>,
    path: http::Uri,
    headers: Mutex<Headers>,
    pool: Connections,
}

impl Client {
    /// Returns a client that has no connection yet.
    ///
    /// # Errors
    /// A TLS file is missing or does not hold what it should.
    pub fn new(config: Config) -> Result<Self, tls::Error> {
        let headers = Headers::new(&config);
        let connector = Connector::new(&config)?;
        Ok(Self {
            pool: Connections::new(connector, &config),
            path: config.url.path().clone(),
            body: config.body,
            timeout: config.timeout,
            retry_statuses: config.retry_statuses,
            headers: Mutex::new(headers),
        })
    }

    async fn attempt(&self, event: &Arc<Event>) -> Outcome {
        let now = Instant::now();
        let deadline = now + self.timeout;
        let body = match self.body(event, deadline).await {
            Ok(body) => body,
            Err(failure) => return Outcome::Retry(failure),
        };
        let request = self.request(event, body);
        match self.pool.send(request, now, deadline).await {
            Ok(answer) => answer.outcome(&self.retry_statuses),
            Err(failure) => Outcome::Retry(failure),
        }
    }

    /// Makes the body, on another thread if it takes long.
    async fn body(&self, event: &Arc<Event>, deadline: Instant) -> Result<Bytes, Failure> {
        if !self.body.is_slow(event) {
            return Ok(self.body.body(event));
        }
        let (config, event) = (self.body.clone(), Arc::clone(event));
        let making = tokio::task::spawn_blocking(move || config.body(&event));
        match timeout_at(deadline, making).await {
            Ok(made) => made.map_err(|error| Failure::because(Class::Other, &error)),
            Err(_elapsed) => Err(Class::Timeout.into()),
        }
    }

    /// Returns the request, in a box: it is large, and the futures that pass it on shall not be.
    fn request(&self, event: &Event, body: Bytes) -> Box<Request<Full<Bytes>>> {
        let headers = self
            .headers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of_request(event.id, Timestamp::now(), body.len());
        let mut request = Box::new(Request::new(Full::new(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request
    }
}

impl Sink for Client {
    fn deliver<'a>(&'a self, event: &'a Arc<Event>) -> Attempt<'a> {
        Box::pin(self.attempt(event))
    }
}
