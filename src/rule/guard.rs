//! What a rule asks of an event beside its kind and topic.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tracing::warn;

use super::condition::{Condition, Failure, Subject};
use super::{Rule, WebhookIndex};
use crate::event::{Client, TopicFilter};
use crate::pattern::Pattern;
use crate::telemetry::Throttle;

/// How often the log may say that conditions of a webhook cannot be evaluated.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// What must hold for an event that a rule shall take; what is `None` always does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// The client identifier; an event whose client is not known does not match.
    pub client_id: Option<Pattern>,
    /// The user name; an event whose user is not known does not match.
    pub username: Option<Pattern>,
    /// The topic of a message that is not routed by its topic: of any but `on_message_publish`.
    pub topic: Option<TopicFilter>,
    /// The group to which an application must have published it.
    pub group: Option<Arc<str>>,
    /// Patterns of which one must match the client identifier, besides; an event whose client is not known
    /// does not match.
    pub scope: Option<Arc<[Pattern]>>,
    /// Anything else.
    pub condition: Option<Condition>,
}

impl Guard {
    /// Returns the guard, unless everything passes it.
    #[must_use]
    pub fn into_some(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }

    /// Returns whether an event passes; patterns are asked first, as they cost less.
    ///
    /// # Errors
    /// The condition could not be evaluated, which is as good as false.
    pub(super) fn passes(&self, client: &Client, subject: &Subject<'_>) -> Result<bool, Failure> {
        let matches = |pattern: &Option<Pattern>, text: Option<&str>| match (pattern, text) {
            (None, _) => true,
            (Some(pattern), Some(text)) => pattern.matches(text),
            (Some(_), None) => false,
        };
        if !matches(&self.client_id, client.id.as_deref())
            || !matches(&self.username, client.username.as_deref())
        {
            return Ok(false);
        }
        let is_in_scope = |scope: &Arc<[Pattern]>| {
            client
                .id
                .as_deref()
                .is_some_and(|id| any_matches(scope, id))
        };
        let has_topic = |filter: &TopicFilter| subject.topic().is_some_and(|it| filter.matches(it));
        if !self.scope.as_ref().is_none_or(is_in_scope)
            || !self.topic.as_ref().is_none_or(has_topic)
        {
            return Ok(false);
        }
        match &self.condition {
            Some(condition) => condition.holds(subject),
            None => Ok(true),
        }
    }
}

/// Returns whether one of some patterns matches a client identifier.
#[must_use]
pub fn any_matches(scope: &[Pattern], client_id: &str) -> bool {
    scope.iter().any(|pattern| pattern.matches(client_id))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    webhook: String,
}

/// The metric of conditions that cannot be evaluated, of all webhooks.
#[derive(Debug, Clone, Default)]
pub struct ReportsFamily(Family<Labels, Counter>);

/// Where conditions that cannot be evaluated are counted and told of, by webhook; without any
/// webhook nothing is.
#[derive(Debug, Default)]
pub struct Reports {
    webhooks: HashMap<WebhookIndex, Report>,
}

#[derive(Debug)]
struct Report {
    webhook: String,
    failures: Counter,
    log: Mutex<Throttle>,
}

impl ReportsFamily {
    /// Returns the metric, registered.
    pub fn new(registry: &mut Registry) -> Self {
        let family = Self::default();
        registry.register(
            "condition_failures",
            "Conditions of rules that could not be evaluated, and so were false",
            family.0.clone(),
        );
        family
    }

    /// Shows nothing more of a webhook that has gone.
    pub fn forget(&self, webhook: &str) {
        let webhook = webhook.to_owned();
        self.0.remove(&Labels { webhook });
    }

    /// Returns reports on these webhooks, each with its index.
    pub fn of<'a>(
        &self,
        webhooks: impl IntoIterator<Item = (WebhookIndex, &'a str, &'a [Rule])>,
    ) -> Reports {
        let report = |(index, name, rules): (WebhookIndex, &str, &[Rule])| {
            let webhook = name.to_owned();
            let has_condition = |rule: &Rule| {
                let guard = rule.guard.as_ref();
                guard.is_some_and(|guard| guard.condition.is_some())
            };
            let failures = if rules.iter().any(has_condition) {
                let webhook = webhook.clone();
                self.0.get_or_create_owned(&Labels { webhook })
            } else {
                Counter::default()
            };
            let report = Report {
                webhook,
                failures,
                log: Mutex::new(Throttle::new(LOG_INTERVAL)),
            };
            (index, report)
        };
        Reports {
            webhooks: webhooks.into_iter().map(report).collect(),
        }
    }
}

impl Reports {
    pub(super) fn failed(&self, webhook: WebhookIndex, failure: Failure) {
        let Some(report) = self.webhooks.get(&webhook) else {
            return;
        };
        report.failures.inc();
        let passed = {
            let mut log = report.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.pass(Instant::now())
        };
        if let Some(held_back) = passed {
            warn!(webhook = %report.webhook, reason = %failure, held_back, "a condition could not be evaluated, and counts as false");
        }
    }
}
