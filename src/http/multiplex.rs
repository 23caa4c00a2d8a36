//! A pool of HTTP/2 connections to one receiver, which many requests share.
//!
//! There are never more requests in flight, nor connections, than `pool_size`. A request goes over the
//! first connection that has room for a stream, and only if none has is another one made, one at a
//! time; so there are few. A connection that says GOAWAY, or over which a request times out,
//! gets no more requests, and ends with its last one. A receiver may negotiate HTTP/1.1 if both may
//! be spoken; then its connections are used as [`Pool`] uses them.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::connect::{Connector, Stream};
use super::outcome::{self, Answer};
use super::pool::{self, Pool, Unsent, drain};
use super::{Config, Version};
use crate::sink::{self, Class, Failure};

/// The most streams of one connection, if the receiver allows as many: receivers should allow so
/// many (RFC 9113, 6.5.2).
const STREAMS: usize = 100;

/// How often a request is made that the receiver refuses to look at.
const TRIES: usize = 4;

/// How a client's requests get connections.
#[derive(Debug)]
pub(super) enum Connections {
    /// One request at a time over each.
    Exclusive(Box<Pool>),
    Shared(Box<Multiplexed>),
}

impl Connections {
    pub(super) fn new(connector: Connector, config: &Config) -> Self {
        let pool = Pool::new(connector.clone(), config.pool_size, config.idle_timeout);
        match config.version {
            Version::Http11 => Self::Exclusive(Box::new(pool)),
            // Without TLS nothing is negotiated.
            Version::Auto if !config.url.is_https() => Self::Exclusive(Box::new(pool)),
            Version::Http2 | Version::Auto => {
                Self::Shared(Box::new(Multiplexed::new(connector, pool, config)))
            }
        }
    }

    /// Returns how many there are.
    pub(super) fn count(&self) -> sink::Connections {
        match self {
            Self::Exclusive(pool) => pool.count(),
            Self::Shared(shared) => shared.exclusive.count(),
        }
    }

    /// Does what [`Pool::retire`] does.
    pub(super) fn retire(&self) {
        match self {
            Self::Exclusive(pool) => pool.retire(),
            Self::Shared(shared) => {
                shared.exclusive.retire();
                let mut all = shared.shared.lock().unwrap_or_else(PoisonError::into_inner);
                all.clear();
            }
        }
    }

    /// Sends a request as [`Pool::send`] does.
    pub(super) async fn send(
        &self,
        request: Box<Request<Full<Bytes>>>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        match self {
            Self::Exclusive(pool) => pool.send(request, now, deadline).await,
            // Its future is large, and shall not make that of the others large.
            Self::Shared(shared) => Box::pin(shared.send(request, now, deadline)).await,
        }
    }
}

/// Connections that requests share.
#[derive(Debug)]
pub(super) struct Multiplexed {
    connector: Connector,
    version: Version,
    scheme: Scheme,
    authority: Authority,
    /// Prior knowledge: HTTP/2 is spoken without being negotiated.
    is_prior: bool,
    /// One permit per request in flight.
    requests: Semaphore,
    shared: Mutex<Vec<Arc<Shared>>>,
    /// For connections over which HTTP/1.1 was negotiated; its permits count all connections.
    exclusive: Pool,
    /// Whether the last one was such a connection: then requests need not wait for each other's.
    was_exclusive: AtomicBool,
    /// Held while a connection is made that many may share; the last failure, and their number.
    connecting: tokio::sync::Mutex<Option<Failure>>,
    failures: AtomicUsize,
    idle_timeout: Duration,
}

/// A connection that requests share; each holds an `Arc` of it.
#[derive(Debug)]
struct Shared {
    requests: SendRequest<Full<Bytes>>,
    /// The connection's task; dropping it closes the socket and frees the permit.
    _task: AbortOnDropHandle<()>,
    /// How many streams the receiver allows; the connection's task keeps it up to date.
    streams: Arc<AtomicUsize>,
    last_used: Mutex<Instant>,
}

/// A connection for one request.
enum Way {
    Shared(Arc<Shared>),
    Exclusive(pool::Connection),
}

/// Why there is no answer.
enum Lost {
    /// The receiver did not look at it; over this connection, or another one, it may.
    Refused(Failure),
    /// The connection takes no more requests, and did not take this one.
    GoAway(Failure),
    Failed(Failure),
}

impl Multiplexed {
    fn new(connector: Connector, exclusive: Pool, config: &Config) -> Self {
        let origin = config.url.origin();
        let host = config.url.host_header();
        let host = host.to_str().ok().and_then(|host| host.parse().ok());
        let is_https = config.url.is_https();
        Self {
            connector,
            version: config.version,
            scheme: if is_https {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            authority: host
                .or_else(|| origin.authority().cloned())
                .expect("a receiver's URL has a host"),
            is_prior: !is_https,
            requests: Semaphore::new(config.pool_size),
            shared: Mutex::default(),
            exclusive,
            was_exclusive: AtomicBool::new(false),
            connecting: tokio::sync::Mutex::default(),
            failures: AtomicUsize::new(0),
            idle_timeout: config.idle_timeout,
        }
    }

    async fn send(
        &self,
        mut request: Box<Request<Full<Bytes>>>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let too_late = |_elapsed| Failure::from(Class::Timeout);
        let permit = timeout_at(deadline, self.requests.acquire()).await;
        let _permit = permit
            .map_err(too_late)?
            .expect("the pool never closes its semaphore");
        let mut failure = Failure::from(Class::Closed);
        for _ in 0..TRIES {
            let way = timeout_at(deadline, self.way(now, deadline)).await;
            match way.map_err(too_late)?? {
                Way::Exclusive(mut connection) => {
                    match connection.exchange(request, deadline).await {
                        Ok((answer, drained)) => {
                            self.exclusive.give_back(connection, drained);
                            return Ok(answer);
                        }
                        Err(Unsent::Request(unsent)) => request = unsent,
                        Err(Unsent::Failed(failure)) => return Err(failure),
                    }
                }
                Way::Shared(shared) => {
                    let translated = self.translated(&request);
                    match shared.exchange(translated, deadline).await {
                        Ok(answer) => return Ok(answer),
                        Err(Lost::Refused(refused)) => failure = refused,
                        Err(Lost::GoAway(refused)) => {
                            self.retire(&shared);
                            failure = refused;
                        }
                        Err(Lost::Failed(failure)) => {
                            if failure.class == Class::Timeout {
                                self.retire(&shared);
                            }
                            return Err(failure);
                        }
                    }
                }
            }
        }
        Err(failure)
    }

    /// Returns a connection that has room for a request, and makes one if there is none.
    async fn way(&self, now: Instant, deadline: Instant) -> Result<Way, Failure> {
        if let Some(way) = self.ready(now) {
            return Ok(way);
        }
        if self.was_exclusive.load(Ordering::Relaxed) {
            return self.connect(deadline).await;
        }
        let seen = self.failures.load(Ordering::Acquire);
        let mut last_failure = self.connecting.lock().await;
        if let Some(way) = self.ready(now) {
            return Ok(way);
        }
        // Who waited for another's connection shares its failure, too.
        if self.failures.load(Ordering::Acquire) != seen
            && let Some(failure) = last_failure.as_ref()
        {
            return Err(failure.clone());
        }
        let connected = self.connect(deadline).await;
        if let Err(failure) = &connected {
            *last_failure = Some(failure.clone());
            self.failures.fetch_add(1, Ordering::Release);
        }
        connected
    }

    /// Returns a connection that there is.
    fn ready(&self, now: Instant) -> Option<Way> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|shared| !shared.is_over(now, self.idle_timeout));
        if let Some(free) = shared.iter().find(|shared| shared.has_room()) {
            return Some(Way::Shared(Arc::clone(free)));
        }
        drop(shared);
        self.exclusive.take_idle(now).map(Way::Exclusive)
    }

    async fn connect(&self, deadline: Instant) -> Result<Way, Failure> {
        let permit = self.exclusive.permit().await;
        let stream = self.connector.connect().await?;
        let is_http2 = self.is_prior || stream.connected().is_negotiated_h2();
        self.was_exclusive.store(!is_http2, Ordering::Relaxed);
        if is_http2 {
            let shared = Arc::new(Shared::new(stream, permit).await?);
            let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.exclusive.is_retired() {
                all.push(Arc::clone(&shared));
            }
            return Ok(Way::Shared(shared));
        }
        if self.version == Version::Http2 {
            return Err(Failure {
                detail: "the receiver does not offer HTTP/2".to_owned(),
                ..Class::Protocol.into()
            });
        }
        let connection = self.exclusive.handshake(stream, permit, deadline).await?;
        Ok(Way::Exclusive(connection))
    }

    /// Uses a connection for no further request.
    fn retire(&self, over: &Arc<Shared>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.retain(|shared| !Arc::ptr_eq(shared, over));
    }

    /// Returns the request as HTTP/2 has it: the host is part of its target (RFC 9113, 8.3.1).
    fn translated(&self, request: &Request<Full<Bytes>>) -> Request<Full<Bytes>> {
        let mut request = request.clone();
        let host = request.headers_mut().remove(HOST);
        let host = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let path = request.uri().path_and_query().cloned();
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(host.unwrap_or_else(|| self.authority.clone()))
            .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")));
        *request.uri_mut() = uri.build().expect("its parts are those of a URI");
        request
    }
}

impl Shared {
    async fn new(stream: Stream, permit: OwnedSemaphorePermit) -> Result<Self, Failure> {
        let (requests, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .map_err(|error| outcome::of_exchange(&error))?;
        let streams = Arc::new(AtomicUsize::new(STREAMS));
        let task = run(connection, Arc::clone(&streams), permit);
        Ok(Self {
            requests,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
            streams,
            last_used: Mutex::new(Instant::now()),
        })
    }

    /// Returns whether it can or should carry no request any more; `self` is held by the pool.
    fn is_over(self: &Arc<Self>, now: Instant, idle_timeout: Duration) -> bool {
        let last_used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_idle = Arc::strong_count(self) == 1;
        self.requests.is_closed() || is_idle && now.duration_since(*last_used) >= idle_timeout
    }

    /// Returns whether another stream may be begun; the pool holds one `Arc`, each request another.
    fn has_room(self: &Arc<Self>) -> bool {
        let streams = self.streams.load(Ordering::Relaxed).clamp(1, STREAMS);
        Arc::strong_count(self) <= streams
    }

    /// Sends a request and reads its answer. Dropping the future resets its stream only.
    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, Lost> {
        let asked = timeout_at(deadline, self.ask(request)).await;
        let mut last_used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last_used = Instant::now();
        asked.unwrap_or_else(|_elapsed| Err(Lost::Failed(Class::Timeout.into())))
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let mut requests = self.requests.clone();
        match requests.try_send_request(request).await {
            Ok(response) => {
                let mut answer = Answer::of(&response);
                // What is left of it is reset with the stream.
                let read = drain(response.into_body()).await;
                (_, answer.beginning) = read.map_err(Lost::Failed)?;
                Ok(answer)
            }
            Err(mut error) => {
                let was_sent = error.take_message().is_none();
                let error = error.into_error();
                let failure = outcome::of_exchange(&error);
                Err(match outcome::refusal(&error) {
                    Some(h2::Reason::REFUSED_STREAM) => Lost::Refused(failure),
                    Some(h2::Reason::NO_ERROR) => Lost::GoAway(failure),
                    _ if !was_sent => Lost::GoAway(failure),
                    _ => Lost::Failed(failure),
                })
            }
        }
    }
}

/// Moves the bytes of a connection until it ends, and keeps count of the streams it may have; the
/// permit is freed with the socket.
async fn run(
    connection: http2::Connection<Stream, Full<Bytes>, TokioExecutor>,
    streams: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
) {
    let mut connection = Box::pin(connection);
    // The requests in flight, if there are some, get the same error.
    let _ = poll_fn(|context| {
        let polled = connection.as_mut().poll(context);
        streams.store(connection.current_max_send_streams(), Ordering::Relaxed);
        polled
    })
    .await;
}
