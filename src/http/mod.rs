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
//! | 408, 425, 429, 5xx, no answer | retry |
//! | anything else | rejected |

mod connect;
mod outcome;
mod pool;
mod target;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;

use crate::envelope;
use crate::event::{Event, Timestamp};
use crate::sink::{Attempt, Class, Outcome, Sink};
use crate::tls;

use connect::Connector;
use pool::Pool;
pub use target::{Target, TargetError};

/// Names the event, the same on every attempt (Standard Webhooks).
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// When the attempt was made, in seconds since the Unix epoch (Standard Webhooks).
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// What a request says of its sender unless a header is configured.
const AGENT: &str = concat!("mqhook/", env!("CARGO_PKG_VERSION"));

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
    /// Whom to trust behind `https`.
    pub tls: tls::Config,
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
            tls: tls::Config::default(),
        }
    }
}

/// The sink of one webhook.
#[derive(Debug)]
pub struct Client {
    body: envelope::Config,
    timeout: Duration,
    path: http::Uri,
    /// The headers that do not change from request to request.
    headers: HeaderMap,
    pool: Pool,
}

impl Client {
    /// Returns a client that has no connection yet.
    ///
    /// # Errors
    /// A TLS file is missing or does not hold what it should.
    pub fn new(config: Config) -> Result<Self, tls::Error> {
        let headers = fixed_headers(&config);
        let connector = Connector::new(&config)?;
        Ok(Self {
            pool: Pool::new(connector, config.pool_size, config.idle_timeout),
            path: config.url.path().clone(),
            body: config.body,
            timeout: config.timeout,
            headers,
        })
    }

    async fn attempt(&self, event: &Arc<Event>) -> Outcome {
        let body = self.body(event).await;
        let request = self.request(event, body, Timestamp::now());
        match tokio::time::timeout(self.timeout, self.pool.send(request)).await {
            Ok(Ok(status)) => outcome::of_status(status),
            Ok(Err(failure)) => Outcome::Retry(failure),
            Err(_elapsed) => Outcome::Retry(Class::Timeout.into()),
        }
    }

    /// Makes the body, on another thread if it takes long.
    async fn body(&self, event: &Arc<Event>) -> Bytes {
        if !self.body.is_slow(event) {
            return self.body.body(event);
        }
        let (config, event) = (self.body.clone(), Arc::clone(event));
        tokio::task::spawn_blocking(move || config.body(&event))
            .await
            .expect("making a body does not panic, and the runtime outlives its tasks")
    }

    fn request(&self, event: &Event, body: Bytes, now: Timestamp) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        let id = HeaderValue::from_bytes(&event.id.digits()).expect("base62 digits are ASCII");
        headers.insert(WEBHOOK_ID, id);
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(now.as_secs()));
        request
    }
}

impl Sink for Client {
    fn deliver<'a>(&'a self, event: &'a Arc<Event>) -> Attempt<'a> {
        Box::pin(self.attempt(event))
    }
}

fn fixed_headers(config: &Config) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, config.url.host_header());
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    let content_type = envelope::Config::CONTENT_TYPE;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut configured = HeaderMap::new();
    for (name, value) in &config.headers {
        configured.append(name, value.clone());
    }
    // Extending replaces what has the same name.
    headers.extend(configured);
    // Placeholders: a request then replaces values, and its map need not grow.
    headers.insert(WEBHOOK_ID, HeaderValue::from_static(""));
    headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from_static(""));
    headers
}
