//! Serves a router to whoever connects, within bounds: hyper's server, as axum's own has none.
//!
//! | bound | |
//! |---|---|
//! | connections | 128; a further one takes the place of the one that has been idle for longest |
//! | the head of a request | 16 KiB, 64 fields, 20 s; that is also how long a connection may be idle |
//! | a body | 256 KiB, 10 s (see `fields`) |
//! | an answer | begins within 45 s; 20 s without a byte taken by the client end it |
//!
//! A connection is idle while it waits for the first byte of a head, or for its last, or for the last of a body, or for a
//! whole answer to be read. So clients that are slow on purpose push out each other, and not those who have something to ask.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::http::{Request, Response};
use axum::response::IntoResponse;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tower_service::Service as _;
use tracing::{debug, warn};

use super::Problem;
use super::auth::Peer;
use super::connections::{Busy, Connections, Seat};
use super::patience::Patient;
use crate::telemetry::Throttle;

/// Connections at a time.
const CONNECTIONS: usize = 128;

/// The largest head of a request; also how much of an answer waits for the client in memory.
const BUFFER_BYTES: usize = 16 << 10;

/// The most fields in a head.
const FIELDS: usize = 64;

/// How long a head may take, and how long a connection may be idle.
const HEAD_DEADLINE: Duration = Duration::from_secs(20);

/// How long it may take until an answer begins.
const ANSWER_DEADLINE: Duration = Duration::from_secs(45);

/// How long a client may take nothing of what is written to it.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

/// For how long no connection is taken after that has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it is said at most that there is no room.
const SAID_AGAIN: Duration = Duration::from_mins(1);

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let connections = Connections::new(CONNECTIONS);
    let mut full = Throttle::new(SAID_AGAIN);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Some(seat) = connections.take_seat() {
                    tokio::spawn(converse(stream, peer, seat, router.clone()));
                } else if let Some(held_back) = full.pass(Instant::now()) {
                    warn!(
                        connections = CONNECTIONS,
                        held_back, "the admin API has no room for another connection: all are busy"
                    );
                }
            }
            // The client is gone already.
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                warn!(%error, "the admin API cannot take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Answers the requests of one connection until it ends or its seat is taken away.
async fn converse(stream: TcpStream, peer: SocketAddr, seat: Seat, router: Router) {
    // Answers are written at once; where that is not possible they are merely slower.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patient::new(stream, WRITE_PATIENCE));
    let seat = Arc::new(seat);
    let answering = Arc::clone(&seat);
    let service = service_fn(move |request: Request<Incoming>| {
        let (busy, router) = (answering.busy(), router.clone());
        let seat = Arc::clone(&answering);
        let request = request.map(|body| Body::new(Arriving { body, seat }));
        async move { Ok::<_, Infallible>(answer(request, peer, router, busy).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(FIELDS)
        .serve_connection(io, service);
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                debug!(%error, "a connection of the admin API broke off");
            }
        }
        () = seat.is_taken_away() => {}
    }
}

async fn answer(
    mut request: Request<Body>,
    peer: SocketAddr,
    mut router: Router,
    busy: Busy,
) -> Response<Watched> {
    request.extensions_mut().insert(Peer(peer));
    let answering = tokio::time::timeout(ANSWER_DEADLINE, router.call(request));
    let mut response = match answering.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => Problem::busy("mqhook does not answer in time").into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(no_store);
    response.map(|body| Watched {
        body,
        busy: Some(busy),
    })
}

/// The body of a request; its connection is idle while that is waited for.
struct Arriving {
    body: Incoming,
    seat: Arc<Seat>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Pending => self.seat.waits_for_more(),
            Poll::Ready(None) => self.seat.is_whole(),
            Poll::Ready(Some(_)) if self.body.is_end_stream() => self.seat.is_whole(),
            Poll::Ready(Some(_)) => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; its connection is busy as long as there is more to come. Who is merely slow to read is idle.
struct Watched {
    body: Body,
    busy: Option<Busy>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if self.body.is_end_stream() {
            self.busy = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
