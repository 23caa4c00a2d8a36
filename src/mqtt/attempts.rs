//! Which version of MQTT to try next, and when. Pure: time and chance come from outside.
//!
//! A broker that does not know MQTT 5 may say so, or answer something else, or close, or say
//! nothing; the last two also happen when nothing is wrong but the moment. So they make 3.1.1 the
//! version of one connection only: the next one begins with 5 again, and if that fails as before,
//! 3.1.1 follows without a delay. After a broker has accepted 5, or has said that it refuses 5,
//! they mean nothing.

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
    /// The version that the broker speaks: 5 once it accepted that, otherwise the one that is left
    /// since it refused the other; `None` while a doubt is left.
    spoken: Option<Protocol>,
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
            spoken: None,
            switched: false,
            tried_both: false,
            failures: 0,
            reported: None,
        }
    }

    /// Notes that the broker has accepted a connection in this version.
    pub(super) fn accepted(&mut self) {
        if self.protocol == Protocol::V5 {
            self.spoken = Some(Protocol::V5);
        }
        self.tried_both = false;
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
        if connected {
            self.accepted();
        }
        if problem.cause == Cause::Restart {
            return Duration::ZERO;
        }
        if connected && lasted >= HELD {
            self.failures = 0;
            self.reported = None;
        }
        let next = if !self.automatic {
            self.protocol
        } else if connected {
            self.spoken.unwrap_or(Protocol::V5)
        } else {
            self.after(problem.cause)
        };
        self.switch(next, connected);
        if self.switched {
            return Duration::ZERO;
        }
        self.failures += 1;
        BACKOFF.delay(self.failures, random)
    }

    /// Returns the version to try after one was not accepted.
    fn after(&mut self, cause: Cause) -> Protocol {
        let other = match self.protocol {
            Protocol::V5 => Protocol::V4,
            Protocol::V4 => Protocol::V5,
        };
        match cause {
            Cause::ProtocolVersion => {
                self.spoken = Some(other);
                other
            }
            Cause::Protocol => other,
            Cause::Closed | Cause::Unanswered | Cause::Timeout => self.spoken.unwrap_or(other),
            _ => self.protocol,
        }
    }

    /// Turns to a version. The first time that one was not accepted is not worth a warning, nor
    /// a delay.
    fn switch(&mut self, next: Protocol, connected: bool) {
        let tries_other = !connected && next != self.protocol;
        self.switched = tries_other && !self.tried_both;
        self.tried_both = tries_other;
        self.protocol = next;
    }
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
        check(Status::Connecting, false);
        check(Status::Subscribed(Protocol::V4), false);
        check(Status::Connecting, true);
    }

    /// Feeds failures, each with the version that is expected to be tried after it.
    fn check_versions(failures: &[(Cause, Status, Protocol)]) {
        let mut attempts = Attempts::new(None);
        for (step, (cause, last, expected)) in failures.iter().enumerate() {
            failed(&mut attempts, *cause, last, 0);
            assert_eq!(attempts.protocol, *expected, "step {step}: {cause:?}");
        }
    }

    #[test]
    fn a_broker_that_accepted_5_is_not_downgraded_by_a_bad_moment() {
        check_versions(&[
            (Cause::Closed, Status::Subscribing, Protocol::V5),
            (Cause::Closed, Status::Connecting, Protocol::V5),
            (Cause::Timeout, Status::Connecting, Protocol::V5),
            (Cause::Protocol, Status::Connecting, Protocol::V4),
            (Cause::Closed, Status::Connecting, Protocol::V5),
            (Cause::ProtocolVersion, Status::Connecting, Protocol::V4),
            (Cause::Closed, Status::Connecting, Protocol::V4),
        ]);
    }

    #[test]
    fn a_bad_moment_at_the_start_is_made_up_for() {
        check_versions(&[
            (Cause::Closed, Status::Connecting, Protocol::V4),
            (Cause::Closed, Status::Subscribing, Protocol::V5),
            (Cause::Unreachable, Status::Connecting, Protocol::V5),
            (Cause::Closed, Status::Subscribing, Protocol::V5),
            (Cause::Closed, Status::Connecting, Protocol::V5),
        ]);
    }

    #[test]
    fn a_version_that_was_refused_is_not_tried_again() {
        let subscribed = || Status::Subscribed(Protocol::V4);
        check_versions(&[
            (Cause::ProtocolVersion, Status::Connecting, Protocol::V4),
            (Cause::Timeout, Status::Connecting, Protocol::V4),
            (Cause::Closed, subscribed(), Protocol::V4),
            (Cause::ProtocolVersion, Status::Connecting, Protocol::V5),
        ]);
    }

    #[test]
    fn a_broker_that_closes_on_5_costs_neither_time_nor_a_warning() {
        let mut attempts = Attempts::new(None);
        let subscribed = Status::Subscribed(Protocol::V4);
        for _ in 0..3 {
            let delay = failed(&mut attempts, Cause::Closed, &Status::Connecting, 0);
            assert_eq!(delay, Duration::ZERO);
            assert!(attempts.switched, "expected no warning");
            assert_eq!(attempts.protocol, Protocol::V4);
            let delay = failed(&mut attempts, Cause::Closed, &subscribed, 60);
            assert_eq!(delay, BACKOFF.initial);
            assert_eq!(attempts.protocol, Protocol::V5);
        }
    }

    #[test]
    fn a_version_that_does_not_help_either_is_no_busy_loop() {
        let mut attempts = Attempts::new(None);
        let mut check = |cause, expected_ms| {
            let delay = failed(&mut attempts, cause, &Status::Connecting, 0);
            assert_eq!(delay, Duration::from_millis(expected_ms), "{cause:?}");
        };
        check(Cause::Closed, 0);
        check(Cause::Closed, 500);
        check(Cause::Closed, 1_000);
        check(Cause::Unreachable, 2_000);
        check(Cause::Closed, 0);
        check(Cause::Unreachable, 4_000);
    }
}
