//! The SUBSCRIBEs and UNSUBSCRIBEs of one connection and what was answered to them. Pure: time
//! comes from outside.
//!
//! One goes out at a time. rumqttc begins again with packet identifier 1 after a few packets, and
//! does not look whether an earlier SUBSCRIBE still uses it.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::iter::repeat;

use tokio::time::{Duration, Instant};

use super::attempts::BACKOFF;
use super::link::Subscribed;
use super::{Cause, Problem};
use crate::event::Reason;

/// Most topic filters of one SUBSCRIBE.
const FILTERS_PER_SUBSCRIBE: usize = 100;

/// What is asked of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Subscribe(Vec<String>),
    Unsubscribe(String),
}

/// The SUBSCRIBEs and UNSUBSCRIBEs of one connection and what was answered to them.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Longest time from asking to the answer.
    patience: Duration,
    /// What is still to be sent.
    waiting: VecDeque<Request>,
    sent: Option<Sent>,
    /// What was accepted over this connection, and not given up since.
    made: HashSet<String>,
    refused: Option<Problem>,
    failures: u32,
    /// When to ask again for what was refused.
    again_at: Option<Instant>,
    changed: bool,
}

/// What the broker has to answer.
#[derive(Debug)]
struct Sent {
    request: Request,
    /// Known as soon as the packet is made.
    packet_id: Option<u16>,
    deadline: Instant,
}

/// What came of all SUBSCRIBEs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused(Problem),
}

impl Subscriptions {
    /// Returns those of a connection that has just been made; every answer must come within
    /// `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            waiting: VecDeque::new(),
            sent: None,
            made: HashSet::new(),
            refused: None,
            failures: 0,
            again_at: None,
            changed: false,
        }
    }

    /// Replaces what is still to be sent. Leftovers go last: in between a message may come twice, but
    /// none is missed.
    pub(super) fn ask(&mut self, filters: &[String], leftovers: Vec<String>) {
        let subscribes = filters
            .chunks(FILTERS_PER_SUBSCRIBE)
            .map(|filters| Request::Subscribe(filters.to_vec()));
        let unsubscribes = leftovers.into_iter().map(Request::Unsubscribe);
        self.waiting = subscribes.chain(unsubscribes).collect();
        self.refused = None;
        self.again_at = None;
        self.changed = true;
    }

    /// Asks for what is missing of these filters, and then to give up what else the session `holds`. Returns
    /// whether there is anything to ask for.
    pub(super) fn change(&mut self, filters: &[String], holds: &BTreeSet<String>) -> bool {
        let is_new = |filter: &&String| !self.made.contains(*filter);
        let new: Vec<String> = filters.iter().filter(is_new).cloned().collect();
        let wanted: HashSet<&String> = filters.iter().collect();
        let is_left = |filter: &&String| !wanted.contains(*filter);
        let left: Vec<String> = holds.iter().filter(is_left).cloned().collect();
        let is_as_it_was = new.is_empty() && left.is_empty() && self.waiting.is_empty();
        if is_as_it_was {
            return self.sent.is_some();
        }
        self.ask(&new, left);
        true
    }

    /// Returns whether everything has been asked for and answered.
    pub(super) fn are_done(&self) -> bool {
        self.sent.is_none() && self.waiting.is_empty()
    }

    /// Returns whether neither [`send`](Self::send) nor [`take_verdict`](Self::take_verdict) has
    /// anything to say.
    pub(super) fn is_quiet(&self) -> bool {
        self.sent.is_some() || (self.waiting.is_empty() && !self.changed)
    }

    /// Returns what is to be sent now: nothing, as long as an answer is due.
    pub(super) fn send(&mut self, now: Instant) -> Option<&Request> {
        if self.sent.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        if let Request::Unsubscribe(filter) = &request {
            self.made.remove(filter);
        }
        let sent = self.sent.insert(Sent {
            request,
            packet_id: None,
            deadline: now + self.patience,
        });
        Some(&sent.request)
    }

    /// Notes the packet identifier of what was sent.
    pub(super) fn sent(&mut self, packet_id: u16) {
        if let Some(sent) = &mut self.sent {
            sent.packet_id = Some(packet_id);
        }
    }

    /// Takes a SUBACK; a topic filter that it says nothing about counts as refused.
    pub(super) fn subscribed(&mut self, answer: Subscribed) {
        let answered = self.answered(answer.packet_id, |request| {
            matches!(request, Request::Subscribe(_))
        });
        let Some(Request::Subscribe(filters)) = answered else {
            return;
        };
        let unsaid = repeat(Some(Reason::UnspecifiedError));
        for (filter, refused) in filters
            .into_iter()
            .zip(answer.refused.into_iter().chain(unsaid))
        {
            let Some(reason) = refused else {
                self.made.insert(filter);
                continue;
            };
            let detail = format_args!("`{filter}`: {reason}");
            self.refused = Some(Problem::new(Cause::SubscribeRefused, detail));
            // What it was to take the place of is better than nothing.
            let is_subscribe = |request: &Request| matches!(request, Request::Subscribe(_));
            self.waiting.retain(is_subscribe);
        }
    }

    /// Takes an UNSUBACK, whatever it says; returns what was given up, if it is not asked for again.
    pub(super) fn unsubscribed(&mut self, packet_id: u16) -> Option<String> {
        let answered = self.answered(packet_id, |request| {
            matches!(request, Request::Unsubscribe(_))
        });
        match answered? {
            Request::Unsubscribe(filter) => {
                Some(filter).filter(|filter| !self.is_asked_for(filter))
            }
            Request::Subscribe(_) => None,
        }
    }

    fn is_asked_for(&self, filter: &String) -> bool {
        let asks = |request: &Request| match request {
            Request::Subscribe(filters) => filters.contains(filter),
            Request::Unsubscribe(_) => false,
        };
        self.waiting.iter().any(asks)
    }

    fn answered(&mut self, packet_id: u16, is_of: fn(&Request) -> bool) -> Option<Request> {
        let sent = self
            .sent
            .take_if(|sent| sent.packet_id == Some(packet_id) && is_of(&sent.request))?;
        self.changed = true;
        Some(sent.request)
    }

    /// Returns, once, what came of all SUBSCRIBEs when the last has been answered.
    pub(super) fn take_verdict(&mut self, now: Instant, random: f64) -> Option<Verdict> {
        if !self.changed || !self.waiting.is_empty() || self.sent.is_some() {
            return None;
        }
        self.changed = false;
        let Some(problem) = self.refused.clone() else {
            self.failures = 0;
            return Some(Verdict::Accepted);
        };
        self.failures += 1;
        self.again_at = Some(now + BACKOFF.delay(self.failures, random));
        Some(Verdict::Refused(problem))
    }

    /// Returns when [`wake`](Self::wake) has something to say, if nothing happens before.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.sent
            .as_ref()
            .map_or(self.again_at, |sent| Some(sent.deadline))
    }

    /// Returns that it is time to ask again for what was refused.
    ///
    /// # Errors
    /// The broker has not answered.
    pub(super) fn wake(&self) -> Result<(), Problem> {
        match self.sent.as_ref().map(|sent| &sent.request) {
            None => Ok(()),
            Some(Request::Subscribe(_)) => Err(Problem::new(Cause::Timeout, "no SUBACK")),
            Some(Request::Unsubscribe(_)) => Err(Problem::new(Cause::Timeout, "no UNSUBACK")),
        }
    }
}

#[cfg(test)]
mod tests;
