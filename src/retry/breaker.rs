//! The breaker of one webhook: a receiver that takes nothing is left alone, but for a probe now and
//! then, so that deliveries do not use up their attempts while it is down.
//!
//! ```text
//!          `failures` attempts in a row failed
//!  closed ------------------------------------> open: nothing until a time,
//!    ^                                            |   then one probe at a time
//!    +--------------- a probe succeeded ----------+
//!                     a probe failed: open for longer, up to `max`
//! ```
//!
//! An attempt speaks only for the state that it was begun in. One that was under way when the
//! breaker opened neither closes it nor keeps it open, and one from before it closed does not
//! count against a receiver that is well again. But `Retry-After` is heard from every one of them.
//!
//! What the receiver rejects it has taken notice of: for the breaker, that is success.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::LONGEST;
use crate::backoff::Backoff;

/// What the time between two probes is multiplied with.
const FACTOR: f64 = 2.0;

/// When a breaker opens, and how often it probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many attempts in a row must fail for it to open; default 10. Few enough that an outage
    /// costs few deliveries an attempt, enough that a receiver which fails now and then is not held
    /// back: twice `FluxMQ`'s number, and the least that Convoy judges by.
    pub failures: NonZeroU32,
    /// From opening to the first probe, up to half of which chance takes away; default 1 s.
    pub initial: Duration,
    /// The longest time between probes, which doubles from one to the next; default 30 s.
    pub max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU32::new(10).expect("it is not zero") },
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Returns the time to the next probe after so many that failed.
    fn wait(&self, failed_probes: u32, random: f64) -> Duration {
        let backoff = Backoff {
            initial: self.initial,
            factor: FACTOR,
            max: self.max.min(LONGEST),
        };
        backoff.delay(failed_probes.saturating_add(1), random)
    }
}

/// Whether a webhook's deliveries are attempted.
#[derive(Debug)]
pub struct Breaker {
    config: Config,
    retry_after_max: Duration,
    state: State,
    /// Grows when the breaker opens, probes and closes: an attempt of an earlier era says nothing
    /// about this one.
    era: u64,
}

#[derive(Debug)]
enum State {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        failed_probes: u32,
        /// No probe begins before.
        until: Instant,
        is_probing: bool,
    },
}

/// An attempt as the breaker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    era: u64,
}

/// What may be attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everything.
    All,
    /// One attempt.
    Probe,
    /// Nothing until a time; with `None` until the probe that is under way has ended.
    Nothing {
        /// When a probe may begin.
        until: Option<Instant>,
    },
}

/// What an attempt has changed, for the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The receiver is left alone from now on.
    Opened,
    /// It takes events again.
    Closed,
}

impl Breaker {
    /// Returns a breaker that admits everything. A receiver can put off a probe by `Retry-After`,
    /// by no more than `retry_after_max`.
    #[must_use]
    pub fn new(config: Config, retry_after_max: Duration) -> Self {
        Self {
            config,
            retry_after_max,
            state: State::Closed { failures: 0 },
            era: 0,
        }
    }

    /// Begins anew with another configuration; attempts that have begun say nothing of it.
    pub fn renew(&mut self, config: Config, retry_after_max: Duration) {
        let era = self.era + 1;
        *self = Self {
            era,
            ..Self::new(config, retry_after_max)
        };
    }

    /// Returns whether everything may be attempted, without a look at the clock.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Returns what may be attempted now.
    #[must_use]
    pub fn admits(&self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::All,
            State::Open {
                is_probing: true, ..
            } => Admission::Nothing { until: None },
            State::Open { until, .. } if now < until => Admission::Nothing { until: Some(until) },
            State::Open { .. } => Admission::Probe,
        }
    }

    /// Notes that an admitted attempt begins. What has come of it is to be told with what this
    /// returns, by one of [`succeeded`](Self::succeeded), [`failed`](Self::failed) and
    /// [`abandoned`](Self::abandoned): a probe of which nothing is told is the last one.
    #[must_use]
    pub fn started(&mut self) -> Attempt {
        if let State::Open { is_probing, .. } = &mut self.state {
            *is_probing = true;
            self.era += 1;
        }
        Attempt { era: self.era }
    }

    /// Notes that the receiver has answered an attempt: it has delivered, or was rejected.
    pub fn succeeded(&mut self, attempt: Attempt) -> Option<Change> {
        if attempt.era != self.era {
            return None;
        }
        let change = match self.state {
            State::Closed { .. } => None,
            State::Open { .. } => Some(Change::Closed),
        };
        self.state = State::Closed { failures: 0 };
        self.era += u64::from(change.is_some());
        change
    }

    /// Notes that an attempt has failed and may be made again. `retry_after` is for how long the
    /// receiver asked to be left alone, if it did; `random` is from 0 to 1 and takes away up to half
    /// of the time to the next probe, but nothing of what the receiver asked for.
    pub fn failed(
        &mut self,
        attempt: Attempt,
        retry_after: Option<Duration>,
        now: Instant,
        random: f64,
    ) -> Option<Change> {
        let is_current = attempt.era == self.era;
        let asked = retry_after.unwrap_or_default().min(self.retry_after_max);
        let asked = now + asked.min(LONGEST);
        match &mut self.state {
            State::Closed { failures } if is_current => {
                *failures += 1;
                if *failures < self.config.failures.get() {
                    return None;
                }
                self.state = State::Open {
                    failed_probes: 0,
                    until: asked.max(now + self.config.wait(0, random)),
                    is_probing: false,
                };
                self.era += 1;
                Some(Change::Opened)
            }
            State::Closed { .. } => None,
            State::Open {
                failed_probes,
                until,
                is_probing,
            } => {
                *until = asked.max(*until);
                if is_current && *is_probing {
                    *is_probing = false;
                    *failed_probes = failed_probes.saturating_add(1);
                    let next = now + self.config.wait(*failed_probes, random);
                    *until = next.max(*until);
                }
                None
            }
        }
    }

    /// Notes that an attempt was broken off, so that nothing is known of the receiver.
    pub fn abandoned(&mut self, attempt: Attempt) {
        if let State::Open { is_probing, .. } = &mut self.state
            && attempt.era == self.era
        {
            *is_probing = false;
        }
    }
}

#[cfg(test)]
mod tests;
