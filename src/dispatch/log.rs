//! What the log says of a lane.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::retry::breaker::Change;
use crate::sink::{Failure, Outcome};
use crate::spool::Delivery;
use crate::telemetry::Throttle;

/// How often one lane may say the same.
const INTERVAL: Duration = Duration::from_mins(1);

/// Says what is worth a line, once.
#[derive(Debug)]
pub(super) struct Log {
    webhook: String,
    gave_up: Throttle,
    failing: Throttle,
    /// Whether it fails since the last success, and events wait for that.
    is_failing: bool,
    /// Whether the last that was said is that it fails.
    is_said_to_fail: bool,
}

impl Log {
    pub(super) fn new(webhook: &str) -> Self {
        Self {
            webhook: webhook.to_owned(),
            gave_up: Throttle::new(INTERVAL),
            failing: Throttle::new(INTERVAL),
            is_failing: false,
            is_said_to_fail: false,
        }
    }

    pub(super) fn attempt_ended(&self, delivery: &Delivery, outcome: &Outcome, took: Duration) {
        let event = delivery.event();
        let webhook = self.webhook.as_str();
        debug!(
            webhook,
            event_id = %event.id,
            kind = event.kind.name(),
            attempt = delivery.failures.saturating_add(1),
            elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            ?outcome,
            "attempt ended"
        );
    }

    /// Says that events wait, once until the next success. What is rejected does not wait: it is [given up](Self::gave_up).
    pub(super) fn failing(&mut self, failure: &Failure) {
        if std::mem::replace(&mut self.is_failing, true) {
            return;
        }
        // One that fails now and then is not worth two lines each time.
        let Some(held_back) = self.failing.pass(Instant::now()) else {
            return;
        };
        self.is_said_to_fail = true;
        let webhook = self.webhook.as_str();
        warn!(webhook, held_back, error = %failure, "webhook does not take events; they wait and are tried again");
    }

    pub(super) fn recovered(&mut self, failed_for: Duration) {
        self.is_failing = false;
        if !std::mem::take(&mut self.is_said_to_fail) {
            return;
        }
        let (webhook, failing_s) = (self.webhook.as_str(), failed_for.as_secs());
        info!(webhook, failing_s, "webhook takes events again");
    }

    pub(super) fn breaker_changed(&self, change: Change) {
        let webhook = self.webhook.as_str();
        match change {
            Change::Opened => warn!(
                webhook,
                "webhook is left alone but for a probe now and then, as attempts in a row failed"
            ),
            Change::Closed => info!(webhook, "a probe succeeded; webhook is attempted in full"),
        }
    }

    pub(super) fn gave_up(&mut self, delivery: &Delivery, failure: &Failure, is_kept: bool) {
        let Some(held_back) = self.gave_up.pass(Instant::now()) else {
            return;
        };
        let event = delivery.event();
        let webhook = self.webhook.as_str();
        let whereabouts = if is_kept {
            "see `mqhook dead-letters`"
        } else {
            "it is not kept, as the webhook is not durable"
        };
        warn!(
            webhook,
            event_id = %event.id,
            kind = event.kind.name(),
            attempts = delivery.failures,
            held_back,
            error = %failure,
            "gave up an event; {whereabouts}"
        );
    }

    pub(super) fn disabled(&self, reason: &str) {
        let webhook = self.webhook.as_str();
        error!(
            webhook,
            reason, "webhook is disabled, its events wait; see `mqhook webhooks enable`"
        );
    }

    pub(super) fn enabled(&mut self) {
        self.is_failing = false;
        let webhook = self.webhook.as_str();
        info!(webhook, "webhook is enabled again");
    }
}
