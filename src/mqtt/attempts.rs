//! Which version of MQTT to try next, and when. Pure: time and chance come from outside.

use std::time::Duration;

use super::{Cause, Problem, Protocol, Status};
use crate::backoff::Backoff;

/// Between attempts to connect; an attempt after a connection that held starts over.
pub(super) const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(500),
    factor: 2.0,
    max: Duration::from_secs(30),
};

/// A connection that held for this long makes up for the failures before it.
const HELD: Duration = Duration::from_secs(10);

/// Which version to try next, and when.
#[derive(Debug)]
pub(super) struct Attempts {
    pub(super) protocol: Protocol,
    /// Whether the version is ours to choose.
    automatic: bool,
    /// Whether the next attempt is the first one in another version.
    pub(super) switched: bool,
    /// Whether both versions have been tried since a connection was accepted.
    tried_both: bool,
    failures: u32,
    /// What the log said last.
    pub(super) reported: Option<Problem>,
}

impl Attempts {
    pub(super) fn new(configured: Option<Protocol>) -> Self {
        Self {
            protocol: configured.unwrap_or(Protocol::V5),
            automatic: configured.is_none(),
            switched: false,
            tried_both: false,
            failures: 0,
            reported: None,
        }
    }

    /// Returns how long to wait before the next attempt.
    pub(super) fn failed(
        &mut self,
        problem: &Problem,
        last: &Status,
        lasted: Duration,
        random: f64,
    ) -> Duration {
        let connected = *last != Status::Connecting;
        if problem.cause == Cause::Restart {
            return Duration::ZERO;
        }
        if connected && lasted >= HELD {
            self.failures = 0;
            self.reported = None;
        }
        self.failures += 1;
        self.switch(connected, problem);
        BACKOFF.delay(self.failures, random)
    }

    /// Chooses the other version, if that may help; the first time is not worth a warning.
    fn switch(&mut self, connected: bool, problem: &Problem) {
        let other = match self.protocol {
            Protocol::V5 => Protocol::V4,
            Protocol::V4 => Protocol::V5,
        };
        let may_help = self.automatic && !connected && speaks_another_version(problem);
        self.switched = may_help && !self.tried_both;
        self.tried_both = may_help && (self.tried_both || self.switched);
        if may_help {
            self.protocol = other;
        }
    }
}

/// Returns whether a broker that speaks only another version may have failed like this.
fn speaks_another_version(problem: &Problem) -> bool {
    matches!(
        problem.cause,
        Cause::ProtocolVersion | Cause::Protocol | Cause::Closed | Cause::Timeout
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(attempts: &mut Attempts, cause: Cause, last: &Status, lasted_s: u64) -> Duration {
        let lasted = Duration::from_secs(lasted_s);
        attempts.failed(&Problem::new(cause, ""), last, lasted, 0.0)
    }

    #[test]
    fn attempts_slow_down_until_a_connection_holds() {
        let mut attempts = Attempts::new(None);
        let mut check = |cause, last: &Status, lasted_s, expected_ms| {
            let delay = failed(&mut attempts, cause, last, lasted_s);
            assert_eq!(delay, Duration::from_millis(expected_ms), "{cause:?}");
        };
        let subscribed = Status::Subscribed(Protocol::V5);
        check(Cause::Unreachable, &Status::Connecting, 0, 500);
        check(Cause::Unreachable, &Status::Connecting, 0, 1_000);
        check(Cause::Closed, &subscribed, 1, 2_000);
        check(Cause::Closed, &subscribed, 60, 500);
        check(Cause::Restart, &subscribed, 1, 0);
    }

    #[test]
    fn the_other_version_is_tried_only_when_it_may_help() {
        let check = |configured, cause, last, expected| {
            let mut attempts = Attempts::new(configured);
            failed(&mut attempts, cause, &last, 0);
            assert_eq!(attempts.protocol, expected, "{cause:?}");
        };
        check(
            None,
            Cause::ProtocolVersion,
            Status::Connecting,
            Protocol::V4,
        );
        check(None, Cause::Closed, Status::Connecting, Protocol::V4);
        check(None, Cause::Unreachable, Status::Connecting, Protocol::V5);
        check(None, Cause::Closed, Status::Subscribing, Protocol::V5);
        check(
            Some(Protocol::V5),
            Cause::ProtocolVersion,
            Status::Connecting,
            Protocol::V5,
        );
    }

    #[test]
    fn only_the_first_switch_is_no_news() {
        let mut attempts = Attempts::new(None);
        let mut check = |last, expected| {
            failed(&mut attempts, Cause::Closed, &last, 0);
            assert_eq!(attempts.switched, expected);
        };
        check(Status::Connecting, true);
        check(Status::Connecting, false);
        check(Status::Subscribed(Protocol::V5), false);
        check(Status::Connecting, true);
    }
}
