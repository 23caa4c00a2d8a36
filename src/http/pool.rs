//! A pool of HTTP/1.1 connections to one receiver, bounded for good.
//!
//! A connection holds a permit from before it is made until its socket is closed, and there
//! are `pool_size` permits. A request in flight holds its connection, so that bounds both.
//! Idle connections are used again last in, first out, so that few stay warm when little
//! is sent; one that the receiver has closed meanwhile costs another try, not a failure.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::connect::Connector;
use super::outcome;
use crate::sink::{Class, Failure};

/// How much of an answer's body is read in order to use its connection again.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// Connections to one receiver.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    /// One permit per connection; its task holds it until the socket is closed.
    permits: Arc<Semaphore>,
    /// Connections without a request, the one used last at the end.
    idle: Mutex<Vec<Connection>>,
    idle_timeout: Duration,
}

/// A connection between two requests.
#[derive(Debug)]
struct Connection {
    /// The way into the connection's task.
    requests: SendRequest<Full<Bytes>>,
    /// The connection's task; dropping it closes the socket and frees the permit.
    task: AbortOnDropHandle<()>,
    idle_since: Instant,
}

impl Pool {
    pub(super) fn new(connector: Connector, pool_size: usize, idle_timeout: Duration) -> Self {
        Self {
            connector,
            permits: Arc::new(Semaphore::new(pool_size)),
            idle: Mutex::new(Vec::new()),
            idle_timeout,
        }
    }

    /// Sends a request, reads the answer and returns its status.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection that it uses.
    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<StatusCode, Failure> {
        loop {
            let idle = self.take_idle();
            let is_new = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                // Seldom needed, and large: it shall not make every attempt's future large.
                None => Box::pin(self.connect()).await?,
            };
            // Its task may not have seen yet that the last answer has ended.
            if connection.requests.ready().await.is_err() && !is_new {
                continue;
            }
            match connection.requests.try_send_request(request).await {
                Ok(answer) => return self.finish(connection, answer).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(outcome::of_exchange(error.error())),
                },
            }
        }
    }

    /// Takes the idle connection that was used last, and closes those that idled for too long.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
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

    async fn connect(&self) -> Result<Connection, Failure> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .expect("the pool never closes its semaphore");
        let stream = self.connector.connect().await?;
        let (requests, connection) = http1::handshake(stream)
            .await
            .map_err(|error| outcome::of_exchange(&error))?;
        Ok(Connection {
            requests,
            task: AbortOnDropHandle::new(tokio::spawn(run(connection, permit))),
            idle_since: Instant::now(),
        })
    }

    /// Reads the rest of the answer and gives the connection back, if it can be used again.
    async fn finish(
        &self,
        mut connection: Connection,
        answer: Response<Incoming>,
    ) -> Result<StatusCode, Failure> {
        let status = answer.status();
        let drained = drain(answer.into_body()).await?;
        if drained == Drained::Wholly && !connection.requests.is_closed() {
            connection.idle_since = Instant::now();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(connection);
        } else {
            drop(connection.task);
        }
        Ok(status)
    }
}

/// Moves the bytes of a connection until it ends; the permit is freed with the socket.
async fn run(
    connection: http1::Connection<super::connect::Stream, Full<Bytes>>,
    _permit: OwnedSemaphorePermit,
) {
    // The request in flight, if there is one, gets the same error.
    let _ = connection.await;
}

#[derive(Debug, PartialEq, Eq)]
enum Drained {
    Wholly,
    UpToLimit,
}

/// Reads a body and forgets it, as far as the limit goes.
async fn drain(mut body: Incoming) -> Result<Drained, Failure> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::because(Class::Closed, &error))?;
        length += frame.data_ref().map_or(0, Bytes::len);
        if length > BODY_LIMIT_BYTES {
            return Ok(Drained::UpToLimit);
        }
    }
    Ok(Drained::Wholly)
}
