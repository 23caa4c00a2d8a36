//! Waiting longer each time: between attempts to connect, and between attempts to deliver.

use std::time::Duration;

/// Delays that grow from one try to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// The delay after the first failure, before jitter.
    pub initial: Duration,
    /// What each further delay is multiplied with; at least 1.
    pub factor: f64,
    /// The longest delay.
    pub max: Duration,
}

impl Backoff {
    /// Returns how long to wait after `failures` failures in a row, at least 1.
    ///
    /// `random` is from 0 to 1 and takes away up to half of the delay, so that what failed
    /// together is not tried again together.
    #[must_use]
    pub fn delay(&self, failures: u32, random: f64) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let delay = grown.min(self.max.as_secs_f64());
        Duration::from_secs_f64(delay * (1.0 - random.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_the_longest_and_jitter_downwards() {
        let backoff = Backoff {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_mins(1),
        };
        let check = |failures, random, expected_ms| {
            let delay = backoff.delay(failures, random);
            assert_eq!(delay, Duration::from_millis(expected_ms));
        };
        check(1, 0.0, 1_000);
        check(2, 0.0, 2_000);
        check(2, 1.0, 1_000);
        check(3, 0.5, 3_000);
        check(7, 0.0, 60_000);
        check(u32::MAX, 0.0, 60_000);
        check(0, 0.0, 1_000);
    }
}
