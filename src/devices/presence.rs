//! Which of mqhook's own connections are certain, and since when what the broker tells is heard without a gap: shared by
//! the observer and the witnesses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::event::Timestamp;

/// How much earlier than the observer's a connection may have been made to be certain, though its end would not be told:
/// less than any Keep Alive, so that the broker cannot have dropped it in silence.
const TOGETHER: Duration = Duration::from_secs(4);

/// Brokers tell times in steps of up to this.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// Times are in milliseconds since `began`; 0 is never.
#[derive(Debug)]
pub(super) struct Presence {
    began: Instant,
    /// When the observer's connection had its subscriptions.
    observed: AtomicU64,
    /// By the broker's clock, what happened later than this is in the watch. 0: nobody knows.
    heard_since: AtomicU64,
    /// Counts the beginnings and ends of what is heard without a gap.
    epoch: AtomicU64,
    links: Mutex<Vec<Weak<Link>>>,
}

/// When another connection had its subscriptions.
#[derive(Debug, Default)]
pub(super) struct Link(AtomicU64);

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            observed: AtomicU64::new(0),
            heard_since: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            links: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        let ms = self.began.elapsed().as_millis();
        u64::try_from(ms).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Notes that the observer's connection has its subscriptions.
    pub(super) fn observed(&self) {
        self.observed.store(self.now(), Ordering::Release);
    }

    /// Notes that something may be missed from here on.
    pub(super) fn interrupted(&self) {
        self.heard_since.store(0, Ordering::Release);
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that all is heard from here on, which is this time of the broker's clock, if that is known.
    pub(super) fn caught_up(&self, time: Option<Timestamp>) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let since = time.map_or(0, |time| time.after(CLOCK_STEP).as_millis());
        self.heard_since.store(since, Ordering::Release);
    }

    /// Returns the number of the time of hearing in which something happened at this time of the broker's clock; `None` if
    /// that may have been before it.
    pub(super) fn epoch_at(&self, time: Timestamp) -> Option<u64> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let since = self.heard_since.load(Ordering::Acquire);
        (since > 0 && time.as_millis() > since).then_some(epoch)
    }

    /// Returns another connection, which is not there yet.
    pub(super) fn link(&self) -> Arc<Link> {
        let link = Arc::new(Link::default());
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        link
    }

    /// Notes that another connection has its subscriptions.
    pub(super) fn linked(&self, link: &Link) {
        link.0.store(self.now(), Ordering::Release);
    }

    /// Notes that another connection has ended. What comes over the next one may have happened at a broker that was
    /// started anew, before the observer's connection has ended.
    pub(super) fn unlinked(&self, link: &Link) {
        link.0.store(0, Ordering::Release);
        self.heard_since.store(0, Ordering::Release);
    }

    /// Notes that the broker tells of the end of some connection of ours.
    pub(super) fn doubt(&self) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for link in links.iter().filter_map(Weak::upgrade) {
            link.0.store(0, Ordering::Release);
        }
    }

    /// Returns how many connections mqhook is certain to have, the observer's included.
    pub(super) fn certain(&self) -> u64 {
        let observed = self.observed.load(Ordering::Acquire);
        let together = u64::try_from(TOGETHER.as_millis()).unwrap_or(0);
        let is_certain = |link: &Arc<Link>| {
            let linked = link.0.load(Ordering::Acquire);
            linked > 0 && linked.saturating_add(together) >= observed
        };
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let others = links.iter().filter_map(Weak::upgrade).filter(is_certain);
        1 + others.count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_with_the_observers_connection_is_certain() {
        let presence = Presence::new();
        let (early, beside, late) = (presence.link(), presence.link(), presence.link());
        presence.linked(&early);
        presence.observed.store(60_000, Ordering::Release);
        beside.0.store(57_000, Ordering::Release);
        assert_eq!(presence.certain(), 2);
        late.0.store(90_000, Ordering::Release);
        assert_eq!(presence.certain(), 3);
        presence.unlinked(&late);
        assert_eq!(presence.certain(), 2);
        drop(beside);
        assert_eq!(presence.certain(), 1);
        late.0.store(90_000, Ordering::Release);
        presence.doubt();
        assert_eq!(presence.certain(), 1);
    }

    #[test]
    fn only_what_happened_in_the_watch_for_certain_is_in_it() {
        let presence = Presence::new();
        let at = |ms| presence.epoch_at(Timestamp::from_millis(ms));
        assert_eq!(at(u64::MAX), None);
        presence.caught_up(Some(Timestamp::from_millis(5_000)));
        assert_eq!((at(5_000), at(6_000), at(6_001)), (None, None, Some(1)));
        presence.interrupted();
        assert_eq!(at(u64::MAX), None);
        presence.caught_up(None);
        assert_eq!(at(u64::MAX), None);
        presence.caught_up(Some(Timestamp::from_millis(5_000)));
        assert_eq!(at(7_000), Some(4));
        presence.unlinked(&presence.link());
        assert_eq!(at(7_000), None);
    }
}
