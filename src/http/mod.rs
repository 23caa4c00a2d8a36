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

mod batch;
mod compression;
mod connect;
mod content;
mod headers;
mod outcome;
mod pool;
mod retry_after;
mod target;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;

use crate::envelope;
use crate::event::{Event, Id, Timestamp};
use crate::sink::{Attempt, Outcome, Sink};
use crate::tls;

pub use batch::BatchFormat;
pub use compression::Compression;
use connect::Connector;
use content::{Content, Contents};
use headers::Headers;
pub use outcome::is_temporary;
use pool::Pool;
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
            batch: None,
            compression: Compression::None,
            pool_size: Self::POOL_SIZE,
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            retry_statuses: Vec::new(),
            tls: tls::Config::default(),
        }
    }
}

/// The sink of one webhook.
#[derive(Debug)]
pub struct Client {
    contents: Contents,
    timeout: Duration,
    retry_statuses: Vec<StatusCode>,
    path: http::Uri,
    headers: Mutex<Headers>,
    pool: Pool,
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
            pool: Pool::new(connector, config.pool_size, config.idle_timeout),
            path: config.url.path().clone(),
            contents: Contents::new(&config),
            timeout: config.timeout,
            retry_statuses: config.retry_statuses,
            headers: Mutex::new(headers),
        })
    }

    async fn attempt(&self, events: &[Arc<Event>]) -> Outcome {
        let now = Instant::now();
        let deadline = now + self.timeout;
        let content = match self.contents.of(events, deadline).await {
            Ok(content) => content,
            Err(failure) => return Outcome::Retry(failure),
        };
        let request = self.request(Id::of_all(events.iter().map(|event| event.id)), content);
        match self.pool.send(request, now, deadline).await {
            Ok(answer) => answer.outcome(&self.retry_statuses),
            Err(failure) => Outcome::Retry(failure),
        }
    }

    /// Returns the request, in a box: it is large, and the futures that pass it on shall not be.
    fn request(&self, id: Id, content: Content) -> Box<Request<Full<Bytes>>> {
        let mut headers = self
            .headers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of_request(id, Timestamp::now(), content.bytes.len());
        if let Some(encoding) = content.encoding {
            headers.insert(CONTENT_ENCODING, encoding);
        }
        let mut request = Box::new(Request::new(Full::new(content.bytes)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.path.clone();
        *request.headers_mut() = headers;
        request
    }
}

impl Sink for Client {
    fn deliver<'a>(&'a self, events: &'a [Arc<Event>]) -> Attempt<'a> {
        Box::pin(self.attempt(events))
    }
}
