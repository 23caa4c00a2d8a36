//! What a lane is told while it runs: to go by another configuration, to finish, or to leave.
//!
//! A token calls for its attention, the same one that tells of the end, so that a lane that nobody calls
//! looks at nothing more than it did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::Config;
use crate::sink::Sink;

/// Another configuration of a lane's webhook, whose deliveries are kept and sequenced as before.
#[derive(Clone)]
pub struct Revision {
    /// How they are attempted.
    pub config: Config,
    /// What takes them; `None`: what did so far.
    pub sink: Option<Arc<dyn Sink>>,
}

/// Tells a lane something while it runs.
#[derive(Clone, Default)]
pub struct Orders(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    revision: Option<Revision>,
    finishes: bool,
    leaves: bool,
    attention: CancellationToken,
}

impl Orders {
    /// Has the lane go by another configuration from the next attempt on; those under way end as they began.
    pub fn revise(&self, revision: Revision) {
        let mut state = self.lock();
        // One that nobody has looked at yet has perhaps another sink than the lane.
        let earlier = state.revision.take().and_then(|earlier| earlier.sink);
        let sink = revision.sink.or(earlier);
        state.revision = Some(Revision { sink, ..revision });
        state.attention.cancel();
    }

    /// Has the lane end when it has nothing more, as another takes its place and cannot get what is in memory only.
    pub fn finish(&self) {
        let mut state = self.lock();
        state.finishes = true;
        state.attention.cancel();
    }

    /// Has the lane end, as its webhook has gone. What is durable stays in the store; the rest is attempted
    /// once if its receiver takes anything, and then dropped, so that it holds back nothing.
    pub fn leave(&self) {
        let mut state = self.lock();
        state.leaves = true;
        state.attention.cancel();
    }

    /// Returns what calls for attention the next time, or with `closing`.
    pub(super) fn attention(&self, closing: &CancellationToken) -> CancellationToken {
        let mut state = self.lock();
        let attention = closing.child_token();
        if state.revision.is_some() || state.finishes || state.leaves {
            attention.cancel();
        }
        state.attention = attention.clone();
        attention
    }

    pub(super) fn take_revision(&self) -> Option<Revision> {
        self.lock().revision.take()
    }

    /// Returns whether it is to finish; the next call does not.
    pub(super) fn take_finish(&self) -> bool {
        std::mem::take(&mut self.lock().finishes)
    }

    pub(super) fn leaves(&self) -> bool {
        self.lock().leaves
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
