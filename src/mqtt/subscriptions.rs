//! The SUBSCRIBEs of one connection and what was answered to them.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::attempts::BACKOFF;
use super::link::Subscribed;
use super::{Cause, Problem};

/// Most topic filters of one SUBSCRIBE.
pub(super) const FILTERS_PER_SUBSCRIBE: usize = 100;

/// The SUBSCRIBEs of one connection and what was answered to them.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// What was asked for and not yet sent, per SUBSCRIBE.
    asked: VecDeque<Vec<String>>,
    sent: Vec<(u16, Vec<String>)>,
    refused: Option<Problem>,
    failures: u32,
    /// When to ask again for what was refused.
    pub(super) again_at: Option<Instant>,
    changed: bool,
}

/// What came of all SUBSCRIBEs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused(Problem),
}

impl Subscriptions {
    pub(super) fn asked(&mut self, filters: &[String]) {
        let packets = filters
            .chunks(FILTERS_PER_SUBSCRIBE)
            .map(<[String]>::to_vec);
        self.asked.extend(packets);
        self.refused = None;
        self.again_at = None;
        self.changed = true;
    }

    pub(super) fn sent(&mut self, packet_id: u16) {
        if let Some(filters) = self.asked.pop_front() {
            self.sent.push((packet_id, filters));
        }
    }

    pub(super) fn answered(&mut self, answer: Subscribed) {
        let Some(index) = self.sent.iter().position(|(id, _)| *id == answer.packet_id) else {
            return;
        };
        let (_, filters) = self.sent.swap_remove(index);
        for (filter, refused) in filters.iter().zip(answer.refused) {
            if let Some(reason) = refused {
                let detail = format_args!("`{filter}`: {reason}");
                self.refused = Some(Problem::new(Cause::SubscribeRefused, detail));
            }
        }
        self.changed = true;
    }

    /// Returns, once, what came of all SUBSCRIBEs when the last has been answered.
    pub(super) fn take_verdict(&mut self) -> Option<Verdict> {
        if !self.changed || !self.asked.is_empty() || !self.sent.is_empty() {
            return None;
        }
        self.changed = false;
        if self.refused.is_some() {
            self.failures += 1;
            self.again_at = Some(Instant::now() + BACKOFF.delay(self.failures, rand::random()));
        } else {
            self.failures = 0;
        }
        Some(match self.refused.clone() {
            None => Verdict::Accepted,
            Some(problem) => Verdict::Refused(problem),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_waits_for_every_suback() {
        let mut subscriptions = Subscriptions::default();
        let filters: Vec<String> = (0..150).map(|i| format!("f/{i}")).collect();
        subscriptions.asked(&filters);
        assert_eq!(subscriptions.take_verdict(), None);
        subscriptions.sent(1);
        subscriptions.sent(2);
        let answer = |packet_id, refused| Subscribed { packet_id, refused };
        subscriptions.answered(answer(2, vec![None; 50]));
        assert_eq!(subscriptions.take_verdict(), None);
        let mut refused = vec![None; 100];
        refused[3] = Some(crate::event::Reason::NotAuthorized);
        subscriptions.answered(answer(1, refused));
        let refused = Problem::new(Cause::SubscribeRefused, "`f/3`: not_authorized");
        assert_eq!(
            subscriptions.take_verdict(),
            Some(Verdict::Refused(refused))
        );
        assert!(subscriptions.again_at.is_some());
        assert_eq!(subscriptions.take_verdict(), None);
    }
}
