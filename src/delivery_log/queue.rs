//! What waits to be written: bounded, and never waited for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use crate::event::Event;

/// The most attempts that wait.
const MOST: usize = 2_048;

/// The most bytes of events that wait with them.
const MOST_BYTES: usize = 4 << 20;

/// So many are written at once, without a wait for more.
const FULL: usize = 512;

/// How long others are waited for, to be written together.
const GATHER: Duration = Duration::from_millis(100);

/// An attempt that is to be written.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) attempt: Attempt,
    /// Its event, if that is to be kept.
    pub(super) event: Option<Box<Event>>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Entry>,
    bytes: usize,
    /// What is being written, and not yet there for those who read.
    writing: Arc<Vec<Entry>>,
    is_closing: bool,
}

/// What the thread does next.
#[derive(Debug)]
pub(super) enum Work {
    Write(Arc<Vec<Entry>>),
    /// Nothing has come for a while.
    Tend,
    End,
}

impl Queue {
    /// Puts in an attempt; returns whether there was room.
    pub(super) fn push(&self, entry: Entry) -> bool {
        let mut state = self.lock();
        let size = entry.event.as_deref().map_or(0, Event::size);
        let has_bytes = size == 0 || state.bytes == 0 || state.bytes + size <= MOST_BYTES;
        if state.waiting.len() >= MOST || !has_bytes || state.is_closing {
            return false;
        }
        state.bytes += size;
        state.waiting.push(entry);
        if state.waiting.len() == 1 || state.waiting.len() == FULL {
            self.wake.notify_one();
        }
        true
    }

    /// Returns what there is to do, once there is something, or `patience` has run out.
    pub(super) fn work(&self, patience: Duration) -> Work {
        let mut state = self.lock();
        let until = Instant::now() + patience;
        while state.waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if state.is_closing {
                return Work::End;
            }
            if left.is_zero() {
                return Work::Tend;
            }
            state = self.wait(state, left);
        }
        let until = Instant::now() + GATHER;
        while state.waiting.len() < FULL && !state.is_closing {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, left);
        }
        state.bytes = 0;
        state.writing = Arc::new(std::mem::take(&mut state.waiting));
        Work::Write(Arc::clone(&state.writing))
    }

    /// Notes that what was being written is there to be read, or lost.
    pub(super) fn written(&self) {
        self.lock().writing = Arc::default();
    }

    /// Shows what is not yet there to be read.
    pub(super) fn see(&self, mut show: impl FnMut(&Attempt)) {
        let state = self.lock();
        let all = state.writing.iter().chain(&state.waiting);
        all.for_each(|entry| show(&entry.attempt));
    }

    /// Has everything written, and the thread end.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let woken = self.wake.wait_timeout(state, time);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }
}
