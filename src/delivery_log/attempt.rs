//! What is remembered of one attempt, and which attempts somebody asks for.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use crate::event::{Id, Kind, Timestamp, TopicFilter, TopicName};

/// Bits of an [`AttemptId`] below its time.
const COUNT_BITS: u32 = 20;

/// Names an attempt: the time at which it ended, and a count. Later ones have higher numbers, over restarts as
/// well, as long as the clock is not set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(pub u64);

impl AttemptId {
    /// Returns the lowest that an attempt can have that ended at this time.
    #[must_use]
    pub const fn first_at(time: Timestamp) -> Self {
        const LAST: u64 = (1 << (63 - COUNT_BITS)) - 1;
        let ms = time.as_millis();
        Self(if ms > LAST { LAST } else { ms } << COUNT_BITS)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AttemptId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What an attempt meant for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The receiver has the event.
    Delivered,
    /// There will be another attempt.
    Retry,
    /// The receiver does not want it.
    Rejected,
    /// It was the last of the schedule, and failed.
    GivenUp,
}

impl Ending {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Retry, Self::Rejected, Self::GivenUp];

    /// Returns the word for it, such as `given_up`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry => "retry",
            Self::Rejected => "rejected",
            Self::GivenUp => "given_up",
        }
    }
}

impl FromStr for Ending {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let named = |ending: &Self| ending.name() == text;
        Self::ALL.into_iter().find(named).ok_or(())
    }
}

/// One attempt that has ended; of a batch there is one for each of its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Names it.
    pub id: AttemptId,
    /// When it ended.
    pub at: Timestamp,
    /// The webhook's name.
    pub webhook: Arc<str>,
    /// The event.
    pub event: Id,
    /// What kind the event is of.
    pub kind: Kind,
    /// The topic of a message, `None` for other kinds; at most 512 bytes of it.
    pub topic: Option<String>,
    /// Which attempt of its delivery it was; the first is 1. One by which a breaker probed does not count.
    pub number: u32,
    /// What it meant.
    pub ending: Ending,
    /// The status code of the answer, if there was one.
    pub status: Option<u16>,
    /// The [kind of failure](crate::sink::Class), `None` of one that delivered.
    pub class: Option<Cow<'static, str>>,
    /// What is known beyond that; may be empty. Holds no payload and no secret.
    pub detail: String,
    /// How long it took.
    pub latency: Duration,
    /// The beginning of the answer's body; what is not UTF-8 is replaced. It may hold control characters.
    pub response: String,
    /// How many attempts of the webhook just before it were left out, as there were too many.
    pub left_out: u32,
}

/// Which attempts are meant: those that have all that is given; the default means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those of the webhook of this name.
    pub webhook: Option<String>,
    /// Those of this event.
    pub event: Option<Id>,
    /// Those of events of this kind.
    pub kind: Option<Kind>,
    /// Those of messages whose topic this matches.
    pub topic: Option<TopicFilter>,
    /// Those that ended so.
    pub ending: Option<Ending>,
    /// Those that failed in this way.
    pub class: Option<String>,
    /// Those that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Those that ended before this time.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Returns whether an attempt is meant.
    #[must_use]
    pub fn means(&self, attempt: &Attempt) -> bool {
        fn is<T: PartialEq + ?Sized>(wanted: Option<&T>, got: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == got)
        }
        is(self.webhook.as_deref(), &*attempt.webhook)
            && is(self.event.as_ref(), &attempt.event)
            && is(self.kind.as_ref(), &attempt.kind)
            && is(self.ending.as_ref(), &attempt.ending)
            && (self.class.is_none() || self.class.as_deref() == attempt.class.as_deref())
            && self.since.is_none_or(|since| attempt.at >= since)
            && self.until.is_none_or(|until| attempt.at < until)
            && self.matches_topic(attempt)
    }

    fn matches_topic(&self, attempt: &Attempt) -> bool {
        let Some(filter) = &self.topic else {
            return true;
        };
        let topic = attempt.topic.as_deref().map(ByteString::from);
        let name = topic.and_then(|topic| TopicName::try_from(topic).ok());
        name.is_some_and(|name| filter.matches(&name))
    }
}
