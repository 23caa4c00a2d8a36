//! An HTTP/2 server that records what it gets, and refuses on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What the server does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// Answers with this status code, after ten milliseconds.
    Status(u16),
    /// Answers 200, and takes no more requests over this connection.
    GoAway,
    /// Resets the stream without having looked at the request.
    Refuse,
    /// Never answers.
    Never,
}

/// What the server has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Target, identifier of the event, and body of each request that was read.
    pub requests: Vec<(String, Option<String>, String)>,
    /// Headers of each of them.
    pub heads: Vec<Vec<(String, String)>>,
    /// Connections so far.
    pub connections: usize,
    /// Connections, and requests, that there are now, and the most that there were at a time.
    pub open: usize,
    /// See `open`.
    pub peak_open: usize,
    /// See `open`.
    pub in_flight: usize,
    /// See `open`.
    pub peak_in_flight: usize,
}

type Script = dyn Fn(usize) -> Reply + Send + Sync;

/// A server on a loopback port, in tasks of the test's runtime; dropping it ends it.
#[derive(Debug)]
pub struct Http2 {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Http2 {
    /// Starts a server; the script is asked for the number of each request, from 0.
    pub async fn start(
        tls: Option<Arc<ServerConfig>>,
        max_streams: Option<u32>,
        script: impl Fn(usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("bind any loopback port");
        let port = listener.local_addr().expect("it is bound").port();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (script, mut tasks): (Arc<Script>, _) = (Arc::new(script), JoinSet::new());
        let connections = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut tasks = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accept");
                let (seen, script) = (Arc::clone(&connections), Arc::clone(&script));
                let tls = tls.clone().map(TlsAcceptor::from);
                tasks.spawn(async move {
                    match tls {
                        None => serve(stream, max_streams, seen, script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, max_streams, seen, script).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            seen,
            _tasks: tasks,
        }
    }

    /// Returns the port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns what it has seen.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    max_streams: Option<u32>,
    seen: Arc<Mutex<Seen>>,
    script: Arc<Script>,
) {
    change(&seen, |seen| {
        seen.connections += 1;
        seen.open += 1;
        seen.peak_open = seen.peak_open.max(seen.open);
    });
    let mut builder = Builder::new();
    if let Some(max) = max_streams {
        builder.max_concurrent_streams(max);
    }
    if let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await {
        let mut tasks = JoinSet::new();
        while let Some(Ok((request, mut response))) = connection.accept().await {
            let number = change(&seen, |seen| {
                seen.in_flight += 1;
                seen.peak_in_flight = seen.peak_in_flight.max(seen.in_flight);
                seen.requests.push(Default::default());
                seen.heads.push(Vec::new());
                seen.requests.len() - 1
            });
            let status = match script(number) {
                Reply::Status(status) => status,
                Reply::GoAway => {
                    connection.graceful_shutdown();
                    200
                }
                Reply::Refuse => {
                    response.send_reset(Reason::REFUSED_STREAM);
                    change(&seen, |seen| seen.in_flight -= 1);
                    continue;
                }
                Reply::Never => 0,
            };
            tasks.spawn(answer(request, response, status, number, Arc::clone(&seen)));
        }
    }
    change(&seen, |seen| seen.open -= 1);
}

async fn answer(
    request: Request<RecvStream>,
    mut response: SendResponse<Bytes>,
    status: u16,
    number: usize,
    seen: Arc<Mutex<Seen>>,
) {
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(Ok(bytes)) = stream.data().await {
        let _ = stream.flow_control().release_capacity(bytes.len());
        body.extend_from_slice(&bytes);
    }
    let id = head.headers.get("webhook-id");
    let id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let body = String::from_utf8_lossy(&body).into_owned();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    });
    change(&seen, |seen| {
        seen.heads[number] = headers.collect();
        seen.requests[number] = (head.uri.to_string(), id, body);
    });
    if status == 0 {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    change(&seen, |seen| seen.in_flight -= 1);
    let answer = Response::builder().status(status).body(());
    let _ = response.send_response(answer.expect("a status code"), true);
}

fn change<T>(seen: &Mutex<Seen>, change: impl FnOnce(&mut Seen) -> T) -> T {
    change(&mut seen.lock().expect("nobody panics with it"))
}
