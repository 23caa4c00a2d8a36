//! In which order deliveries are attempted, and what those have in common that are in order.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use crate::event::{Event, Kind};
use crate::spool::store::Key;
use crate::spool::{AtStart, KeyOf};

/// In which order deliveries are attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sequence {
    /// Each as soon as it can be.
    #[default]
    Free,
    /// Those with something in common one after the other, in the order of arrival.
    InOrder {
        /// What they have in common.
        by: OrderBy,
        /// How long one that fails holds up those behind it; more than zero, default 1 h.
        skip_after: Duration,
    },
    /// Of messages on one topic only the newest; messages on one topic one after the other.
    Latest,
}

impl Sequence {
    /// The default of `skip_after`.
    pub const SKIP_AFTER: Duration = Duration::from_hours(1);

    /// Returns what a start does with what an earlier run has put off.
    #[must_use]
    pub fn at_start(self) -> AtStart {
        match (self, self.key()) {
            (Self::InOrder { .. }, Some(key)) => AtStart::Tell(key),
            (Self::Latest, _) => AtStart::Refresh,
            _ => AtStart::Leave,
        }
    }

    /// Returns whether a lane can go over to another sequence with what it has.
    #[must_use]
    pub fn may_become(self, other: Self) -> bool {
        match (self, other) {
            (Self::InOrder { by, .. }, Self::InOrder { by: other, .. }) => by == other,
            _ => self == other,
        }
    }

    /// Returns what deliveries have in common that come in order, or of which there is a newest.
    pub(super) fn key(self) -> Option<KeyOf> {
        match self {
            Self::Free => None,
            Self::InOrder { by, .. } => Some(match by {
                OrderBy::Topic => by_topic,
                OrderBy::Client => by_client,
            }),
            Self::Latest => Some(by_published_topic),
        }
    }
}

/// What deliveries have in common that are in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy {
    /// A message's topic; what has none is not in order.
    Topic,
    /// The client that it is about; what tells of none is not in order.
    Client,
}

/// Makes keys of one run. Nobody outside can find two texts with the same.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn key(text: &str) -> Key {
    Key::of(HASHER.hash_one(text))
}

fn by_topic(event: &Event) -> Option<Key> {
    event.topic().map(|topic| key(topic.as_str()))
}

fn by_client(event: &Event) -> Option<Key> {
    event.client.id.as_deref().map(key)
}

fn by_published_topic(event: &Event) -> Option<Key> {
    by_topic(event).filter(|_| event.kind == Kind::MessagePublish)
}
