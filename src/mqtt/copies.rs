//! Copies of one message that come as two subscriptions match it, while one takes the other's place.
//!
//! ```text
//! subscribed to:  old .... old and new .... new
//! comes over:     O O O    ON ON ON         N N      or each pair the other way round
//! ```
//!
//! A broker that sends a copy for each subscription sends them one behind the other, each with the identifier of its
//! subscription (MQTT 5, 3.3.2.3.8); one that sends a single message has all identifiers in that. But a publisher
//! may say the same again and again, so equal neighbours need not be copies: `O N` is a pair, or the last of the
//! first part and the first of the last, which must not be lost. It is a pair
//! - if N came before the UNSUBACK for the old subscription, as there is an O for each such N;
//! - if an N had come before that O, and what came just before the O said something else, as there is an N for each
//!   such O, and it is not the one before;
//! - if O came behind N, for both reasons.
//!
//! That holds as messages of one `QoS` come in the order in which they were published, also those that the broker
//! sends after a later UNSUBACK. So UNSUBSCRIBE waits a while for an N.
//!
//! So each that is left out has another one of its own that is taken. Whatever is in doubt is taken.

use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::link::{Publish, Subscription};
use crate::event::{TopicFilter, TopicName};

/// How long copies may still be on their way after an UNSUBACK.
const LATE: Duration = Duration::from_mins(1);

/// Finds copies, while there may be any.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Until when there may be any; `None`: there are none.
    until: Option<Instant>,
    /// What is subscribed to under this one takes the place of the old ones.
    new: Subscription,
    old: Vec<Old>,
    /// How many SUBSCRIBEs there were for new subscriptions.
    subscribes: usize,
    /// Whether something came over a new one, by `QoS`.
    has_new: [bool; 3],
    last: Option<Last>,
}

/// The last message that was taken.
#[derive(Debug)]
struct Last {
    publish: Publish,
    /// The subscriptions over which it came.
    seen: SmallVec<[Subscription; 2]>,
    /// Whether something else had come over a new one before.
    is_behind_new: bool,
}

/// A subscription whose place others take.
#[derive(Debug)]
struct Old {
    filter: String,
    subscription: Subscription,
    /// Whether the broker has said that it has ended.
    has_ended: bool,
}

impl Copies {
    /// Notes that from now on, for a while, a message may come more than once: over new subscriptions and those of
    /// these topic filters.
    pub(super) fn expect(
        &mut self,
        new: Subscription,
        old: impl Iterator<Item = (String, Subscription)>,
        now: Instant,
    ) {
        let old = old.map(|(filter, subscription)| Old {
            filter,
            subscription,
            has_ended: false,
        });
        *self = Self {
            until: Some(now + LATE),
            new,
            old: old.collect(),
            ..Self::default()
        };
    }

    /// Returns whether there may be copies, and the first is still to come.
    pub(super) fn are_to_come(&self) -> bool {
        !self.old.is_empty() && self.has_new == [false; 3]
    }

    /// Notes that a SUBSCRIBE for new subscriptions is sent.
    pub(super) fn subscribe(&mut self) {
        self.subscribes += 1;
    }

    /// Notes that everything is answered: copies may be on their way from now on for as long as ever.
    pub(super) fn extend(&mut self, now: Instant) {
        if self.until.is_some() {
            self.until = Some(now + LATE);
        }
    }

    /// Notes that what comes from now on is no copy of what came before: the broker has answered a SUBSCRIBE, or the
    /// connection is another one.
    pub(super) fn part(&mut self) {
        self.last = None;
    }

    /// Notes that the broker has ended a subscription.
    pub(super) fn unsubscribed(&mut self, filter: &str) {
        for old in self.old.iter_mut().filter(|old| old.filter == filter) {
            old.has_ended = true;
        }
    }

    /// Returns whether a message is a copy of the one before it.
    pub(super) fn is_copy(&mut self, publish: &Publish, now: impl FnOnce() -> Instant) -> bool {
        let Some(until) = self.until else {
            return false;
        };
        if now() > until && self.old.iter().all(|old| old.has_ended) {
            *self = Self::default();
            return false;
        }
        let is_copy = self.is_one(publish);
        let subscription = publish.subscription;
        // Then what it is a pair with may have come before it.
        let is_repeated = self
            .last
            .as_ref()
            .is_some_and(|last| last.publish.says(publish));
        let has_new = &mut self.has_new[usize::from(publish.qos.min(2))];
        match &mut self.last {
            Some(last) if is_copy => last.seen.push(subscription),
            last => {
                *last = Some(Last {
                    publish: publish.clone(),
                    seen: SmallVec::from_slice(&[subscription]),
                    // With several SUBSCRIBEs that may have come over one before the next.
                    is_behind_new: *has_new && self.subscribes <= 1 && !is_repeated,
                });
            }
        }
        *has_new |= subscription == self.new;
        is_copy
    }

    fn is_one(&self, publish: &Publish) -> bool {
        let Some(last) = &self.last else {
            return false;
        };
        let (subscription, seen) = (publish.subscription, &last.seen);
        if seen.contains(&subscription) || !last.publish.says(publish) {
            return false;
        }
        let topic = publish.topic.clone().map(TopicName::try_from);
        let Some(Ok(topic)) = topic else {
            return false;
        };
        let is_old = |of: Subscription, may_have_ended: bool| {
            let mut old = self.old.iter();
            old.any(|old| old.is(of, &topic) && (may_have_ended || !old.has_ended))
        };
        if subscription == self.new {
            seen.iter().all(|&seen| is_old(seen, last.is_behind_new))
        } else {
            seen.contains(&self.new) && is_old(subscription, true)
        }
    }
}

impl Old {
    /// Returns whether what comes under a topic over a subscription comes over this one.
    fn is(&self, subscription: Subscription, topic: &TopicName) -> bool {
        let filter = || TopicFilter::try_from(self.filter.as_str());
        self.subscription == subscription && filter().is_ok_and(|filter| filter.matches(topic))
    }
}

impl Publish {
    /// Returns whether two messages say the same.
    fn says(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.payload == other.payload
            && self.retain == other.retain
            && self.qos == other.qos
            && self.properties == other.properties
    }
}

#[cfg(test)]
mod tests;
