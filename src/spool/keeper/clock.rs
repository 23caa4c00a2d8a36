//! The time by which events grow old.

use std::time::{Duration, Instant};

use crate::event::Timestamp;

/// A difference between two clocks that is nobody's doing.
const DRIFT: Duration = Duration::from_mins(1);

/// Tells the time by which events grow old. A clock that is set forward while mqhook runs, as one
/// is that was wrong from the start, must not make all of them too old.
pub(super) struct Clock {
    last: (Instant, Timestamp),
    /// How much the system's clock was set forward.
    ahead: Duration,
}

impl Clock {
    pub(super) const fn new(now: Instant, time: Timestamp) -> Self {
        Self {
            last: (now, time),
            ahead: Duration::ZERO,
        }
    }

    /// Returns the time without what the clock was set forward since the beginning.
    pub(super) fn now(&mut self, now: Instant, time: Timestamp) -> Timestamp {
        let (last_now, last_time) = std::mem::replace(&mut self.last, (now, time));
        let jump = time.since(last_time).saturating_sub(now - last_now);
        if jump > DRIFT {
            self.ahead += jump;
        }
        before(time, self.ahead)
    }
}

/// Returns the time that was `age` before `now`, at the earliest 1970.
pub(super) fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_forward_makes_nothing_old() {
        let (start, time) = (Instant::now(), Timestamp::from_millis(1_000));
        let mut clock = Clock::new(start, time);
        let mut check = |elapsed_s: u64, shown_s: u64, expected_s: u64| {
            let now = start + Duration::from_secs(elapsed_s);
            let shown = time.after(Duration::from_secs(shown_s));
            let expected = time.after(Duration::from_secs(expected_s));
            assert_eq!(clock.now(now, shown), expected, "{elapsed_s} {shown_s}");
        };
        check(10, 10, 10);
        check(20, 1_000_020, 20);
        check(30, 1_000_030, 30);
        check(40, 1_000_045, 45);
    }
}
