//! The SUBSCRIBEs and UNSUBSCRIBEs of one connection and what was answered to them. Pure: time
//! comes from outside.
//!
//! One goes out at a time. rumqttc begins again with packet identifier 1 after a few packets, and
//! does not look whether an earlier SUBSCRIBE still uses it.

use std::collections::VecDeque;
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
        let sent = self.sent.insert(Sent {
            request: self.waiting.pop_front()?,
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
            matches!(request, Request::Subscribe(_) | Request::Overhear(_))
        });
        let Some(Request::Subscribe(filters)) = answered else {
            return;
        };
        let unsaid = repeat(Some(Reason::UnspecifiedError));
        for (filter, refused) in filters.iter().zip(answer.refused.into_iter().chain(unsaid)) {
            if let Some(reason) = refused {
                let detail = format_args!("`{filter}`: {reason}");
                self.refused = Some(Problem::new(Cause::SubscribeRefused, detail));
            }
        }
    }

    /// Takes an UNSUBACK; what it says does not matter.
    pub(super) fn unsubscribed(&mut self, packet_id: u16) {
        self.answered(packet_id, |request| {
            matches!(request, Request::Unsubscribe(_))
        });
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
            Some(Request::Subscribe(_) | Request::Overhear(_)) => {
                Err(Problem::new(Cause::Timeout, "no SUBACK"))
            }
            Some(Request::Unsubscribe(_)) => Err(Problem::new(Cause::Timeout, "no UNSUBACK")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(filters: usize, leftovers: &[&str]) -> Subscriptions {
        let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
        let filters: Vec<String> = (0..filters).map(|i| format!("f/{i}")).collect();
        subscriptions.ask(
            &filters,
            Vec::new(),
            leftovers.iter().map(ToString::to_string).collect(),
        );
        subscriptions
    }

    fn send(subscriptions: &mut Subscriptions, packet_id: u16) -> usize {
        let request = subscriptions.send(Instant::now()).cloned();
        subscriptions.sent(packet_id);
        match request {
            None => 0,
            Some(Request::Unsubscribe(_)) => 1,
            Some(Request::Subscribe(filters) | Request::Overhear(filters)) => filters.len(),
        }
    }

    fn answer(packet_id: u16, refused: Vec<Option<Reason>>) -> Subscribed {
        Subscribed { packet_id, refused }
    }

    fn verdict(subscriptions: &mut Subscriptions) -> Option<Verdict> {
        subscriptions.take_verdict(Instant::now(), 0.0)
    }

    fn refusal(detail: &str) -> Verdict {
        Verdict::Refused(Problem::new(Cause::SubscribeRefused, detail))
    }

    #[test]
    fn the_verdict_waits_for_every_suback() {
        let mut subscriptions = asked(150, &[]);
        assert_eq!(verdict(&mut subscriptions), None);
        assert_eq!(send(&mut subscriptions, 1), 100);
        let mut refused = vec![None; 100];
        refused[3] = Some(Reason::NotAuthorized);
        subscriptions.subscribed(answer(1, refused));
        assert_eq!(verdict(&mut subscriptions), None);
        assert_eq!(send(&mut subscriptions, 2), 50);
        subscriptions.subscribed(answer(2, vec![None; 50]));
        assert_eq!(
            verdict(&mut subscriptions),
            Some(refusal("`f/3`: not_authorized"))
        );
        assert!(subscriptions.wake_at().is_some());
        assert_eq!(subscriptions.wake(), Ok(()));
        assert_eq!(verdict(&mut subscriptions), None);
    }

    #[test]
    fn one_is_sent_at_a_time_and_leftovers_go_last() {
        let mut subscriptions = asked(1, &["old"]);
        assert_eq!(send(&mut subscriptions, 7), 1);
        assert_eq!(subscriptions.send(Instant::now()), None);
        subscriptions.unsubscribed(7);
        subscriptions.subscribed(answer(8, vec![None]));
        assert_eq!(subscriptions.send(Instant::now()), None);
        subscriptions.subscribed(answer(7, vec![None]));
        assert_eq!(send(&mut subscriptions, 8), 1);
        assert_eq!(verdict(&mut subscriptions), None);
        subscriptions.unsubscribed(8);
        assert_eq!(verdict(&mut subscriptions), Some(Verdict::Accepted));
        assert_eq!(subscriptions.wake_at(), None);
    }

    #[test]
    fn what_is_only_overheard_may_be_refused() {
        let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
        subscriptions.ask(&["f".to_owned()], vec!["g".to_owned()], Vec::new());
        assert_eq!(send(&mut subscriptions, 1), 1);
        subscriptions.subscribed(answer(1, vec![None]));
        assert_eq!(verdict(&mut subscriptions), None);
        assert_eq!(send(&mut subscriptions, 2), 1);
        subscriptions.subscribed(answer(2, vec![Some(Reason::NotAuthorized)]));
        assert_eq!(verdict(&mut subscriptions), Some(Verdict::Accepted));
    }

    #[test]
    fn a_missing_answer_has_a_deadline() {
        let mut subscriptions = asked(1, &["old"]);
        let now = Instant::now();
        subscriptions.send(now);
        subscriptions.sent(1);
        assert_eq!(subscriptions.wake_at(), Some(now + Duration::from_secs(10)));
        let problem = |detail| Err(Problem::new(Cause::Timeout, detail));
        assert_eq!(subscriptions.wake(), problem("no SUBACK"));
        subscriptions.subscribed(answer(1, vec![None]));
        send(&mut subscriptions, 2);
        assert_eq!(subscriptions.wake(), problem("no UNSUBACK"));
    }

    #[test]
    fn a_filter_without_a_code_is_refused() {
        let mut subscriptions = asked(2, &[]);
        send(&mut subscriptions, 1);
        subscriptions.subscribed(answer(1, vec![None]));
        assert_eq!(
            verdict(&mut subscriptions),
            Some(refusal("`f/1`: unspecified_error"))
        );
    }
}
