//! What a receiver has seen and how it is to behave, shared by its connections and the test.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::arrival::{Arrival, Given};
use super::behaviour::{Behaviour, Door};
use super::request::Request;

pub(super) type Script = Arc<dyn Fn(&Request) -> Behaviour + Send + Sync>;

/// How much of a request outlives its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Requests,
    Arrivals,
    Counts,
}

/// What a receiver has counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests read completely.
    pub requests: u64,
    /// Connections accepted; with TLS, also those whose handshake failed.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Most connections open at once.
    pub peak_open: u64,
    /// Requests read but not yet answered (or given up).
    pub in_flight: u64,
    /// Most requests in flight at once.
    pub peak_in_flight: u64,
    /// Requests that were no HTTP/1.1 or stopped in the middle, which ended their connection.
    pub malformed: u64,
    /// TLS handshakes that failed.
    pub failed_handshakes: u64,
}

pub(super) struct State {
    inner: Mutex<Inner>,
    memory: Memory,
    /// Told after every change; the test's waits listen.
    pub(super) changed: Notify,
}

pub(super) struct Inner {
    pub(super) counts: Counts,
    pub(super) requests: Vec<Request>,
    pub(super) arrivals: Vec<Arrival>,
    /// Requests already handed out one by one.
    pub(super) taken: usize,
    script: Script,
    door: Door,
}

impl State {
    pub(super) fn new(memory: Memory) -> Self {
        let script: Script = Arc::new(|_| Behaviour::Status(200));
        let inner = Inner {
            counts: Counts::default(),
            requests: Vec::new(),
            arrivals: Vec::new(),
            taken: 0,
            script,
            door: Door::Open,
        };
        Self {
            inner: Mutex::new(inner),
            memory,
            changed: Notify::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("expected no panic in a condition or script of this receiver")
    }

    pub(super) fn set_script(&self, script: Script) {
        self.lock().script = script;
    }

    pub(super) fn set_door(&self, door: Door) {
        self.lock().door = door;
    }

    pub(super) fn door(&self) -> Door {
        self.lock().door
    }

    pub(super) fn opened(self: &Arc<Self>) -> (u64, Open) {
        let number = self.change(|inner| {
            let counts = &mut inner.counts;
            counts.connections += 1;
            counts.open += 1;
            counts.peak_open = counts.peak_open.max(counts.open);
            counts.connections
        });
        (number, Open(Arc::clone(self)))
    }

    /// Keeps a request and returns what to do with it; the guard ends its flight.
    pub(super) fn record(self: &Arc<Self>, request: Request) -> (Behaviour, InFlight) {
        let script = Arc::clone(&self.lock().script);
        let behaviour = script(&request);
        let position = self.change(|inner| {
            let counts = &mut inner.counts;
            counts.requests += 1;
            counts.in_flight += 1;
            counts.peak_in_flight = counts.peak_in_flight.max(counts.in_flight);
            match self.memory {
                Memory::Requests => inner.requests.push(request),
                Memory::Arrivals => inner.arrivals.push(Arrival::of(&request)),
                Memory::Counts => {}
            }
            inner.arrivals.len().checked_sub(1)
        });
        let in_flight = InFlight {
            state: Arc::clone(self),
            position,
            answer: Given::Nothing,
        };
        (behaviour, in_flight)
    }

    /// A connection that broke between two requests is not malformed.
    pub(super) fn malformed(&self, error: &io::Error) {
        if matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
        ) {
            self.change(|inner| inner.counts.malformed += 1);
        }
    }

    pub(super) fn failed_handshake(&self) {
        self.change(|inner| inner.counts.failed_handshakes += 1);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }
}

/// An open connection; dropping it counts it as closed.
pub(super) struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.change(|inner| inner.counts.open -= 1);
    }
}

/// A request in flight; dropping it counts it as answered, or as given up.
pub(super) struct InFlight {
    state: Arc<State>,
    /// Its place among the arrivals, if they are kept.
    position: Option<usize>,
    pub(super) answer: Given,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.state.change(|inner| {
            inner.counts.in_flight -= 1;
            if let Some(position) = self.position {
                inner.arrivals[position].answer = self.answer;
            }
        });
    }
}
