//! A pool of HTTP/1.1 connections to one receiver, bounded for good.
//!
//! A connection holds a permit from before it is made until its socket is closed, and there
//! are `pool_size` permits. A request in flight holds its connection, so that bounds both.
//! Idle connections are used again last in, first out, so that few stay warm when little
//! is sent; one that the receiver has closed meanwhile costs another try, not a failure.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::connect::{Connector, Stream};
use super::gather::Gathered;
use super::outcome::{self, Answer};
use crate::sink::{Class, Connections, Failure, Report};

/// How much of an answer's body is read in order to use its connection again.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// Connections to one receiver.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    /// One permit per connection; its task holds it until the socket is closed.
    permits: Arc<Semaphore>,
    /// How many permits there are.
    size: usize,
    /// Connections without a request, the one used last at the end.
    idle: Mutex<Vec<Connection>>,
    idle_timeout: Duration,
    /// Whether no connection is kept for another request; it changes under the lock of those that are.
    is_retired: AtomicBool,
}

/// A connection between two requests.
#[derive(Debug)]
pub(super) struct Connection {
    /// The way into the connection's task.
    requests: SendRequest<Full<Bytes>>,
    /// The connection's task; dropping it closes the socket and frees the permit.
    _task: AbortOnDropHandle<()>,
    idle_since: Instant,
    /// Runs out before the request under way must have been answered, or just then.
    timer: Pin<Box<Sleep>>,
}

impl Pool {
    pub(super) fn new(connector: Connector, pool_size: usize, idle_timeout: Duration) -> Self {
        Self {
            connector,
            permits: Arc::new(Semaphore::new(pool_size)),
            size: pool_size,
            idle: Mutex::new(Vec::new()),
            idle_timeout,
            is_retired: AtomicBool::new(false),
        }
    }

    /// Closes idle connections, and each that is in use after its request: those that another pool makes count, too.
    pub(super) fn retire(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_retired.store(true, Ordering::Relaxed);
        idle.clear();
    }

    pub(super) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Returns how many connections there are, idle ones included.
    pub(super) fn count(&self) -> Connections {
        let free = self.permits.available_permits();
        Connections {
            open: self.size.saturating_sub(free),
            most: self.size,
        }
    }

    /// Sends a request, reads the answer and returns what matters of it, all before `deadline`. A
    /// connection that has idled for too long by `now` is not used.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection that it uses.
    pub(super) async fn send(
        &self,
        mut request: Box<Request<Full<Bytes>>>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        loop {
            let idle = self.take_idle(now);
            let is_new = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                // Seldom needed, and large: it shall not make every attempt's future large.
                None => Box::pin(timeout_at(deadline, self.connect(deadline)))
                    .await
                    .map_err(|_elapsed| Failure::from(Class::Timeout))??,
            };
            match connection.exchange(request, deadline).await {
                Ok((answer, drained)) => {
                    self.give_back(connection, drained);
                    return Ok(answer);
                }
                Err(Unsent::Request(unsent)) if !is_new => request = unsent,
                Err(Unsent::Request(_)) => return Err(Class::Closed.into()),
                Err(Unsent::Failed(failure)) => return Err(failure),
            }
        }
    }

    /// Takes the idle connection that was used last, and closes those that idled for too long.
    pub(super) fn take_idle(&self, now: Instant) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stale = |connection: &Connection| {
            now.duration_since(connection.idle_since) >= self.idle_timeout
        };
        if idle.first().is_some_and(is_stale) {
            idle.retain(|connection| !is_stale(connection));
        }
        while let Some(connection) = idle.pop() {
            if !connection.requests.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    /// Makes a connection for a request that must have been answered by `deadline`.
    async fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        let permit = self.permit().await;
        let stream = self.connector.connect().await?;
        self.handshake(stream, permit, deadline).await
    }

    /// Returns the permit for a connection, when there is one.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.expect("the pool never closes its semaphore")
    }

    /// Begins HTTP/1.1 over a connection.
    pub(super) async fn handshake(
        &self,
        stream: Stream,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Result<Connection, Failure> {
        let (requests, connection) = http1::handshake(Gathered::new(stream))
            .await
            .map_err(|error| outcome::of_exchange(&error))?;
        Ok(Connection {
            requests,
            _task: AbortOnDropHandle::new(tokio::spawn(run(connection, permit))),
            idle_since: Instant::now(),
            timer: Box::pin(tokio::time::sleep_until(deadline)),
        })
    }

    /// Keeps a connection for the next request, if it can carry one.
    pub(super) fn give_back(&self, mut connection: Connection, drained: Drained) {
        if drained == Drained::Wholly && !connection.requests.is_closed() {
            connection.idle_since = Instant::now();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_retired() {
                idle.push(connection);
            }
        }
    }
}

/// Why there is no answer.
pub(super) enum Unsent {
    /// The connection had ended before anything was sent; another one may do.
    Request(Box<Request<Full<Bytes>>>),
    Failed(Failure),
}

impl Connection {
    /// Sends a request and reads its answer; says whether the connection can carry another one.
    pub(super) async fn exchange(
        &mut self,
        request: Box<Request<Full<Bytes>>>,
        deadline: Instant,
    ) -> Result<(Answer, Drained), Unsent> {
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        tokio::select! {
            biased;
            answered = ask(&mut self.requests, request) => answered,
            () = reach(self.timer.as_mut(), deadline) => Err(Unsent::Failed(Class::Timeout.into())),
        }
    }
}

/// Waits until `deadline` with a timer that was set for it or for an earlier one. Putting a timer
/// off only when it has run out costs far less than setting it for every request.
async fn reach(mut timer: Pin<&mut Sleep>, deadline: Instant) {
    loop {
        timer.as_mut().await;
        if timer.deadline() >= deadline {
            return;
        }
        timer.as_mut().reset(deadline);
    }
}

async fn ask(
    requests: &mut SendRequest<Full<Bytes>>,
    request: Box<Request<Full<Bytes>>>,
) -> Result<(Answer, Drained), Unsent> {
    // The connection's task may not have seen yet that the last answer has ended.
    if requests.ready().await.is_err() {
        return Err(Unsent::Request(request));
    }
    let sent = requests.try_send_request(*request).await;
    let (mut answer, body) = answered(sent)?;
    let (drained, beginning) = drain(body).await.map_err(Unsent::Failed)?;
    answer.beginning = beginning;
    Ok((answer, drained))
}

/// Takes what a request came to apart; a function of its own, as the whole is large and shall not be kept
/// while the body is read.
fn answered(
    sent: Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>,
) -> Result<(Answer, Incoming), Unsent> {
    match sent {
        Ok(response) => Ok((Answer::of(&response), response.into_body())),
        Err(mut error) => Err(match error.take_message() {
            Some(unsent) => Unsent::Request(Box::new(unsent)),
            None => Unsent::Failed(outcome::of_exchange(error.error())),
        }),
    }
}

/// Moves the bytes of a connection until it ends; the permit is freed with the socket.
async fn run(
    connection: http1::Connection<Gathered<Stream>, Full<Bytes>>,
    _permit: OwnedSemaphorePermit,
) {
    // The request in flight, if there is one, gets the same error.
    let _ = connection.await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    Wholly,
    UpToLimit,
}

/// Reads a body and forgets all but its beginning, as far as the limit goes.
pub(super) async fn drain(mut body: Incoming) -> Result<(Drained, Bytes), Failure> {
    let mut length = 0;
    let mut beginning = Bytes::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| outcome::said_by(Class::Closed, &error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if beginning.len() < Report::RESPONSE_BYTES {
            beginning = joined(beginning, data);
        }
        if length > BODY_LIMIT_BYTES {
            return Ok((Drained::UpToLimit, beginning));
        }
    }
    Ok((Drained::Wholly, beginning))
}

/// Returns the beginning of a body with what has come behind it; most bodies come at once, and are not
/// copied.
fn joined(beginning: Bytes, mut data: Bytes) -> Bytes {
    data.truncate(Report::RESPONSE_BYTES - beginning.len());
    if beginning.is_empty() {
        return data;
    }
    [beginning, data].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_begins_as_its_frames_do_and_no_more_is_kept() {
        const LONG: &[u8] = &[b'x'; Report::RESPONSE_BYTES + 1];
        let check = |frames: &[&'static [u8]], expected: &[u8]| {
            let frames = frames.iter().map(|frame| Bytes::from_static(frame));
            assert_eq!(frames.fold(Bytes::new(), joined), expected);
        };
        check(&[], b"");
        check(&[b"whole"], b"whole");
        check(&[b"in ", b"", b"parts"], b"in parts");
        check(&[LONG], &LONG[1..]);
        check(&[b"a", LONG, b"b"], &[b"a", &LONG[2..]].concat());
    }

    #[tokio::test]
    async fn a_timer_that_was_set_for_an_earlier_request_is_put_off() {
        let now = Instant::now();
        let deadline = now + Duration::from_millis(30);
        let mut timer = Box::pin(tokio::time::sleep_until(now + Duration::from_millis(5)));
        reach(timer.as_mut(), deadline).await;
        assert!(Instant::now() >= deadline);
    }
}
