//! Which of mqhook's own connections are certain, and since when what the broker tells is heard without a gap: shared by
//! the observer and the witnesses.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::event::Timestamp;

/// How much earlier than the observer's a connection may have been made to be certain:
/// less than any Keep Alive, so that the broker cannot have dropped it in silence.
const TOGETHER: Duration = Duration::from_secs(4);

/// Brokers tell times in steps of up to this.
const CLOCK_STEP: Duration = Duration::from_secs(1);

/// How far ahead of ours a broker's clock may go in a watch, the step included.
const CLOCK_DRIFT: Duration = Duration::from_secs(2);

/// Times are in milliseconds since `began`; 0 is never.
#[derive(Debug)]
pub(super) struct Presence {
    began: Instant,
    /// When the observer's connection had its subscriptions.
    observed: AtomicU64,
    /// By the broker's clock, when that was told from which on all is heard. 0: nobody knows.
    heard_since: AtomicU64,
    /// When it was heard.
    heard_at: AtomicU64,
    /// When another connection was made or ended last.
    moved: AtomicU64,
    /// Counts the beginnings and ends of watches.
    epoch: AtomicU64,
    /// Counts what makes a connection certain, or takes that away.
    changes: AtomicU64,
    links: Mutex<Vec<Weak<Link>>>,
}

/// How many connections mqhook is certain to have, the observer's included. The same number of changes
/// means the same connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) connections: u64,
    pub(super) changes: u64,
}

/// Another connection.
#[derive(Debug)]
pub(super) struct Link {
    client_id: String,
    /// When it had its subscriptions; 0: it is not there.
    linked: AtomicU64,
    /// Whether the broker that the observer hears has told of it, and not of its end.
    is_told: AtomicBool,
}

impl Presence {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            observed: AtomicU64::new(0),
            heard_since: AtomicU64::new(0),
            heard_at: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            links: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.ms(Instant::now())
    }

    fn ms(&self, at: Instant) -> u64 {
        let ms = at.saturating_duration_since(self.began).as_millis();
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
        self.tell(|_| true, false);
    }

    /// Notes that all is heard that was told before a probe was made, at this time of the broker's clock, if
    /// that is known.
    pub(super) fn caught_up(&self, time: Option<Timestamp>, probed: Instant) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let is_news = self.ms(probed) > self.moved.load(Ordering::Acquire);
        let time = time.filter(|_| is_news);
        let since = time.map_or(0, Timestamp::as_millis);
        self.heard_at.store(self.now(), Ordering::Release);
        self.heard_since.store(since, Ordering::Release);
    }

    /// Returns the number of the watch in which something happened at this time of the broker's clock; `None` if
    /// that may have been before it, or by a clock that was set back since.
    pub(super) fn epoch_at(&self, time: Timestamp) -> Option<u64> {
        let epoch = self.epoch.load(Ordering::Acquire);
        let since = self.heard_since.load(Ordering::Acquire);
        let earliest = Timestamp::from_millis(since).after(CLOCK_STEP);
        if since == 0 || time <= earliest {
            return None;
        }
        let heard_at = self.heard_at.load(Ordering::Acquire);
        let passed = Duration::from_millis(self.now().saturating_sub(heard_at));
        let latest = Timestamp::from_millis(since).after(passed + CLOCK_DRIFT);
        (time <= latest).then_some(epoch)
    }

    /// Returns another connection, which is not there yet.
    pub(super) fn link(&self, client_id: &str) -> Arc<Link> {
        let link = Arc::new(Link {
            client_id: client_id.to_owned(),
            linked: AtomicU64::new(0),
            is_told: AtomicBool::new(false),
        });
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        link
    }

    /// Notes that another connection has its subscriptions.
    pub(super) fn linked(&self, link: &Link) {
        link.linked.store(self.now(), Ordering::Release);
        self.moved();
    }

    /// Notes that another connection has ended.
    pub(super) fn unlinked(&self, link: &Link) {
        link.linked.store(0, Ordering::Release);
        link.is_told.store(false, Ordering::Release);
        self.moved();
    }

    /// What comes over another connection may have happened at a broker that was started anew, before the
    /// observer's connection has ended: until a newer probe is heard.
    fn moved(&self) {
        self.moved.store(self.now(), Ordering::Release);
        self.heard_since.store(0, Ordering::Release);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Notes that the broker tells of a connection of ours.
    pub(super) fn told(&self, client_id: &str) {
        self.tell(|link| link.client_id == client_id, true);
    }

    /// Notes that the broker tells of the end of a connection of ours.
    pub(super) fn told_end(&self, client_id: &str) {
        self.tell(|link| link.client_id == client_id, false);
    }

    fn tell(&self, is_meant: impl Fn(&Link) -> bool, is_told: bool) {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let links = links.iter().filter_map(Weak::upgrade);
        for link in links.filter(|link| is_meant(link)) {
            link.is_told.store(is_told, Ordering::Release);
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns which connections mqhook is certain to have: the observer's, and those that are there of which it was told
    /// over that.
    pub(super) fn certain(&self) -> Own {
        let changes = self.changes.load(Ordering::Acquire);
        let observed = self.observed.load(Ordering::Acquire);
        let together = u64::try_from(TOGETHER.as_millis()).unwrap_or(0);
        let is_certain = |link: &Arc<Link>| {
            let linked = link.linked.load(Ordering::Acquire);
            let is_told = link.is_told.load(Ordering::Acquire);
            is_told && linked > 0 && linked.saturating_add(together) >= observed
        };
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let others = links.iter().filter_map(Weak::upgrade).filter(is_certain);
        Own {
            connections: 1 + others.count() as u64,
            changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_and_was_told_with_the_observers_connection_is_certain() {
        let presence = Presence::new();
        let certain = || presence.certain().connections;
        let links = ["early", "beside", "late"].map(|id| presence.link(id));
        let [early, beside, late] = &links;
        for link in &links {
            presence.linked(link);
        }
        assert_eq!(
            certain(),
            1,
            "it may be at another broker, or not at the time"
        );
        for id in ["early", "beside", "late", "other"] {
            presence.told(id);
        }
        assert_eq!(certain(), 4);
        early.linked.store(1, Ordering::Release);
        presence.observed.store(60_000, Ordering::Release);
        beside.linked.store(57_000, Ordering::Release);
        late.linked.store(90_000, Ordering::Release);
        assert_eq!(certain(), 3);
        presence.told_end("beside");
        assert_eq!(certain(), 2);
        presence.unlinked(late);
        assert_eq!(certain(), 1);
        late.linked.store(90_000, Ordering::Release);
        assert_eq!(certain(), 1, "the next one is told of anew");
        presence.told("late");
        presence.interrupted();
        assert_eq!(certain(), 1);
    }

    #[test]
    fn other_connections_are_never_taken_for_the_same() {
        let presence = Presence::new();
        let link = presence.link("a");
        let mut last = presence.certain();
        let changes: [&dyn Fn(); 4] = [
            &|| presence.linked(&link),
            &|| presence.told("a"),
            &|| presence.told_end("a"),
            &|| presence.unlinked(&link),
        ];
        for change in changes {
            change();
            assert_ne!(presence.certain(), last);
            last = presence.certain();
        }
    }

    #[test]
    fn only_what_happened_in_the_watch_for_certain_is_in_it() {
        let presence = Presence::new();
        let at = |ms| presence.epoch_at(Timestamp::from_millis(ms));
        let time = Some(Timestamp::from_millis(5_000));
        assert_eq!(at(6_500), None);
        presence.caught_up(time, Instant::now());
        assert_eq!((at(5_000), at(6_000), at(6_001)), (None, None, Some(1)));
        presence.interrupted();
        assert_eq!(at(6_500), None);
        presence.caught_up(None, Instant::now());
        assert_eq!(at(6_500), None);
        presence.caught_up(time, Instant::now());
        assert_eq!(at(6_500), Some(4));
    }

    #[test]
    fn what_is_ahead_of_the_brokers_clock_is_in_no_watch() {
        let presence = Presence::new();
        let at = |ms| presence.epoch_at(Timestamp::from_millis(ms));
        presence.caught_up(Some(Timestamp::from_millis(5_000)), Instant::now());
        assert_eq!(
            (at(7_000), at(3_600_000), at(u64::MAX)),
            (Some(1), None, None)
        );
    }

    #[test]
    fn what_comes_over_another_connection_counts_from_a_newer_probe_on() {
        let presence = Presence::new();
        let at = |ms| presence.epoch_at(Timestamp::from_millis(ms));
        let time = Some(Timestamp::from_millis(5_000));
        let link = presence.link("a");
        for change in [Presence::unlinked, Presence::linked] {
            let before = Instant::now();
            let after = before + Duration::from_secs(1);
            presence.caught_up(time, after);
            assert!(at(6_500).is_some());
            change(&presence, &link);
            assert_eq!(at(6_500), None);
            presence.caught_up(time, before);
            assert_eq!(at(6_500), None);
            presence.caught_up(time, after);
            assert!(at(6_500).is_some());
        }
    }
}
