//! The SUBSCRIBEs and UNSUBSCRIBEs of one connection and what was answered to them. Pure: time
//! comes from outside.
//!
//! One goes out at a time. rumqttc begins again with packet identifier 1 after a few packets, and
//! does not look whether an earlier SUBSCRIBE still uses it.

use std::collections::{HashSet, VecDeque};
use std::iter::repeat;

use tokio::time::{Duration, Instant};

use super::attempts::BACKOFF;
use super::link::Subscribed;
use super::{Cause, Problem};
use crate::event::{Reason, TopicFilter};

/// Most topic filters of one SUBSCRIBE.
const FILTERS_PER_SUBSCRIBE: usize = 100;

/// What is asked of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Has what is subscribed to already have an identifier; refusals do not matter.
    Name(Vec<String>),
    Subscribe(Vec<String>),
    /// Has what was just subscribed to have another identifier, before anything is given up; refusals do not matter.
    Rename(Vec<String>),
    /// Refusals do not matter.
    Overhear(Vec<String>),
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
    /// Before when nothing is given up.
    rest_until: Option<Instant>,
    /// What was accepted over this connection, and not given up since.
    made: HashSet<String>,
    /// What was asked for over this connection at QoS 0, whatever was answered.
    overheard: HashSet<String>,
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
            rest_until: None,
            made: HashSet::new(),
            overheard: HashSet::new(),
            refused: None,
            failures: 0,
            again_at: None,
            changed: false,
        }
    }

    /// Replaces what is still to be sent. Leftovers go last: in between a message may come twice, but
    /// none is missed.
    pub(super) fn ask(&mut self, filters: &[String], passing: Vec<String>, leftovers: Vec<String>) {
        let subscribes = filters
            .chunks(FILTERS_PER_SUBSCRIBE)
            .map(|filters| Request::Subscribe(filters.to_vec()));
        let overhear = Some(passing).filter(|filters| !filters.is_empty());
        let unsubscribes = leftovers.into_iter().map(Request::Unsubscribe);
        self.waiting = subscribes
            .chain(overhear.map(Request::Overhear))
            .chain(unsubscribes)
            .collect();
        self.refused = None;
        self.again_at = None;
        self.changed = true;
    }

    /// Has these filters, which are to be given up, have an identifier first.
    pub(super) fn name(&mut self, filters: &[String]) {
        for filters in filters.chunks(FILTERS_PER_SUBSCRIBE).rev() {
            self.waiting.push_front(Request::Name(filters.to_vec()));
        }
    }

    /// Has these filters, which are new or about to be, have another identifier before anything is given up.
    pub(super) fn rename(&mut self, filters: &[String]) {
        let is_before = |request: &Request| !matches!(request, Request::Unsubscribe(_));
        let at = self.waiting.partition_point(is_before);
        for filters in filters.chunks(FILTERS_PER_SUBSCRIBE) {
            self.waiting.insert(at, Request::Rename(filters.to_vec()));
        }
    }

    /// Returns whether a filter was accepted over this connection, and not given up since.
    pub(super) fn is_made(&self, filter: &str) -> bool {
        self.made.contains(filter)
    }

    /// Asks for what is missing of these filters, and then to give up what is left. Returns whether there is anything
    /// to ask for.
    pub(super) fn change(
        &mut self,
        filters: &[String],
        mut passing: Vec<String>,
        left: Vec<String>,
    ) -> bool {
        passing.retain(|filter| !self.overheard.contains(filter));
        let is_new = |filter: &&String| !self.is_made(filter);
        let new: Vec<String> = filters.iter().filter(is_new).cloned().collect();
        let is_any = !new.is_empty() || !passing.is_empty() || !left.is_empty();
        if !is_any && self.waiting.is_empty() {
            return self.sent.is_some();
        }
        self.ask(&new, passing, left);
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
        let is_resting = self.rest_until.is_some_and(|until| now < until);
        let is_end =
            |request: &Request| matches!(request, Request::Rename(_) | Request::Unsubscribe(_));
        let request = self
            .waiting
            .pop_front_if(|request| !(is_resting && is_end(request)))?;
        match &request {
            Request::Name(_) | Request::Subscribe(_) | Request::Rename(_) => {}
            Request::Overhear(filters) => self.overheard.extend(filters.iter().cloned()),
            Request::Unsubscribe(filter) => drop(self.made.remove(filter)),
        }
        let sent = self.sent.insert(Sent {
            request,
            packet_id: None,
            deadline: now + self.patience,
        });
        Some(&sent.request)
    }

    /// Gives up nothing before a time; `None`: at once.
    pub(super) fn rest(&mut self, until: Option<Instant>) {
        self.rest_until = until;
    }

    /// Notes the packet identifier of what was sent.
    pub(super) fn sent(&mut self, packet_id: u16) {
        if let Some(sent) = &mut self.sent {
            sent.packet_id = Some(packet_id);
        }
    }

    /// Takes a SUBACK; a topic filter that it says nothing about counts as refused. Returns what was refused.
    pub(super) fn subscribed(&mut self, answer: Subscribed) -> Vec<String> {
        let answered = self.answered(answer.packet_id, |request| {
            !matches!(request, Request::Unsubscribe(_))
        });
        let (filters, counts) = match answered {
            Some(Request::Subscribe(filters)) => (filters, true),
            Some(Request::Name(filters) | Request::Rename(filters)) => (filters, false),
            Some(Request::Overhear(_) | Request::Unsubscribe(_)) | None => return Vec::new(),
        };
        let unsaid = repeat(Some(Reason::UnspecifiedError));
        let answers = answer.refused.into_iter().chain(unsaid);
        let mut all_refused = Vec::new();
        for (filter, refused) in filters.into_iter().zip(answers) {
            if refused.is_some() {
                all_refused.push(filter.clone());
            }
            if !counts {
                continue;
            }
            let Some(reason) = refused else {
                self.made.insert(filter);
                continue;
            };
            let detail = format_args!("`{filter}`: {reason}");
            self.refused = Some(Problem::new(Cause::SubscribeRefused, detail));
            // What it was to take the place of is better than nothing.
            self.waiting.retain_mut(|request| match request {
                Request::Unsubscribe(left) => !may_overlap(left, &filter),
                Request::Rename(filters) => {
                    filters.retain(|it| *it != filter);
                    !filters.is_empty()
                }
                _ => true,
            });
        }
        all_refused
    }

    /// Takes an UNSUBACK, whatever it says; returns what was given up, even if it is [asked for](Self::is_asked_for)
    /// again.
    pub(super) fn unsubscribed(&mut self, packet_id: u16) -> Option<String> {
        let answered = self.answered(packet_id, |request| {
            matches!(request, Request::Unsubscribe(_))
        });
        match answered? {
            Request::Unsubscribe(filter) => Some(filter),
            _ => None,
        }
    }

    /// Returns whether a filter is still to be subscribed to.
    pub(super) fn is_asked_for(&self, filter: &str) -> bool {
        let asks = |request: &Request| match request {
            Request::Subscribe(filters) => filters.iter().any(|it| it == filter),
            _ => false,
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
        match &self.sent {
            Some(sent) => Some(sent.deadline),
            None if self.waiting.is_empty() => self.again_at,
            None => self.rest_until,
        }
    }

    /// Returns whether it is time to ask again for what was refused.
    ///
    /// # Errors
    /// The broker has not answered.
    pub(super) fn wake(&self) -> Result<bool, Problem> {
        match self.sent.as_ref().map(|sent| &sent.request) {
            None => Ok(self.waiting.is_empty()),
            Some(Request::Unsubscribe(_)) => Err(Problem::new(Cause::Timeout, "no UNSUBACK")),
            Some(_) => Err(Problem::new(Cause::Timeout, "no SUBACK")),
        }
    }
}

/// Returns whether a topic may match both filters.
fn may_overlap(one: &str, other: &str) -> bool {
    let filters = TopicFilter::try_from(one)
        .ok()
        .zip(TopicFilter::try_from(other).ok());
    filters.is_none_or(|(one, other)| one.overlaps(&other))
}

#[cfg(test)]
mod tests;
