//! Totals of one webhook by minute, for the last hour.

use std::collections::VecDeque;
use std::time::Duration;

use crate::event::Timestamp;

/// How many minutes are kept.
pub const MINUTES: usize = 60;

const MINUTE_MS: u64 = 60_000;

/// Latencies are counted in steps of a quarter of a power of two: four buckets for each, from 64 µs on.
const STEPS: u32 = 4;
const FIRST_POWER: u32 = 6;

/// Up to 2^26 µs, which is a minute; all beyond is in the last.
const BUCKETS: usize = 80;

/// What happened within one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Minute {
    /// Deliveries that were delivered.
    pub delivered: u32,
    /// Attempts that failed.
    pub failed: u32,
    /// The latency that half of the attempts did not exceed, to within a fifth; zero if there was none.
    pub median: Duration,
    /// The latency that 99 of 100 attempts did not exceed, likewise.
    pub p99: Duration,
}

/// Counts by minute.
#[derive(Debug)]
pub(super) struct Minutes {
    /// The minute that is counted, since the epoch.
    now: u64,
    current: Minute,
    latencies: [u32; BUCKETS],
    /// Those before it, with their number, the latest at the end.
    past: VecDeque<(u64, Minute)>,
}

impl Default for Minutes {
    fn default() -> Self {
        Self {
            now: 0,
            current: Minute::default(),
            latencies: [0; BUCKETS],
            past: VecDeque::new(),
        }
    }
}

impl Minutes {
    pub(super) fn count(&mut self, at: Timestamp, is_delivered: bool, latency: Duration) {
        let minute = at.as_millis() / MINUTE_MS;
        if minute != self.now {
            self.turn(minute);
        }
        if is_delivered {
            self.current.delivered = self.current.delivered.saturating_add(1);
        } else {
            self.current.failed = self.current.failed.saturating_add(1);
        }
        let bucket = &mut self.latencies[bucket(latency)];
        *bucket = bucket.saturating_add(1);
    }

    /// Returns the last hour, the minute of `now` at the end.
    pub(super) fn last_hour(&self, now: Timestamp) -> Vec<Minute> {
        let last = now.as_millis() / MINUTE_MS;
        let mut hour = vec![Minute::default(); MINUTES];
        let known = self.past.iter().copied();
        for (minute, totals) in known.chain([(self.now, self.finished())]) {
            let age = last
                .checked_sub(minute)
                .and_then(|age| usize::try_from(age).ok());
            if let Some(place) = age.and_then(|age| (MINUTES - 1).checked_sub(age)) {
                hour[place] = totals;
            }
        }
        hour
    }

    #[cold]
    fn turn(&mut self, minute: u64) {
        if self.current != Minute::default() {
            if self.past.len() == MINUTES {
                self.past.pop_front();
            }
            self.past.push_back((self.now, self.finished()));
        }
        self.now = minute;
        self.current = Minute::default();
        self.latencies = [0; BUCKETS];
    }

    fn finished(&self) -> Minute {
        Minute {
            median: self.quantile(50),
            p99: self.quantile(99),
            ..self.current
        }
    }

    fn quantile(&self, percent: u64) -> Duration {
        let total: u64 = self.latencies.iter().map(|&count| u64::from(count)).sum();
        let wanted = (total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, &count) in self.latencies.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return upper_bound(bucket);
            }
        }
        Duration::ZERO
    }
}

fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    let power = micros.max(1).ilog2();
    if power < FIRST_POWER {
        return 0;
    }
    let step = (micros >> (power - 2)) & u64::from(STEPS - 1);
    let bucket = u64::from((power - FIRST_POWER) * STEPS) + step;
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// Returns what the latencies of a bucket are below.
fn upper_bound(bucket: usize) -> Duration {
    let (power, step) = (bucket as u64 / 4, bucket as u64 % 4);
    Duration::from_micros((STEPS as u64 + step + 1) << (power + u64::from(FIRST_POWER) - 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn minute(number: u64) -> Timestamp {
        Timestamp::from_millis(START.as_millis() + number * MINUTE_MS)
    }

    #[test]
    fn latencies_are_told_to_within_a_fifth() {
        for micros in (64..70_000_000).step_by(9_973) {
            let latency = Duration::from_micros(micros);
            let bound = upper_bound(bucket(latency));
            let is_last = bucket(latency) == BUCKETS - 1;
            assert!(bound > latency || is_last, "{latency:?} {bound:?}");
            assert!(bound <= latency * 5 / 4, "{latency:?} {bound:?}");
        }
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn an_hour_is_told_by_minute_and_quiet_minutes_are_zero() {
        let mut minutes = Minutes::default();
        for number in [0, 0, 1, 3, 70, 71] {
            minutes.count(minute(number), number != 1, Duration::from_millis(number));
        }
        let hour = minutes.last_hour(minute(3));
        assert_eq!(hour.len(), MINUTES);
        let told: Vec<_> = hour[56..]
            .iter()
            .map(|it| (it.delivered, it.failed))
            .collect();
        assert_eq!(told, [(2, 0), (0, 1), (0, 0), (1, 0)]);
        let told = minutes.last_hour(minute(71))[57..].to_vec();
        assert_eq!(told.iter().map(|it| it.delivered).sum::<u32>(), 2);
        assert!(told[2].median >= Duration::from_millis(71));
        assert_eq!(
            minutes.last_hour(minute(500)),
            vec![Minute::default(); MINUTES]
        );
    }

    #[test]
    fn one_in_a_hundred_is_what_the_last_percentile_leaves_out() {
        let mut minutes = Minutes::default();
        for number in 0..100 {
            let ms = if number == 0 { 1_000 } else { 10 };
            minutes.count(START, true, Duration::from_millis(ms));
        }
        let told = minutes.last_hour(START)[MINUTES - 1];
        assert!(told.median < Duration::from_millis(13), "{told:?}");
        assert!(told.p99 < Duration::from_millis(13), "{told:?}");
        minutes.count(START, true, Duration::from_secs(1));
        let told = minutes.last_hour(START)[MINUTES - 1];
        assert!(told.p99 >= Duration::from_secs(1), "{told:?}");
    }

    #[test]
    fn a_clock_that_jumps_back_loses_nothing_but_order() {
        let mut minutes = Minutes::default();
        for number in [5, 2, 5] {
            minutes.count(minute(number), true, Duration::ZERO);
        }
        let hour = minutes.last_hour(minute(5));
        assert!(hour[MINUTES - 1].delivered >= 1 && hour[MINUTES - 4].delivered == 1);
    }
}
