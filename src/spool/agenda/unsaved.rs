//! Accepted events that are nowhere but in memory, in order.

use std::collections::VecDeque;
use std::collections::vec_deque::Iter;
use std::sync::Arc;

use super::{Accepted, Inner};
use crate::event::Event;

/// Bytes of unsaved events from which on those that are settled are looked for.
const FORGET: usize = 4 << 20;

/// Accepted events that are nowhere but in memory, and some that were until lately.
#[derive(Debug)]
pub(super) struct Queue {
    events: VecDeque<Unsaved>,
    /// Bytes of them, and from how many on those that are settled are looked for.
    bytes: usize,
    forget_at: usize,
}

/// An event that was nowhere but in memory when it was accepted.
#[derive(Debug)]
pub(super) struct Unsaved {
    pub(super) event: Arc<Event>,
    pub(super) accepted: Arc<Accepted>,
    /// How many ticks there had been when it was accepted.
    pub(super) tick: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            forget_at: FORGET,
        }
    }
}

impl Queue {
    /// Puts in an event, and lets go of what is done at the front: two for each that comes, so that it stays short
    /// without the thread, which has better to do.
    pub(super) fn push(&mut self, unsaved: Unsaved) {
        self.forget_front();
        self.forget_front();
        self.bytes += unsaved.event.size();
        self.events.push_back(unsaved);
        if self.bytes > self.forget_at {
            self.forget_settled();
        }
    }

    /// Lets go of the first event if it is settled or handed over; returns whether it was.
    fn forget_front(&mut self) -> bool {
        let first = self.events.front();
        let is_done = first.is_some_and(|first| !first.accepted.is_unsaved());
        if is_done && let Some(first) = self.events.pop_front() {
            self.bytes -= first.event.size();
        }
        is_done
    }

    /// Lets go of what need not be written any more, or is to be. While nothing can be written, or there is hardly
    /// room for more, it is worth to look at all.
    pub(super) fn forget_done(&mut self, spool: &Inner, is_failing: bool) {
        if is_failing || !spool.disk.fits() {
            self.forget_settled();
        } else {
            while self.forget_front() {}
        }
        if spool.disk.set_unsaved(self.bytes) {
            spool.wake_waiting();
        }
    }

    /// Lets go of all events that are settled, which happens by itself with the tick unless the thread
    /// is held up.
    fn forget_settled(&mut self) {
        self.events.retain(|unsaved| unsaved.accepted.is_unsaved());
        self.bytes = self.iter().map(|unsaved| unsaved.event.size()).sum();
        self.forget_at = (2 * self.bytes).max(FORGET);
    }

    /// Returns how many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn iter(&self) -> Iter<'_, Unsaved> {
        self.events.iter()
    }
}
