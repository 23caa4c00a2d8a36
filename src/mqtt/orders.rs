//! What a connection is told while it runs: that its topic filters have changed, or to leave.
//!
//! A token calls for its attention, the same one that tells of the end, so that a connection that nobody
//! calls looks at nothing more than it did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Tells a connection something while it runs.
#[derive(Debug, Clone, Default)]
pub struct Orders(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_called: bool,
    leaves: bool,
    /// Whether it leaves and cannot be told to stay any more.
    is_gone: bool,
    waiters: Waiters,
    attention: CancellationToken,
}

/// Who waits for the broker to have answered; woken when dropped, too.
#[derive(Debug, Default)]
pub(super) struct Waiters(Vec<oneshot::Sender<()>>);

impl Orders {
    /// Has the connection look at its listener's topic filters: subscribe to what is new, and then give up what
    /// is not among them any more. What this returns resolves when the broker has answered, or the connection
    /// is lost.
    #[expect(clippy::must_use_candidate, reason = "nobody need wait for the answer")]
    pub fn change(&self) -> oneshot::Receiver<()> {
        let (waiter, answered) = oneshot::channel();
        let mut state = self.lock();
        state.waiters.0.push(waiter);
        state.call();
        answered
    }

    /// Has the connection end its session and itself, when the broker has nothing left for it. Its listener
    /// has no topic filters any more. What this returns resolves like that of [`change`](Self::change).
    #[expect(clippy::must_use_candidate, reason = "nobody need wait for the answer")]
    pub fn leave(&self) -> oneshot::Receiver<()> {
        self.lock().leaves = true;
        self.change()
    }

    /// Has a connection stay that was told to leave, and look at its topic filters. Returns whether it does:
    /// otherwise it is about to end.
    #[must_use]
    pub fn stay(&self) -> bool {
        let mut state = self.lock();
        if !state.is_gone {
            state.leaves = false;
            state.call();
        }
        !state.is_gone
    }

    /// Returns what calls for attention the next time, or with `stop`.
    pub(super) fn attention(&self, stop: &CancellationToken) -> CancellationToken {
        let mut state = self.lock();
        let attention = stop.child_token();
        if state.is_called {
            attention.cancel();
        }
        state.attention = attention.clone();
        attention
    }

    /// Returns who waits for an answer to what it was called for.
    pub(super) fn take(&self) -> Waiters {
        let mut state = self.lock();
        state.is_called = false;
        std::mem::take(&mut state.waiters)
    }

    /// Returns whether it is to leave.
    pub(super) fn leaves(&self) -> bool {
        self.lock().leaves
    }

    /// Returns whether it is to leave; then it cannot be told to stay any more.
    pub(super) fn go(&self) -> bool {
        let mut state = self.lock();
        state.is_gone = state.leaves;
        state.is_gone
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn call(&mut self) {
        self.is_called = true;
        self.attention.cancel();
    }
}

impl Waiters {
    pub(super) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(super) fn wake(&mut self) {
        for waiter in self.0.drain(..) {
            // Who waited may have gone.
            let _ = waiter.send(());
        }
    }
}
