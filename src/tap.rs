//! Taps: what passes by, told to those who listen.
//!
//! Whoever it passes by asks [`has_listeners`](Tap::has_listeners) first, which is one relaxed load, and tells
//! only then. A listener that falls behind is told how many it has missed; it holds nobody up, and no
//! more than [`BEHIND`] are kept for it. Nor does listening cost much where much passes by: of a second no more than
//! [`PER_SECOND`] are told, and the others count as missed.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::broadcast::{self, error::RecvError};

/// How many a listener may be behind before it misses some.
pub const BEHIND: usize = 256;

/// The most that are told of one second.
pub const PER_SECOND: usize = 500;

/// The most listeners of one tap.
pub const LISTENERS: usize = 32;

/// The most listeners of one tap that are of the same owner.
pub const OF_ONE: usize = LISTENERS / 4;

/// Tells what passes by; clones are the same tap.
pub struct Tap<T>(Arc<Shared<T>>);

struct Shared<T> {
    listeners: AtomicUsize,
    /// How many of them are of whom.
    owners: Mutex<HashMap<u64, usize>>,
    /// The second of the last that passed by, by the system's clock, and how many of it were to be told.
    second: AtomicU64,
    of_second: AtomicUsize,
    /// How many were not told, as there were too many.
    passed_over: AtomicU64,
    /// Made for the first listener: most taps never have one.
    sender: OnceLock<broadcast::Sender<Arc<T>>>,
}

/// One who listens; dropping it ends that.
pub struct Listening<T> {
    receiver: broadcast::Receiver<Arc<T>>,
    /// How many had been passed over when that was told last.
    passed_over: u64,
    owner: Option<u64>,
    shared: Arc<Shared<T>>,
}

/// Why somebody may not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// [As many](LISTENERS) do already as may.
    All,
    /// [As many](OF_ONE) of this owner do.
    OfOne,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<T> {
    /// This has passed by.
    One(Arc<T>),
    /// It was too slow, and has missed so many.
    Missed(u64),
}

impl<T> Tap<T> {
    /// Returns whether anybody listens.
    #[must_use]
    pub fn has_listeners(&self) -> bool {
        self.0.listeners.load(Ordering::Relaxed) > 0
    }

    /// Returns whether somebody listens who is to be told of what passes by in this second, counted from any time. If there
    /// were enough of it, this counts as missed.
    #[must_use]
    pub fn takes(&self, second: u64) -> bool {
        self.has_listeners() && self.has_room(second)
    }

    #[cold]
    fn has_room(&self, second: u64) -> bool {
        let shared = &self.0;
        if shared.second.swap(second, Ordering::Relaxed) != second {
            shared.of_second.store(0, Ordering::Relaxed);
        }
        let has_room = shared.of_second.fetch_add(1, Ordering::Relaxed) < PER_SECOND;
        if !has_room {
            shared.passed_over.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Tells those who listen.
    pub fn tell(&self, what: T) {
        if let Some(sender) = self.0.sender.get() {
            // The last listener may have gone.
            let _ = sender.send(Arc::new(what));
        }
    }

    /// Begins to listen, on behalf of an owner if it is known which.
    ///
    /// # Errors
    /// Too many do already.
    pub fn listen(&self, owner: Option<u64>) -> Result<Listening<T>, Refusal> {
        let shared = &self.0;
        let mut owners = shared.owners();
        if owner.is_some_and(|owner| owners.get(&owner).is_some_and(|now| *now >= OF_ONE)) {
            return Err(Refusal::OfOne);
        }
        // Under the lock nobody else adds one.
        if shared.listeners.load(Ordering::Relaxed) >= LISTENERS {
            return Err(Refusal::All);
        }
        shared.listeners.fetch_add(1, Ordering::Relaxed);
        if let Some(owner) = owner {
            *owners.entry(owner).or_default() += 1;
        }
        drop(owners);
        let sender = shared.sender.get_or_init(|| broadcast::Sender::new(BEHIND));
        Ok(Listening {
            receiver: sender.subscribe(),
            passed_over: shared.passed_over.load(Ordering::Relaxed),
            owner,
            shared: Arc::clone(shared),
        })
    }
}

impl<T> Shared<T> {
    fn owners(&self) -> MutexGuard<'_, HashMap<u64, usize>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Listening<T> {
    /// Returns the next that is heard; `None` when nothing will be any more.
    ///
    /// # Cancel safety
    /// Nothing is missed when the future is dropped.
    pub async fn next(&mut self) -> Option<Heard<T>> {
        let passed_over = self.shared.passed_over.load(Ordering::Relaxed);
        if passed_over > self.passed_over {
            let missed = passed_over - std::mem::replace(&mut self.passed_over, passed_over);
            return Some(Heard::Missed(missed));
        }
        match self.receiver.recv().await {
            Ok(one) => Some(Heard::One(one)),
            Err(RecvError::Lagged(missed)) => Some(Heard::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl<T> Drop for Listening<T> {
    fn drop(&mut self) {
        self.shared.listeners.fetch_sub(1, Ordering::Relaxed);
        let Some(owner) = self.owner else { return };
        let mut owners = self.shared.owners();
        if let Some(count) = owners.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                owners.remove(&owner);
            }
        }
    }
}

impl<T> Default for Tap<T> {
    fn default() -> Self {
        Self(Arc::new(Shared {
            listeners: AtomicUsize::new(0),
            owners: Mutex::default(),
            second: AtomicU64::new(0),
            of_second: AtomicUsize::new(0),
            passed_over: AtomicU64::new(0),
            sender: OnceLock::new(),
        }))
    }
}

impl<T> Clone for Tap<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Tap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Listening<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_hears_what_passes_by_and_how_many_it_missed() {
        let tap = Tap::default();
        tap.tell(0);
        assert!(!tap.has_listeners());
        let mut listening = tap.listen(None).expect("nobody else listens");
        assert!(tap.has_listeners());
        tap.tell(1);
        assert_eq!(listening.next().await, Some(Heard::One(Arc::new(1))));
        for number in 0..BEHIND + 3 {
            tap.tell(number);
        }
        assert_eq!(listening.next().await, Some(Heard::Missed(3)));
        assert_eq!(listening.next().await, Some(Heard::One(Arc::new(3))));
        drop(listening);
        assert!(!tap.has_listeners());
    }

    #[tokio::test]
    async fn of_one_second_only_so_many_are_told_and_the_others_are_missed() {
        let tap = Tap::default();
        assert!(!tap.takes(1), "nobody listens");
        let mut listening = tap.listen(None).expect("nobody else listens");
        let taken = (0..PER_SECOND + 3).filter(|_| tap.takes(1)).count();
        assert_eq!(taken, PER_SECOND);
        assert!(tap.takes(2));
        tap.tell(7);
        assert_eq!(listening.next().await, Some(Heard::Missed(3)));
        assert_eq!(listening.next().await, Some(Heard::One(Arc::new(7))));
    }

    #[tokio::test]
    async fn no_more_listen_than_may() {
        let tap = Tap::<u8>::default();
        let mut listening: Vec<_> = std::iter::from_fn(|| tap.listen(None).ok()).collect();
        assert_eq!(listening.len(), LISTENERS);
        listening.pop();
        assert!(tap.listen(None).is_ok());
        drop(tap);
        // The tap outlives its handle while somebody listens.
        assert_eq!(listening.len(), LISTENERS - 1);
    }

    #[tokio::test]
    async fn of_one_owner_a_part_listens() {
        let tap = Tap::<u8>::default();
        let mut of_one: Vec<_> = std::iter::from_fn(|| tap.listen(Some(1)).ok()).collect();
        assert_eq!(of_one.len(), OF_ONE);
        assert_eq!(tap.listen(Some(1)).err(), Some(Refusal::OfOne));
        let _other = tap.listen(Some(2)).expect("it has none");
        of_one.pop();
        assert!(tap.listen(Some(1)).is_ok());
        drop(of_one);
        assert_eq!(tap.0.owners().len(), 1, "who has gone is not kept");
    }
}
