//! What a connection does when its topic filters change, and when it is to leave.
//!
//! ```text
//! SUBSCRIBE to what is new --SUBACK, a first message or REST--> SUBSCRIBE to it by another identifier
//!   --SUBACK--> UNSUBSCRIBE from what is not wanted any more --UNSUBACK--> done
//! ```
//!
//! In between nothing is missed, and what matches both is heard twice, if the broker sends a copy for each
//! subscription: see [`Copies`]. One that leaves gives up everything, and ends its session when the broker has
//! nothing left in it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Connection, End};
use crate::ack::Ledger;
use crate::mqtt::copies::Copies;
use crate::mqtt::link::{Link, Persistence, Subscription};
use crate::mqtt::orders::{Orders, Waiters};
use crate::mqtt::pauses::Pauses;
use crate::mqtt::subscriptions::{Request, Subscriptions, Verdict};
use crate::mqtt::{Listener, Protocol, Replays, Status};

/// The largest identifier of a subscription (MQTT 5, 3.8.2.1.2).
const MOST_IDENTIFIERS: usize = 268_435_455;

/// The identifier of subscriptions that got one when their place was to be taken. What is subscribed to at first has none,
/// as each message would carry it.
const FIRST: usize = 1;

/// How long a first message over new subscriptions is waited for before they get another identifier and old ones are
/// given up. If the broker has others queued it does not come, and what matters is that it was published by then.
const REST: Duration = Duration::from_millis(250);

/// A topic filter that nobody subscribes to.
const NOTHING: &str = "mqhook/nothing";

/// While subscriptions take the place of others: how they are told apart, and what comes over both.
#[derive(Debug, Default)]
pub struct Overlap {
    /// The identifier of the latest, 0 before anything has changed.
    identifier: usize,
    /// What was asked for last, and what of it is only overheard.
    asked: Option<(Vec<String>, Vec<String>)>,
    pub(super) copies: Copies,
}

/// How far a conversation with the broker has come.
pub(super) struct Progress {
    pub(super) subscriptions: Subscriptions,
    /// Whether a message was not taken for lack of room.
    pub(super) full: bool,
    pub(super) pauses: Pauses,
    pub(super) leaving: Leaving,
    /// Who waits for the broker to have answered all that is asked for.
    pub(super) waiters: Waiters,
    /// Whether everything was accepted once over this connection.
    pub(super) was_subscribed: bool,
}

/// How far a connection has come that is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    No,
    /// Nothing more is subscribed to, and what comes all the same is acknowledged.
    Drains,
    /// Everything is acknowledged, and the broker was asked something behind that: if nothing is heard before
    /// it answers, it has nothing left.
    Probes {
        heard: bool,
    },
}

impl Leaving {
    /// Returns how a connection with a session begins to leave, if it is to.
    pub(super) fn of(orders: &Orders) -> Self {
        if orders.leaves() {
            Self::Drains
        } else {
            Self::No
        }
    }

    pub(super) fn heard(&mut self) {
        if let Self::Probes { heard } = self {
            *heard = true;
        }
    }
}

impl Progress {
    /// Returns whether it leaves and waits for everything to be acknowledged; what there was no room for has to come
    /// again before.
    pub(super) fn drains(&self) -> bool {
        self.leaving == Leaving::Drains && self.subscriptions.are_done() && !self.full
    }

    /// Asks the broker something that changes nothing.
    pub(super) fn probe(&mut self) {
        self.leaving = Leaving::Probes { heard: false };
        self.subscriptions
            .ask(&[], Vec::new(), vec![NOTHING.to_owned()]);
    }

    /// Returns whether it leaves and the broker has nothing left for it.
    pub(super) fn has_nothing_left(&mut self, ledger: &Ledger) -> bool {
        let Leaving::Probes { heard } = self.leaving else {
            return false;
        };
        if !self.subscriptions.are_done() {
            return false;
        }
        self.leaving = Leaving::Drains;
        !heard && !self.full && ledger.owed() == 0
    }
}

impl Overlap {
    /// Returns whether anything was asked of the broker, which may have kept messages since.
    pub(super) const fn was_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Returns the identifier of what is subscribed to now; none before anything has changed.
    fn identifier(&self) -> Option<usize> {
        Some(self.identifier).filter(|it| *it > 0)
    }

    /// Returns another identifier, for what is subscribed to from now on.
    fn next(&mut self) -> usize {
        self.identifier = (self.identifier % MOST_IDENTIFIERS + 1).max(FIRST + 1);
        self.identifier
    }

    /// Notes that filters are asked for.
    fn subscribe(&mut self, filters: &[String], identifier: Option<usize>) {
        if let Some(identifier) = identifier {
            let subscription = Subscription::Named(identifier);
            self.copies.subscribe(filters, subscription);
        }
    }

    /// Notes that the broker knows of no subscription any more.
    pub(super) fn forget(&mut self) {
        self.copies = Copies::default();
    }

    /// Returns what is held and not wanted any more, in the order in which it is best given up: that which came last
    /// first, so that all that comes over one comes over those before it.
    fn left(&self, holds: &BTreeSet<String>, filters: &[String]) -> Vec<String> {
        let wanted: HashSet<&String> = filters.iter().collect();
        let is_left = |filter: &&String| !wanted.contains(*filter);
        let mut left: Vec<String> = holds.iter().filter(is_left).cloned().collect();
        left.sort_by_cached_key(|filter| Reverse(self.copies.begun(filter)));
        left
    }

    /// Has what is subscribed to from now on be told apart from those whose place it takes.
    fn begin(&mut self, left: Vec<String>) {
        let new = Subscription::Named(self.next());
        self.copies.expect(new, left, Instant::now());
    }

    /// Has what is new have another identifier before anything is left. `is_made`: whether a filter is there already;
    /// it counts as new, too, if it came behind something that is left.
    fn rename(
        &self,
        filters: &[String],
        left: &[String],
        subscriptions: &mut Subscriptions,
        is_made: impl Fn(&Subscriptions, &str) -> bool,
    ) {
        let begun = left.iter().map(|filter| self.copies.begun(filter));
        let oldest = begun.map(Option::unwrap_or_default).min();
        let is_new = |filter: &&String| {
            !is_made(subscriptions, filter) || self.copies.begun(filter) > oldest
        };
        if oldest.is_some() {
            let new: Vec<String> = filters.iter().filter(is_new).cloned().collect();
            subscriptions.rename(&new);
        }
    }
}

impl<L: Listener> Connection<L> {
    /// Asks for all that is wanted, and to give up the rest of what the session may have.
    pub(super) fn subscribe(&mut self, subscriptions: &mut Subscriptions, protocol: Protocol) {
        let filters = self.listener.topic_filters();
        let left = self.overlap.left(&self.holds, &filters);
        let passing = self.listener.passing_filters();
        self.overlap.asked = Some((filters.clone(), passing.clone()));
        subscriptions.ask(&filters, passing, left.clone());
        if protocol == Protocol::V5 {
            // What an earlier run has left is of no known identifier.
            let is_named = |filter: &String| self.overlap.copies.begun(filter).is_some();
            let named: Vec<String> = left.into_iter().filter(is_named).collect();
            if !named.is_empty() {
                let holds = &self.holds;
                let is_made = |_: &Subscriptions, filter: &str| holds.contains(filter);
                self.overlap
                    .rename(&filters, &named, subscriptions, is_made);
                self.overlap.begin(named);
            } else if self.overlap.identifier().is_some() {
                self.overlap.next();
            }
        }
        self.holds.extend(filters);
    }

    /// Asks for what has changed; returns whether there is anything.
    pub(super) fn change(&mut self, subscriptions: &mut Subscriptions, protocol: Protocol) -> bool {
        let filters = self.listener.topic_filters();
        let passing = self.listener.passing_filters();
        let asked = Some((filters.clone(), passing.clone()));
        if self.overlap.asked == asked {
            return !subscriptions.are_done();
        }
        self.overlap.asked = asked;
        let left = self.overlap.left(&self.holds, &filters);
        let is_any = subscriptions.change(&filters, passing, left.clone());
        if is_any && protocol == Protocol::V5 && !filters.is_empty() {
            self.tell_apart(subscriptions, &filters, left);
        }
        self.holds.extend(filters);
        is_any
    }

    /// Has what is to be given up have an identifier, as only then a broker that sends one message for all subscriptions
    /// says so, and cannot be taken for one that sends copies; and what is new have one, and then another.
    fn tell_apart(
        &mut self,
        subscriptions: &mut Subscriptions,
        filters: &[String],
        left: Vec<String>,
    ) {
        let overlap = &mut self.overlap;
        let is_unnamed = |filter: &&String| overlap.copies.begun(filter).is_none();
        let unnamed: Vec<String> = left.iter().filter(is_unnamed).cloned().collect();
        subscriptions.name(&unnamed);
        overlap.rename(filters, &left, subscriptions, Subscriptions::is_made);
        overlap.begin(left);
        subscriptions.rest(Some(Instant::now() + REST));
    }

    /// Notes that the broker has ended a subscription.
    pub(super) fn unsubscribed(&mut self, filter: &str, subscriptions: &Subscriptions) {
        self.overlap.copies.unsubscribed(filter);
        if !subscriptions.is_asked_for(filter) {
            self.holds.remove(filter);
        }
    }

    /// Does what it is told.
    pub(super) fn heed(&mut self, progress: &mut Progress, protocol: Protocol) {
        let waiters = self.orders.take();
        // Who is not connected yet asks for everything when it is.
        if matches!(*self.status.borrow(), Status::Connecting) {
            return;
        }
        progress.leaving = Leaving::of(&self.orders);
        if self.change(&mut progress.subscriptions, protocol) {
            progress.waiters.add(waiters);
            if !progress.full {
                self.status.send_replace(Status::Subscribing);
            }
        }
    }

    /// Ends the session at the broker, which is empty.
    pub(super) async fn end_session(
        &mut self,
        protocol: Protocol,
        stop: &CancellationToken,
    ) -> End {
        let visit = self.link(protocol, Persistence::None).await.visit();
        let visit = tokio::time::timeout(self.config.connect_timeout, Box::pin(visit));
        // Otherwise it expires by itself; nothing is subscribed to in it.
        let _ = stop.run_until_cancelled(visit).await;
        End::Stopped
    }

    /// Sends what may be sent now, and tells others when every SUBSCRIBE has been answered.
    pub(super) fn follow(&mut self, link: &Link, progress: &mut Progress) {
        let subscriptions = &mut progress.subscriptions;
        if subscriptions.is_quiet() {
            return;
        }
        let (now, protocol) = (Instant::now(), link.protocol());
        if !self.overlap.copies.are_to_come() {
            subscriptions.rest(None);
        }
        match subscriptions.send(now) {
            None => {}
            Some(Request::Name(filters)) => {
                self.overlap.subscribe(filters, Some(FIRST));
                link.subscribe(filters, Replays::Never, Some(FIRST));
            }
            Some(Request::Subscribe(filters)) => {
                let identifier = self.overlap.identifier();
                self.overlap.subscribe(filters, identifier);
                link.subscribe(filters, self.listener.replays(), identifier);
            }
            Some(Request::Rename(filters)) => {
                let identifier = Some(self.overlap.next());
                self.overlap.subscribe(filters, identifier);
                link.subscribe(filters, Replays::Never, identifier);
            }
            Some(Request::Overhear(filters)) => link.overhear(filters),
            Some(Request::Unsubscribe(filter)) => {
                self.overlap.copies.unsubscribe(filter);
                link.unsubscribe(filter);
            }
        }
        let verdict = subscriptions.take_verdict(now, rand::random());
        if verdict.is_some() {
            self.overlap.copies.extend(now);
            progress.waiters.wake();
        }
        match verdict {
            None => {}
            // That is what counts for others.
            Some(Verdict::Accepted) if progress.full => {}
            Some(Verdict::Accepted) => {
                let (client_id, broker) = (self.client_id.as_str(), &self.config.url);
                info!(client_id, %broker, %protocol, "subscribed at the broker");
                self.metrics
                    .subscribed(!std::mem::replace(&mut progress.was_subscribed, true));
                self.status.send_replace(Status::Subscribed(protocol));
                self.listener.subscribed();
            }
            Some(Verdict::Refused(problem)) => {
                let (client_id, remedy) = (self.client_id.as_str(), problem.remedy());
                if *self.status.borrow() != Status::Waiting(problem.clone()) {
                    warn!(client_id, remedy, "{problem}");
                    self.status.send_replace(Status::Waiting(problem));
                }
            }
        }
    }
}
