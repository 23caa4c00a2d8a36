//! Whose turn it is: which of a webhook's deliveries may be attempted.

use std::time::Duration;

use tokio::time::Instant;

use super::latest::{self, Latest, Place as Kept};
use super::order::{Arrival, Effect, Failed, Gate, Order, Place};
use super::sequence::Sequence;
use crate::event::Timestamp;
use crate::rule::WebhookIndex;
use crate::spool::store::Key;
use crate::spool::{Answer, Delivery, Found, KeyOf, Queue, Spool, What};

/// A delivery whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) delivery: Delivery,
    /// Whose line it is the head of, if it is one.
    pub(super) key: Option<Key>,
}

/// Says whose turn it is.
#[derive(Debug)]
pub(super) struct Turns {
    rule: Rule,
    spool: Spool,
    webhook: WebhookIndex,
}

#[derive(Debug)]
enum Rule {
    Free,
    InOrder {
        order: Order<Delivery>,
        key: KeyOf,
        skip_after: Duration,
    },
    Latest {
        latest: Latest<Delivery>,
        key: KeyOf,
    },
}

impl Turns {
    /// Returns the turns of a webhook, with what an earlier run has put off.
    pub(super) fn new(
        sequence: Sequence,
        webhook: WebhookIndex,
        spool: Spool,
        queue: &mut Queue,
    ) -> Self {
        let put_off = std::mem::take(&mut queue.put_off);
        let rule = match (sequence, sequence.key()) {
            (Sequence::InOrder { skip_after, .. }, Some(key)) => {
                let mut order = Order::new(spool.is_durable(webhook));
                for put_off in put_off {
                    let gate = gate(put_off.due, put_off.first_failed, skip_after);
                    if let Some(gate) = gate {
                        order.restore(put_off, gate);
                    }
                }
                Rule::InOrder {
                    order,
                    key,
                    skip_after,
                }
            }
            (Sequence::Latest, Some(key)) => {
                let latest = Latest::new(Delivery::survives);
                Rule::Latest { latest, key }
            }
            _ => Rule::Free,
        };
        Self {
            rule,
            spool,
            webhook,
        }
    }

    /// Goes by another sequence, which has the same in common.
    pub(super) fn revise(&mut self, sequence: Sequence) {
        if let (
            Rule::InOrder { skip_after, .. },
            Sequence::InOrder {
                skip_after: new, ..
            },
        ) = (&mut self.rule, sequence)
        {
            *skip_after = new;
        }
    }

    /// Returns what is in memory, in no order.
    pub(super) fn into_rest(self) -> Vec<Delivery> {
        match self.rule {
            Rule::Free => Vec::new(),
            Rule::InOrder { order, .. } => order.into_rest().collect(),
            Rule::Latest { latest, .. } => latest.into_rest().collect(),
        }
    }

    /// Returns whether nothing ever waits here.
    pub(super) const fn are_free(&self) -> bool {
        matches!(self.rule, Rule::Free)
    }

    /// Returns whether deliveries are wanted even if none can be attempted.
    pub(super) const fn look_ahead(&self) -> bool {
        matches!(self.rule, Rule::Latest { .. })
    }

    /// Returns whether fresh deliveries may come in.
    pub(super) fn have_room(&self) -> bool {
        match &self.rule {
            Rule::InOrder { order, .. } => order.has_room(),
            Rule::Latest { latest, .. } => latest.has_room(),
            Rule::Free => true,
        }
    }

    /// Returns whether it is somebody's turn.
    pub(super) fn have_next(&self) -> bool {
        match &self.rule {
            Rule::Free => false,
            Rule::InOrder { order, .. } => order.has_ready(),
            Rule::Latest { latest, .. } => latest.has_ready(),
        }
    }

    /// Takes in a delivery; returns it if it is its turn. `joins` says of which keys others are about
    /// to be sent.
    pub(super) fn arrive(
        &mut self,
        delivery: Delivery,
        joins: impl Fn(Key) -> bool,
    ) -> Option<Turn> {
        let key = match &self.rule {
            Rule::Free => None,
            Rule::InOrder { key, .. } | Rule::Latest { key, .. } => key(delivery.event()),
        };
        let seq = delivery.seq();
        // What is replayed comes when it comes.
        let Some(key) = key.filter(|_| !seq.is_replayed()) else {
            if let Rule::Latest { latest, .. } = &mut self.rule {
                latest.arrive_alone(delivery);
                return None;
            }
            return Some(Turn::free(delivery));
        };
        match &mut self.rule {
            Rule::Free => Some(Turn::free(delivery)),
            Rule::InOrder {
                order, skip_after, ..
            } => {
                let place = order.arrive(Arrival {
                    key,
                    seq,
                    has_given_way: has_given_way(&delivery, *skip_after),
                    joins: joins(key),
                    item: delivery,
                });
                self.follow();
                match place {
                    Place::Head(delivery) => Some(Turn::of(key, delivery)),
                    Place::Aside(delivery) => Some(Turn::free(delivery)),
                    Place::Behind => None,
                }
            }
            Rule::Latest { latest, .. } => {
                if delivery.is_retry() {
                    latest.arrive_again(key, seq, delivery);
                } else {
                    latest.arrive(key, seq, delivery);
                }
                self.follow();
                None
            }
        }
    }

    /// Returns the next whose turn it is.
    pub(super) fn next(&mut self) -> Option<Turn> {
        let next = match &mut self.rule {
            Rule::Free => None,
            Rule::InOrder { order, .. } => order.next().map(|(key, next)| (Some(key), next)),
            Rule::Latest { latest, .. } => latest.next(),
        };
        self.follow();
        next.map(|(key, delivery)| Turn { delivery, key })
    }

    /// Returns the next of a key of which others are about to be sent.
    pub(super) fn join(&mut self, key: Key) -> Option<Turn> {
        let Rule::InOrder { order, .. } = &mut self.rule else {
            return None;
        };
        let next = order.join(key);
        self.follow();
        next.map(|delivery| Turn::of(key, delivery))
    }

    /// Notes that a delivery has ended.
    pub(super) fn ended(&mut self, key: Option<Key>) {
        let Some(key) = key else {
            return;
        };
        match &mut self.rule {
            Rule::Free => {}
            Rule::InOrder { order, .. } => order.ended(key),
            Rule::Latest { latest, .. } => latest.ended(key),
        }
        self.follow();
    }

    /// Notes that a delivery is to be attempted again at `due`; returns it if it is to be put off until
    /// then.
    pub(super) fn failed(&mut self, turn: Turn, due: Timestamp) -> Option<Delivery> {
        let Turn { delivery, key } = turn;
        let (Some(key), seq) = (key, delivery.seq()) else {
            return Some(delivery);
        };
        let kept = match &mut self.rule {
            Rule::Free => Some(delivery),
            Rule::InOrder {
                order, skip_after, ..
            } => {
                let first_failed = delivery.first_failed.filter(|_| delivery.failures > 0);
                match gate(due, first_failed, *skip_after) {
                    None => {
                        order.ended(key);
                        Some(delivery)
                    }
                    Some(gate) => match order.failed(key, seq, gate) {
                        Failed::PutOff => Some(delivery),
                        Failed::Behind => {
                            order.put_back(key, seq, delivery);
                            None
                        }
                    },
                }
            }
            Rule::Latest { latest, .. } => {
                if let Some(delivery) = latest.failed(key, seq, delivery) {
                    let place = match delivery.postpone(due) {
                        Some(delivery) => Kept::Memory(delivery),
                        None => Kept::Store { due },
                    };
                    latest.put_off(key, seq, place, instant(due), Instant::now());
                }
                None
            }
        };
        self.follow();
        kept
    }

    /// Takes back a delivery that has not had its attempt; returns it if it is still its turn.
    pub(super) fn put_back(&mut self, turn: Turn) -> Option<Turn> {
        let (Rule::InOrder { order, .. }, Some(key)) = (&mut self.rule, turn.key) else {
            return Some(turn);
        };
        order.put_back(key, turn.delivery.seq(), turn.delivery);
        self.follow();
        None
    }

    /// Takes in what the store has.
    pub(super) fn answered(&mut self, answer: Answer) {
        let order = match &mut self.rule {
            Rule::Free => return,
            Rule::InOrder { order, .. } => order,
            Rule::Latest { latest, .. } => {
                if let (What::PutOff { seq, due }, Found::PutOff(false)) =
                    (answer.question.what, answer.found)
                {
                    latest.is_gone(answer.question.key, seq, due);
                    self.follow();
                }
                return;
            }
        };
        let found = match answer.found {
            Found::Parked(deliveries, has_more) => {
                let numbered = |delivery: Delivery| (delivery.seq(), delivery);
                Found::Parked(deliveries.into_iter().map(numbered).collect(), has_more)
            }
            Found::PutOff(is_there) => Found::PutOff(is_there),
        };
        let question = answer.question;
        order.answered(Answer { question, found });
        self.follow();
    }

    /// Returns when [`wake`](Self::wake) is to be called.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        match &self.rule {
            Rule::Free => None,
            Rule::InOrder { order, .. } => order.next_wake(),
            Rule::Latest { latest, .. } => latest.next_wake(),
        }
    }

    /// Looks after what has been away for long.
    pub(super) fn wake(&mut self) {
        let now = Instant::now();
        match &mut self.rule {
            Rule::Free => {}
            Rule::InOrder { order, .. } => order.wake(now),
            Rule::Latest { latest, .. } => latest.wake(now),
        }
        self.follow();
    }

    fn follow(&mut self) {
        let (spool, webhook) = (&self.spool, self.webhook);
        match &mut self.rule {
            Rule::Free => {}
            Rule::InOrder { order, .. } => {
                for effect in order.effects() {
                    match effect {
                        Effect::Ask(question) => spool.ask(webhook, question),
                        // An order parks only what is durable.
                        Effect::Park(key, delivery) => drop(delivery.park(key)),
                    }
                }
            }
            Rule::Latest { latest, .. } => {
                for effect in latest.effects() {
                    match effect {
                        latest::Effect::Supersede(_, Kept::Memory(delivery)) => {
                            delivery.supersede();
                        }
                        latest::Effect::Supersede(seq, Kept::Store { due }) => {
                            spool.supersede(webhook, seq, due);
                        }
                        latest::Effect::Settle(delivery) => delivery.settle(),
                        latest::Effect::Ask(question) => spool.ask(webhook, question),
                    }
                }
            }
        }
    }
}

impl Turn {
    const fn free(delivery: Delivery) -> Self {
        Self {
            delivery,
            key: None,
        }
    }

    const fn of(key: Key, delivery: Delivery) -> Self {
        Self {
            delivery,
            key: Some(key),
        }
    }
}

fn has_given_way(delivery: &Delivery, skip_after: Duration) -> bool {
    let first_failed = delivery.first_failed.filter(|_| delivery.failures > 0);
    first_failed.is_some_and(|first| Timestamp::now() >= first.after(skip_after))
}

/// Returns how a delivery holds up those behind it; none for one that has failed for long enough.
fn gate(due: Timestamp, first_failed: Option<Timestamp>, skip_after: Duration) -> Option<Gate> {
    let gives_way = first_failed.map(|first| first.after(skip_after));
    if gives_way.is_some_and(|time| time <= Timestamp::now()) {
        return None;
    }
    Some(Gate {
        due,
        due_at: instant(due),
        gives_way_at: gives_way.map(instant),
    })
}

/// Returns about when it is this time; now for one that has passed.
fn instant(time: Timestamp) -> Instant {
    let now = Instant::now();
    now.checked_add(time.since(Timestamp::now())).unwrap_or(now)
}
