//! How often a webhook may be attempted. Pure: the time comes from outside.
//!
//! Attempts are spaced evenly (GCRA with a burst of one). One that begins late, because a timer or the
//! lane was, does not delay those behind it: up to [`SLACK`] is made up for.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// How much lateness is made up for: more than a timer is late by.
const SLACK: Duration = Duration::from_millis(10);

/// The most attempts in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub attempts: NonZeroU32,
    /// In which time.
    pub per: Duration,
}

impl Rate {
    fn interval(self) -> Duration {
        self.per / self.attempts.get()
    }
}

/// The limit of one webhook.
#[derive(Debug)]
pub(super) struct Limit {
    interval: Duration,
    /// When the next attempt may begin; none before the first.
    next: Option<Instant>,
}

impl Limit {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            interval: rate.interval(),
            next: None,
        }
    }

    /// Returns when the next attempt may begin, if not now.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| *next > now)
    }

    /// Notes that an attempt begins.
    pub(super) fn begin(&mut self, now: Instant) -> Slot {
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        let from = self.next.map_or(now, |next| next.max(earliest));
        self.next = Some(from + self.interval);
        Slot(from)
    }

    /// Takes back what an attempt has got that came to nothing; no longer once another has begun.
    pub(super) fn give_back(&mut self, slot: Slot) {
        if self.next == Some(slot.0 + self.interval) {
            self.next = Some(slot.0);
        }
    }
}

/// What one attempt has got of a limit: from when on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(Instant);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(attempts: u32, per: Duration) -> Limit {
        let attempts = NonZeroU32::new(attempts).expect("more than zero");
        Limit::new(Rate { attempts, per })
    }

    #[test]
    fn attempts_are_spaced_evenly() {
        let (mut limit, now) = (limit(10, Duration::from_secs(1)), Instant::now());
        assert_eq!(limit.until(now), None);
        limit.begin(now);
        let next = now + Duration::from_millis(100);
        assert_eq!(limit.until(now), Some(next));
        assert_eq!(limit.until(next), None);
    }

    #[test]
    fn a_late_timer_costs_no_attempt_and_an_idle_minute_brings_none() {
        let (mut limit, start) = (limit(10, Duration::from_secs(1)), Instant::now());
        let ms = |ms| start + Duration::from_millis(ms);
        limit.begin(start);
        limit.begin(ms(103));
        assert_eq!(limit.until(ms(104)), Some(ms(200)));
        limit.begin(ms(60_000));
        assert_eq!(limit.until(ms(60_000)), Some(ms(60_090)));
    }

    #[test]
    fn who_waits_for_the_limit_gets_all_of_it() {
        let (mut limit, start) = (limit(600, Duration::from_mins(1)), Instant::now());
        let mut now = start;
        for _ in 0..=50 {
            // A timer is late by up to a millisecond or so.
            let until = limit.until(now);
            now = until.map_or(now, |until| until + Duration::from_millis(1));
            limit.begin(now);
        }
        assert_eq!((now - start).as_millis(), 5_001);
    }

    #[test]
    fn what_is_not_sent_costs_nothing() {
        let (mut limit, now) = (limit(10, Duration::from_secs(1)), Instant::now());
        let slot = limit.begin(now);
        limit.give_back(slot);
        assert_eq!(limit.until(now), None);
        let slot = limit.begin(now);
        let next = now + Duration::from_millis(100);
        limit.begin(next);
        limit.give_back(slot);
        assert!(limit.until(next).is_some(), "another has begun");
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_has_more_than_it_may(
            attempts in 1..2_000_u32,
            pauses in proptest::collection::vec((0..40_000_u64, 0..4_u8), 1..300),
        ) {
            let per = Duration::from_secs(1);
            let (mut limit, mut now) = (limit(attempts, per), Instant::now());
            let mut begun: Vec<Instant> = Vec::new();
            for (pause, is_sent) in pauses {
                now += Duration::from_micros(pause);
                if limit.until(now).is_none() {
                    let slot = limit.begin(now);
                    if is_sent > 0 {
                        begun.push(now);
                    } else {
                        limit.give_back(slot);
                    }
                }
            }
            let interval = per.as_nanos() / u128::from(attempts);
            for (first, from) in begun.iter().enumerate() {
                for (last, to) in begun.iter().enumerate().skip(first) {
                    let stretch = (*to - *from + SLACK).as_nanos();
                    let most = stretch / interval + 1;
                    prop_assert!((last - first + 1) as u128 <= most);
                }
            }
        }
    }
}
