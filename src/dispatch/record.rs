//! What a webhook's past says: whether it fails, since when, and whether that is enough.

use std::time::Duration;

use crate::event::Timestamp;
use crate::retry::FailureLimit;
use crate::spool::store::{Status, WebhookState};

/// The failures of a webhook since its last success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Deliveries given up in a row.
    given_up: u32,
    /// When the first attempt of the row failed.
    failing_since: Option<Timestamp>,
}

impl Record {
    /// Returns the record as an earlier run left it.
    pub(super) const fn of(state: &WebhookState) -> Self {
        Self {
            given_up: state.consecutive_failures,
            failing_since: state.failing_since,
        }
    }

    /// Notes a success; returns for how long there was none.
    pub(super) fn succeeded(&mut self, now: impl FnOnce() -> Timestamp) -> Option<Duration> {
        let since = std::mem::take(self).failing_since?;
        Some(now().since(since))
    }

    /// Notes a failed attempt.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.failing_since.get_or_insert(now);
    }

    /// Notes that a delivery was given up.
    pub(super) fn gave_up(&mut self) {
        self.given_up = self.given_up.saturating_add(1);
    }

    /// Returns why the webhook is to be disabled, if it is.
    pub(super) fn verdict(&self, limit: &FailureLimit, now: Timestamp) -> Option<String> {
        let failing_for = now.since(self.failing_since?);
        let failed = self.given_up;
        let reason = || {
            let seconds = failing_for.as_secs();
            format!("nothing was delivered for {seconds} s, and {failed} deliveries were given up")
        };
        limit.reached(failed, failing_for).then(reason)
    }

    /// Returns the state of a webhook that is disabled for a reason.
    pub(super) fn disabled(&self, reason: String, now: Timestamp) -> WebhookState {
        WebhookState {
            status: Status::DisabledDueToErrors,
            since: Some(now),
            reason,
            consecutive_failures: self.given_up,
            failing_since: self.failing_since,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_success_ends_the_row() {
        let mut record = Record::default();
        assert_eq!(record.succeeded(|| at(1)), None);
        record.failed(at(1));
        record.failed(at(2));
        assert_eq!(record.succeeded(|| at(4)), Some(Duration::from_secs(3)));
        assert_eq!(record, Record::default());
    }

    #[test]
    fn limits_are_reached_by_deliveries_or_by_time() {
        let check = |deliveries: u32, time: u64, expected: bool| {
            let limit = FailureLimit {
                deliveries: NonZeroU32::new(deliveries),
                time: (time > 0).then(|| Duration::from_secs(time)),
            };
            let mut record = Record::default();
            record.failed(at(10));
            record.gave_up();
            record.gave_up();
            assert_eq!(
                record.verdict(&limit, at(20)).is_some(),
                expected,
                "{deliveries} {time}"
            );
        };
        check(0, 0, false);
        check(2, 0, true);
        check(3, 0, false);
        check(0, 10, true);
        check(0, 11, false);
        check(3, 10, true);
    }

    #[test]
    fn without_a_failure_no_limit_is_reached() {
        let limit = FailureLimit {
            deliveries: NonZeroU32::new(1),
            time: Some(Duration::ZERO),
        };
        assert_eq!(Record::default().verdict(&limit, at(1)), None);
    }
}
