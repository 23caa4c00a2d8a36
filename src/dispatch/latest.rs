//! Which deliveries may go when only the newest of a topic is wanted. Pure: the time comes from outside,
//! and so does what the store has.
//!
//! Of each topic one attempt is under way at a time, and at most one delivery waits or is put off: a newer
//! one takes the place of an older one, which ends by that. If a crash would lose the newer one and not
//! the older, that is kept, unattempted, until it would not, the newer one ends, or another comes.
//! Topics take turns in the order in which they came to wait, with deliveries that have none.
//!
//! Nothing of this outlives a run: a start makes all that was put off fresh again, so that it comes in the
//! order of its numbers.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use hashbrown::HashMap;
use tokio::time::Instant;

use crate::event::Timestamp;
use crate::spool::store::{Key, Seq};
use crate::spool::{Question, What};

/// How often the store is asked for one that is put off: it may have been dropped.
const ABSENCE: Duration = Duration::from_mins(10);

/// The most topics for something new to be taken.
const TOPICS: usize = if cfg!(test) { 3 } else { 65_536 };

/// The newest deliveries, by topic.
#[derive(Debug)]
pub(super) struct Latest<T> {
    topics: HashMap<Key, Topic<T>>,
    /// What may go, each topic once.
    ready: VecDeque<Ready<T>>,
    /// When topics are looked after whose newest is put off.
    looks: BTreeSet<(Instant, Key)>,
    /// Says whether a crash would not lose a delivery.
    survives: fn(&T) -> bool,
    effects: Vec<Effect<T>>,
}

/// What is to be done by somebody else.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect<T> {
    /// A delivery is not wanted any more.
    Supersede(Seq, Place<T>),
    /// A delivery has come that had been superseded.
    Settle(T),
    Ask(Question),
}

/// Where a delivery is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<T> {
    Memory(T),
    Store { due: Timestamp },
}

#[derive(Debug)]
enum Ready<T> {
    Topic(Key),
    /// It has no topic.
    Alone(T),
}

#[derive(Debug)]
struct Topic<T> {
    under_way: Option<Seq>,
    waiting: Option<(Seq, T)>,
    /// The newest if it is put off, and when it is looked after.
    put_off: Option<(Seq, Place<T>, Instant)>,
    /// The newest of those that would survive a crash, if what waits or is under way is newer and would not.
    kept: Option<(Seq, Place<T>)>,
}

impl<T> Latest<T> {
    pub(super) fn new(survives: fn(&T) -> bool) -> Self {
        Self {
            topics: HashMap::new(),
            ready: VecDeque::new(),
            looks: BTreeSet::new(),
            survives,
            effects: Vec::new(),
        }
    }

    /// Returns what is in memory, in no order.
    pub(super) fn into_rest(self) -> impl Iterator<Item = T> {
        let of_ready = self.ready.into_iter().filter_map(|ready| match ready {
            Ready::Alone(item) => Some(item),
            Ready::Topic(_) => None,
        });
        let of_topics = self.topics.into_values().flat_map(|topic| {
            let waiting = topic.waiting.map(|(seq, item)| (seq, Place::Memory(item)));
            let put_off = topic.put_off.map(|(seq, place, _)| (seq, place));
            [waiting, put_off, topic.kept].into_iter().flatten()
        });
        let of_topics = of_topics.filter_map(|(_, place)| match place {
            Place::Memory(item) => Some(item),
            Place::Store { .. } => None,
        });
        of_ready.chain(of_topics)
    }

    /// Returns whether there may be more topics.
    pub(super) fn has_room(&self) -> bool {
        self.topics.len() < TOPICS
    }

    /// Returns whether something may go.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Returns what is to be done; to be called after anything that changes this.
    pub(super) fn effects(&mut self) -> impl Iterator<Item = Effect<T>> + use<'_, T> {
        self.effects.drain(..)
    }

    /// Takes in a delivery that has no topic.
    pub(super) fn arrive_alone(&mut self, item: T) {
        self.ready.push_back(Ready::Alone(item));
    }

    /// Takes in a delivery that has not been put off: the newest of its topic.
    pub(super) fn arrive(&mut self, key: Key, seq: Seq, item: T) {
        let survives = (self.survives)(&item);
        let topic = self.topics.entry(key).or_default();
        let waited = topic.waiting.replace((seq, item));
        let put_off = topic.put_off.take();
        if waited.is_none() && topic.under_way.is_none() {
            self.ready.push_back(Ready::Topic(key));
        }
        if let Some((older, item)) = waited {
            self.supersede(key, older, Place::Memory(item), survives);
        }
        if let Some((older, place, at)) = put_off {
            self.looks.remove(&(at, key));
            self.supersede(key, older, place, survives);
        }
    }

    /// Takes in a delivery that was put off and is due.
    pub(super) fn arrive_again(&mut self, key: Key, seq: Seq, item: T) {
        let Some(topic) = self.topics.get_mut(&key) else {
            self.effects.push(Effect::Settle(item));
            return;
        };
        if let Some((_, _, at)) = topic.put_off.take_if(|(newest, ..)| *newest == seq) {
            self.looks.remove(&(at, key));
            topic.waiting = Some((seq, item));
            self.ready.push_back(Ready::Topic(key));
        } else if topic.kept.as_ref().is_none_or(|(kept, _)| *kept != seq) {
            self.effects.push(Effect::Settle(item));
        } else if let Some((newest, waiting)) = &topic.waiting
            && (self.survives)(waiting)
        {
            let newest = *newest;
            self.let_go(key, newest);
        }
        // Otherwise it goes out of memory only.
    }

    /// Returns the next that may go.
    pub(super) fn next(&mut self) -> Option<(Option<Key>, T)> {
        while let Some(ready) = self.ready.pop_front() {
            match ready {
                Ready::Alone(item) => return Some((None, item)),
                Ready::Topic(key) => {
                    if let Some(topic) = self.topics.get_mut(&key)
                        && let Some((seq, item)) = topic.waiting.take()
                    {
                        topic.under_way = Some(seq);
                        return Some((Some(key), item));
                    }
                }
            }
        }
        None
    }

    /// Notes that a delivery has ended for good.
    pub(super) fn ended(&mut self, key: Key) {
        let Some(topic) = self.topics.get_mut(&key) else {
            return;
        };
        let under_way = topic.under_way.take();
        if topic.waiting.is_some() {
            self.ready.push_back(Ready::Topic(key));
        }
        if let Some(seq) = under_way {
            self.let_go(key, seq);
        }
        self.forget(key);
    }

    /// Notes that an attempt has failed; returns the delivery if it is [to be put off](Self::put_off), and
    /// none if a newer one waits.
    pub(super) fn failed(&mut self, key: Key, seq: Seq, item: T) -> Option<T> {
        let topic = self.topics.get_mut(&key);
        let Some(topic) = topic.filter(|topic| topic.waiting.is_some()) else {
            return Some(item);
        };
        let newer = topic.waiting.as_ref();
        let newer_survives = newer.is_some_and(|(_, newer)| (self.survives)(newer));
        topic.under_way = None;
        self.ready.push_back(Ready::Topic(key));
        self.supersede(key, seq, Place::Memory(item), newer_survives);
        None
    }

    /// Notes that the newest is put off until `due`.
    pub(super) fn put_off(
        &mut self,
        key: Key,
        seq: Seq,
        place: Place<T>,
        due: Instant,
        now: Instant,
    ) {
        let at = match place {
            Place::Memory(_) => due,
            Place::Store { .. } => now + ABSENCE,
        };
        self.looks.insert((at, key));
        let topic = self.topics.entry(key).or_default();
        topic.under_way = None;
        topic.put_off = Some((seq, place, at));
        self.let_go(key, seq);
    }

    /// Returns when [`wake`](Self::wake) is to be called.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// Looks after what is put off.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.looks.first().copied()
            && at <= now
        {
            self.looks.remove(&(at, key));
            let Some(topic) = self.topics.get_mut(&key) else {
                continue;
            };
            match topic.put_off.take() {
                None => {}
                Some((seq, Place::Memory(item), _)) => {
                    topic.waiting = Some((seq, item));
                    self.ready.push_back(Ready::Topic(key));
                }
                Some((seq, Place::Store { due }, _)) => {
                    let at = now + ABSENCE;
                    topic.put_off = Some((seq, Place::Store { due }, at));
                    self.looks.insert((at, key));
                    let what = What::PutOff { seq, due };
                    self.effects.push(Effect::Ask(Question { key, what }));
                }
            }
        }
    }

    /// Notes that a delivery that was put off is not there any more.
    pub(super) fn is_gone(&mut self, key: Key, seq: Seq, due: Timestamp) {
        let is_it = |place: &Place<T>| matches!(place, Place::Store { due: at } if *at == due);
        if let Some(topic) = self.topics.get_mut(&key)
            && let Some((.., at)) = topic
                .put_off
                .take_if(|(newest, place, _)| *newest == seq && is_it(place))
        {
            self.looks.remove(&(at, key));
        }
        self.forget(key);
    }

    /// Ends a delivery for which a newer one is here, or keeps it instead of one that is older still.
    fn supersede(&mut self, key: Key, seq: Seq, older: Place<T>, newer_survives: bool) {
        let survives = match &older {
            Place::Memory(item) => (self.survives)(item),
            Place::Store { .. } => true,
        };
        let topic = self.topics.entry(key).or_default();
        let is_newest = topic.kept.as_ref().is_none_or(|(kept, _)| *kept < seq);
        if survives && !newer_survives && is_newest {
            let before = topic.kept.replace((seq, older));
            let before = before.map(|(seq, place)| Effect::Supersede(seq, place));
            self.effects.extend(before);
            return;
        }
        self.effects.push(Effect::Supersede(seq, older));
        if newer_survives {
            self.let_go(key, Seq(u64::MAX));
        }
    }

    /// Ends what is kept, if it is older.
    fn let_go(&mut self, key: Key, newer: Seq) {
        let topic = self.topics.get_mut(&key);
        let kept = topic.and_then(|topic| topic.kept.take_if(|(kept, _)| *kept < newer));
        let kept = kept.map(|(seq, place)| Effect::Supersede(seq, place));
        self.effects.extend(kept);
    }

    fn forget(&mut self, key: Key) {
        if self.topics.get(&key).is_some_and(Topic::is_over) {
            self.topics.remove(&key);
        }
    }
}

impl<T> Topic<T> {
    fn is_over(&self) -> bool {
        let is_idle = self.under_way.is_none() && self.waiting.is_none();
        is_idle && self.put_off.is_none() && self.kept.is_none()
    }
}

impl<T> Default for Topic<T> {
    fn default() -> Self {
        Self {
            under_way: None,
            waiting: None,
            put_off: None,
            kept: None,
        }
    }
}

#[cfg(test)]
mod tests;
