//! What follows from failed attempts: when the next one is made, when a delivery is given up, when a
//! webhook is left alone for a while, and when it is disabled.
//!
//! All of it is pure: the time and chance come from outside.
//!
//! | decides | about | by |
//! |---|---|---|
//! | [`Policy`] | one delivery: wait how long, or give up | its failures, `Retry-After` |
//! | [`breaker::Breaker`] | one webhook: attempt all, probe, or nothing | attempts that failed in a row |
//! | [`FailureLimit`] | one webhook: disable it | deliveries that failed in a row, time |

pub mod breaker;

use std::num::NonZeroU32;
use std::time::Duration;

use crate::backoff::Backoff;

/// How much of a delay chance may take away: a fifth, as much as Svix does. What failed together
/// is so not tried again together.
const JITTER: f64 = 0.2;

/// Longer than anybody waits, and short enough for every sum of times.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// When the attempts of one delivery are made, and when there are no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The delays between attempts.
    pub schedule: Schedule,
    /// The longest that a receiver may put off the next attempt by `Retry-After`; zero: it may not.
    /// Default 24 h.
    pub retry_after_max: Duration,
    /// What follows from an answer of 410, Gone; default: the webhook is disabled.
    pub on_gone: OnGone,
}

/// The delays between the attempts of one delivery, before jitter.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// The first delay stands first; a delivery whose attempt after the last one fails is given up.
    /// Empty: there is one attempt and no more.
    List(Vec<Duration>),
    /// Each delay is a multiple of the one before.
    Exponential(Exponential),
}

/// Delays that grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Exponential {
    /// The first delay; default 1 s.
    pub initial: Duration,
    /// What each further delay is multiplied with; at least 1, default 2.
    pub factor: f64,
    /// The longest delay; default 1 h.
    pub max: Duration,
    /// For how long a delivery is tried: it is given up when an attempt fails so long after the first
    /// one failed. Default 3 d.
    pub for_: Duration,
}

/// What follows from an answer of 410: the receiver is gone, and will remain so (RFC 9110, 15.5.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGone {
    /// The webhook is disabled, as Standard Webhooks advises.
    Disable,
    /// The delivery is rejected, as with any other 4xx.
    Reject,
}

/// What to do with a delivery whose attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Attempt it again when so much time has passed.
    After(Duration),
    /// It has had all its attempts.
    GiveUp,
}

impl Policy {
    /// Returns what to do with a delivery whose attempt has just failed.
    ///
    /// `failures` counts its failed attempts, this one included; `failing_for` is the time since the
    /// first of them; `retry_after` is what the receiver said. `random` is from 0 to 1 and takes
    /// away up to a fifth of the schedule's delay, never of what the receiver asked for.
    /// A receiver can put an attempt off; it cannot add one.
    #[must_use]
    pub fn next(
        &self,
        failures: u32,
        failing_for: Duration,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Next {
        let Some(delay) = self.schedule.delay(failures, failing_for) else {
            return Next::GiveUp;
        };
        let jittered = delay.saturating_sub(delay.mul_f64(JITTER * random.clamp(0.0, 1.0)));
        let asked = retry_after.unwrap_or_default().min(self.retry_after_max);
        Next::After(jittered.max(asked))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            schedule: Schedule::default(),
            retry_after_max: Duration::from_hours(24),
            on_gone: OnGone::Disable,
        }
    }
}

impl Schedule {
    /// Returns an attempt every hour for 24 h.
    #[must_use]
    pub fn hourly() -> Self {
        Self::List(vec![Duration::from_hours(1); 24])
    }

    /// Returns how long to wait, or `None` to give up.
    fn delay(&self, failures: u32, failing_for: Duration) -> Option<Duration> {
        match self {
            Self::List(delays) => {
                let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
                delays.get(index).copied()
            }
            Self::Exponential(growing) if failing_for >= growing.for_ => None,
            Self::Exponential(growing) => {
                let backoff = Backoff {
                    initial: growing.initial,
                    factor: growing.factor.max(1.0),
                    max: growing.max.min(LONGEST),
                };
                Some(backoff.delay(failures, 0.0))
            }
        }
    }
}

impl Default for Schedule {
    /// Four quick tries within the first minute, and then what Standard Webhooks advises: 13 attempts
    /// in a little over three days.
    fn default() -> Self {
        let seconds = [1, 5, 15, 30].map(Duration::from_secs);
        let minutes = [5, 30].map(Duration::from_mins);
        let hours = [2, 5, 10, 14, 20, 24].map(Duration::from_hours);
        Self::List([&seconds[..], &minutes, &hours].concat())
    }
}

impl Default for Exponential {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_hours(1),
            for_: Duration::from_hours(3 * 24),
        }
    }
}

/// When a webhook whose deliveries fail is disabled; neither by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailureLimit {
    /// After how many failed deliveries in a row; `None`: however many there are.
    pub deliveries: Option<NonZeroU32>,
    /// After how much time since the first failure that no success has followed, more than zero;
    /// `None`: however long it lasts.
    pub time: Option<Duration>,
}

impl FailureLimit {
    /// Returns whether the webhook is to be disabled after so many failed deliveries in a row, or so
    /// much time without success; `failing_for` is zero while there is no failure.
    #[must_use]
    pub fn reached(&self, consecutive_failed_deliveries: u32, failing_for: Duration) -> bool {
        let is_over = |limit: NonZeroU32| consecutive_failed_deliveries >= limit.get();
        self.deliveries.is_some_and(is_over) || self.time.is_some_and(|limit| failing_for >= limit)
    }
}

#[cfg(test)]
mod tests;
