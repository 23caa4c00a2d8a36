//! An HTTP/1.1 server that captures every request and misbehaves as told.
//!
//! ```text
//! accept -> (TLS handshake) -> read a request -> script: Request -> Behaviour -> record -> perform
//!    ^                              ^                                                     |
//!    +------- close, reset ---------+--------------------- keep --------------------------+
//! ```
//!
//! The script is asked after the request has been read completely; a request is recorded before its
//! behaviour is performed. The server has its own runtime with one thread, so a test that blocks
//! does not delay it, and it may be started outside of a runtime.

mod arrival;
mod behaviour;
mod connection;
mod request;
mod retry_after;
mod state;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub use self::arrival::{Arrival, Given};
pub use self::behaviour::{Answer, Behaviour, Door, Gate};
pub use self::request::Request;
pub use self::retry_after::RetryAfter;
pub use self::state::Counts;
use self::state::{Inner, Memory, State};
use crate::child::POLL;
use crate::port::{bound, free_port};
use crate::wait;
use crate::wire::{PATIENCE, Wire as _};

/// A running server that answers 200 until told otherwise; dropping it closes everything.
pub struct Receiver {
    port: u16,
    tls: Option<Arc<ServerConfig>>,
    state: Arc<State>,
    listening: Option<Listening>,
    runtime: Option<Runtime>,
}

/// The task that accepts; it ends with its connections when `stop` is dropped.
struct Listening {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts a plain server.
    #[must_use]
    pub fn start() -> Self {
        Self::launch(None, Memory::Requests)
    }

    /// Starts a TLS server, see [`Certificates::server_config`](crate::certificates::Certificates).
    #[must_use]
    pub fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::launch(Some(config), Memory::Requests)
    }

    /// Starts a plain server that counts requests and forgets them, for millions of them; only
    /// [`Receiver::counts`], [`Receiver::wait_for_counts`] and the script see them.
    #[must_use]
    pub fn start_counting() -> Self {
        Self::launch(None, Memory::Counts)
    }

    /// Starts a plain server that keeps an [`Arrival`] of each request, for hundreds of thousands of
    /// them; [`Receiver::requests`] and what waits for requests see none.
    #[must_use]
    pub fn start_recording() -> Self {
        Self::launch(None, Memory::Arrivals)
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns `http://127.0.0.1:PORT` or `https://localhost:PORT`, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        match self.tls {
            None => format!("http://127.0.0.1:{}", self.port),
            Some(_) => format!("https://localhost:{}", self.port),
        }
    }

    /// Behaves like this from the next request on.
    pub fn set(&self, behaviour: Behaviour) {
        self.set_script(move |_| behaviour.clone());
    }

    /// Asks `script` about every request from the next one on.
    pub fn set_script(&self, script: impl Fn(&Request) -> Behaviour + Send + Sync + 'static) {
        self.state.set_script(Arc::new(script));
    }

    /// Behaves like the first for one request, and so on; the last one stays.
    ///
    /// # Panics
    /// When there is none.
    pub fn answer_in_turn(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        let mut turns: VecDeque<Behaviour> = behaviours.into_iter().collect();
        let last = turns.pop_back().expect("expected at least one behaviour");
        let turns = Mutex::new(turns);
        self.set_script(move |_| {
            let next = turns.lock().expect("popping does not panic").pop_front();
            next.unwrap_or_else(|| last.clone())
        });
    }

    /// Treats new connections like this from the next one on; those that are open stay open.
    pub fn set_door(&self, door: Door) {
        self.state.set_door(door);
    }

    /// Returns every arrival from this position on, in the order their last bytes were read. What
    /// was still pending at an earlier call may have been answered since.
    #[must_use]
    pub fn arrivals(&self, from: usize) -> Vec<Arrival> {
        let inner = self.state.lock();
        inner.arrivals.get(from..).unwrap_or_default().to_vec()
    }

    /// Returns every request so far, in the order their last bytes were read.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Returns the next request that this method has not returned yet.
    pub async fn next(&self) -> Request {
        self.wait("another request", |inner| {
            let request = inner.requests.get(inner.taken).cloned()?;
            inner.taken += 1;
            Some(request)
        })
        .await
    }

    /// Waits until there have been `count` requests, and returns all there are.
    pub async fn wait_for(&self, count: usize) -> Vec<Request> {
        let expected = format!("{count} requests");
        self.wait(&expected, |inner| {
            (inner.requests.len() >= count).then(|| inner.requests.clone())
        })
        .await
    }

    /// Waits until the requests fulfil `condition`, and returns them.
    ///
    /// The condition must not use this receiver: it is asked under its lock.
    pub async fn wait_until(&self, condition: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let expected = "requests that fulfil a condition";
        self.wait(expected, |inner| {
            condition(&inner.requests).then(|| inner.requests.clone())
        })
        .await
    }

    /// Waits until the counts fulfil `condition`, and returns them.
    pub async fn wait_for_counts(&self, condition: impl Fn(&Counts) -> bool) -> Counts {
        let expected = "counts that fulfil a condition";
        self.wait(expected, |inner| {
            condition(&inner.counts).then_some(inner.counts)
        })
        .await
    }

    /// Stops to listen and drops every connection, as a receiver that died.
    pub async fn go_down(&mut self) {
        let listening = self
            .listening
            .take()
            .expect("expected a receiver that is up");
        drop(listening.stop);
        listening
            .task
            .await
            .expect("the accepting task does not panic");
    }

    /// Listens again on the same port.
    ///
    /// A child process that is being started has a copy of the old listener until its exec, so the
    /// port may be taken for a moment.
    pub async fn come_back(&mut self) {
        assert!(self.listening.is_none(), "expected a receiver that is down");
        let free = wait::until(PATIENCE, "the port to be free still", async || {
            listener(self.runtime(), self.port)
        });
        let listener = free.await;
        self.listen(listener);
    }

    fn launch(tls: Option<Arc<ServerConfig>>, memory: Memory) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("receiver")
            .build();
        let runtime = runtime.expect("a runtime");
        let (port, listener) = (0..10)
            .find_map(|_| {
                let port = free_port();
                Some((port, listener(&runtime, port)?))
            })
            .expect("expected to bind a free port in ten attempts");
        let state = Arc::new(State::new(memory));
        let mut receiver = Self {
            port,
            tls,
            state,
            listening: None,
            runtime: Some(runtime),
        };
        receiver.listen(listener);
        receiver
    }

    fn listen(&mut self, listener: TcpListener) {
        let (stop, stopped) = oneshot::channel();
        let acceptor = self.tls.clone().map(TlsAcceptor::from);
        let task =
            self.runtime()
                .spawn(accept(listener, acceptor, Arc::clone(&self.state), stopped));
        self.listening = Some(Listening { stop, task });
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only drop takes it")
    }

    async fn wait<T>(&self, expected: &str, mut check: impl FnMut(&mut Inner) -> Option<T>) -> T {
        let search = async {
            loop {
                let changed = self.state.changed.notified();
                if let Some(value) = check(&mut self.state.lock()) {
                    return value;
                }
                changed.await;
            }
        };
        timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("expected {expected} within {PATIENCE:?}, got {self:#?}"))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.state.lock();
        let last = &inner.requests[inner.requests.len().saturating_sub(50)..];
        formatter
            .debug_struct("Receiver")
            .field("counts", &inner.counts)
            .field("last_requests", &last)
            .finish_non_exhaustive()
    }
}

fn listener(runtime: &Runtime, port: u16) -> Option<TcpListener> {
    let _context = runtime.enter();
    bound(port).ok()?.listen(1024).ok()
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    state: Arc<State>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                // Only a client that has gone again makes accepting fail.
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(converse(stream, acceptor.clone(), Arc::clone(&state)));
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    let (number, _open) = state.opened();
    stream
        .set_nodelay(true)
        .expect("a TCP socket has this option");
    match state.door() {
        Door::Open => {}
        Door::Closed => return,
        Door::Reset => return stream.reset_on_close(),
        Door::Deaf => return until_hung_up(&stream).await,
    }
    match acceptor {
        None => connection::serve(Box::new(stream), number, state).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => connection::serve(Box::new(stream), number, state).await,
            Err(_) => state.failed_handshake(),
        },
    }
}

/// Waits until the client has closed, without reading what it sent.
async fn until_hung_up(stream: &TcpStream) {
    // What the client has sent makes the socket ready all the time, so its end must be asked for.
    while let Ok(ready) = stream.ready(Interest::READABLE).await {
        if ready.is_read_closed() {
            return;
        }
        sleep(POLL).await;
    }
}
