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
//! first part and the first of the last, which must not be lost. And SUBACK and UNSUBACK come ahead of all that the
//! broker has queued, which may be the messages of several changes. So what counts is when a message was published,
//! as [`Lines`] tell: behind the SUBSCRIBE that gave its subscription the identifier and behind what came before,
//! ahead of whatever ended the identifier, and ahead of the UNSUBACK if it came before that.
//!
//! Equal neighbours of one `QoS` make up a group: the first is taken, and more are left out as they come, each over
//! another subscription, until one is taken that begins the next group. One that comes over L is left out
//! - if the first was published when L had begun. Then it has a copy over L, as L has not ended before this one was
//!   published. And that is still to come, as nothing of the first came before it: what came before said something
//!   else, or is known to be of other messages;
//! - if it was published before M had ended, over which one of the group came. Then, if it is no copy of the first, it
//!   has a copy over M still to come: that will be taken, as M is in the group.
//!
//! So each message has one copy that is taken, whatever is published, in whichever order copies come, and
//! however far answers are ahead; and whatever is in doubt is taken. In doubt is the first N that comes behind an O
//! after the UNSUBACK. So what is new gets another identifier before the old is given up: what comes over the first
//! one was published while the old was there. Then in doubt are
//! - the first N of all, if it is published after that, but still before the UNSUBSCRIBE;
//! - of equal messages one for each two subscriptions, as there may be one more of them: `ON ON` or `O NO N`.
//!
//! All that holds as messages of one `QoS` come in the order in which they were published. A broker that drops one of
//! two copies, as its queue is full, may have the other left out beside an equal message.

mod lines;

use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::link::{Publish, Subscription};
use crate::event::{Properties, TopicName};
use lines::{Came, Lines};

/// How long copies may still be on their way after an UNSUBACK, or the last message from before it.
const LATE: Duration = Duration::from_mins(1);

/// More than this between two messages does not count: the broker may wait for acknowledgements.
const PAUSE: Duration = Duration::from_secs(1);

/// Finds copies, while there may be any.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// `None`: there are none.
    expected: Option<Expected>,
    lines: Lines,
}

/// That there may be copies.
#[derive(Debug)]
struct Expected {
    until: Instant,
    /// When the last message came.
    heard_at: Instant,
    /// What is subscribed to under this one takes the place of the old ones.
    new: Subscription,
    /// What is still to be given up.
    old: Vec<String>,
    /// Whether something came over a new one that the broker may have queued.
    has_new: bool,
    /// By `QoS`.
    streams: [Stream; 3],
}

/// The messages of one `QoS`, which come in the order in which they were published.
#[derive(Debug, Default)]
struct Stream {
    /// The last step behind which all that still comes was published.
    reached: u64,
    last: Option<Group>,
    /// Whether what came before is not known any more.
    is_cut: bool,
}

/// The last message that was taken, and those behind it that were not.
#[derive(Debug)]
struct Group {
    first: Publish,
    /// The lines over which they came.
    lines: SmallVec<[u64; 2]>,
    /// How many of those are surely of one message.
    sure: usize,
    /// Whether nothing of the first message came before it.
    is_whole: bool,
    /// The last step behind which the first was published.
    after: u64,
}

impl Copies {
    /// Notes that from now on, for a while, a message may come more than once: over new subscriptions and those of
    /// these topic filters.
    pub(super) fn expect(&mut self, new: Subscription, old: Vec<String>, now: Instant) {
        self.lines.change();
        let mut streams = self
            .expected
            .take()
            .map(|it| it.streams)
            .unwrap_or_default();
        for stream in &mut streams {
            // What is retained comes again over what is new, for those who have not heard it.
            let forgotten = stream.last.take_if(|last| last.first.retain);
            stream.is_cut |= forgotten.is_some();
        }
        self.expected = Some(Expected {
            until: now + LATE,
            heard_at: now,
            new,
            old,
            has_new: false,
            streams,
        });
    }

    /// Returns whether there may be copies, and the first is still to come.
    pub(super) fn are_to_come(&self) -> bool {
        let mut expected = self.expected.iter();
        expected.any(|it| !it.old.is_empty() && !it.has_new)
    }

    /// Notes that a SUBSCRIBE is sent.
    pub(super) fn subscribe(&mut self, filters: &[String], subscription: Subscription) {
        self.lines.subscribe(filters, subscription);
    }

    /// Notes that an UNSUBSCRIBE is sent.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.lines.unsubscribe(filter);
    }

    /// Notes that the broker has answered a SUBSCRIBE and refused these topic filters.
    pub(super) fn subscribed(&mut self, refused: &[String]) {
        self.lines.answered(refused);
    }

    /// Notes that the broker has ended a subscription.
    pub(super) fn unsubscribed(&mut self, filter: &str) {
        self.lines.unsubscribed(filter);
        if let Some(expected) = &mut self.expected {
            expected.old.retain(|old| old != filter);
        }
    }

    /// Notes that everything is answered: copies may be on their way from now on for as long as ever.
    pub(super) fn extend(&mut self, now: Instant) {
        if let Some(expected) = &mut self.expected {
            expected.until = now + LATE;
            expected.heard_at = now;
        }
    }

    /// Notes that the connection is another one: what was not acknowledged comes again.
    pub(super) fn part(&mut self) {
        self.lines.part();
        if let Some(expected) = &mut self.expected {
            for stream in &mut expected.streams {
                *stream = Stream {
                    is_cut: true,
                    ..Stream::default()
                };
            }
        }
    }

    /// Returns when a topic filter was subscribed to, as a number that grows; `None` if what is there has no
    /// identifier.
    pub(super) fn begun(&self, filter: &str) -> Option<u64> {
        self.lines.begun(filter)
    }

    /// Returns whether a message is a copy of the one before it.
    pub(super) fn is_copy(&mut self, publish: &Publish, now: impl FnOnce() -> Instant) -> bool {
        let Some(expected) = &mut self.expected else {
            return false;
        };
        let topic = publish.topic.clone().map(TopicName::try_from);
        let came = match topic {
            Some(Ok(topic)) => self.lines.came(&topic, publish.subscription),
            _ => None,
        };
        if expected.is_over(came, now()) {
            self.expected = None;
            self.lines.forget_ended();
            return false;
        }
        expected.has_new |= publish.subscription == expected.new && publish.qos > 0;
        let stream = &mut expected.streams[usize::from(publish.qos.min(2))];
        stream.is_copy(publish, came, &self.lines)
    }
}

impl Expected {
    /// Returns whether there are no copies any more, as far as can be told by when and over what a message comes.
    fn is_over(&mut self, came: Option<Came>, now: Instant) -> bool {
        let pause = now.saturating_duration_since(self.heard_at);
        self.heard_at = now;
        self.until += pause.saturating_sub(PAUSE);
        if came.is_some_and(|came| came.is_late()) {
            self.until = now + LATE;
        }
        now > self.until && self.old.is_empty()
    }
}

impl Stream {
    fn is_copy(&mut self, publish: &Publish, came: Option<Came>, lines: &Lines) -> bool {
        if let Some(came) = came {
            self.reached = self.reached.max(came.after);
        }
        let is_whole = match &mut self.last {
            // Before copies were expected there were none.
            None => !std::mem::take(&mut self.is_cut),
            Some(last) if !last.first.says(publish) => true,
            Some(last) => match came {
                None => false,
                Some(came) if last.takes(came, lines) => return true,
                Some(came) => last.is_behind(came),
            },
        };
        self.last = Some(Group {
            first: publish.clone(),
            lines: came.iter().map(|came| came.line).collect(),
            sure: 1,
            // What came over nobody knows what may have been sent for all subscriptions.
            is_whole: is_whole && came.is_some(),
            after: self.reached,
        });
        false
    }
}

impl Group {
    /// Takes up a message that says the same, if it is a copy.
    fn takes(&mut self, came: Came, lines: &Lines) -> bool {
        if self.lines.contains(&came.line) {
            return false;
        }
        if self.is_whole && self.after >= came.line {
            self.lines.push(came.line);
            self.sure = self.lines.len();
            self.after = self.after.max(came.after);
            return true;
        }
        let is_copy = self
            .lines
            .iter()
            .any(|line| lines.ended(*line) >= came.before);
        if is_copy {
            self.lines.push(came.line);
        }
        is_copy
    }

    /// Returns whether all of it is surely of other messages than one that comes now, and was not taken up.
    fn is_behind(&self, came: Came) -> bool {
        let is_sure = self.is_whole && self.sure == self.lines.len();
        (is_sure && self.lines.contains(&came.line)) || self.lines.last() == Some(&came.line)
    }
}

impl Publish {
    /// Returns whether two messages say the same. The second may have waited for longer.
    fn says(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.payload == other.payload
            && self.retain == other.retain
            && self.qos == other.qos
            && match (&self.properties, &other.properties) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => ours.say(theirs),
                _ => false,
            }
    }
}

impl Properties {
    fn say(&self, other: &Self) -> bool {
        let Self {
            is_text,
            expiry_s,
            content_type,
            response_topic,
            correlation_data,
            user,
        } = self;
        expiry_s.is_some() == other.expiry_s.is_some()
            && *is_text == other.is_text
            && *content_type == other.content_type
            && *response_topic == other.response_topic
            && *correlation_data == other.correlation_data
            && *user == other.user
    }
}

#[cfg(test)]
mod tests;
