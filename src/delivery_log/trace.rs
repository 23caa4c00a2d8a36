//! Where an event went: what the log knows of it, and what the spool's database has.

use std::time::Duration;

use super::attempt::{Attempt, Ending};
use crate::event::{Id, Kind, Timestamp};
use crate::spool::store::{DeadLetterId, Whereabouts};

/// How long the database may need until it shows what came of an attempt.
const LAG: Duration = Duration::from_secs(10);

/// Where an event went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The event.
    pub id: Id,
    /// Its kind.
    pub kind: Kind,
    /// When it was accepted.
    pub at: Timestamp,
    /// The topic of a message, `None` for other kinds.
    pub topic: Option<String>,
    /// The webhooks of which something is known, by name.
    pub destinations: Vec<Destination>,
}

/// One webhook that an event went to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The webhook's name.
    pub webhook: String,
    /// How the delivery stands.
    pub state: State,
    /// Its dead letter, if it is one.
    pub dead_letter: Option<DeadLetterId>,
    /// The attempts that the log remembers, the first one first.
    pub attempts: Vec<Attempt>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It will be attempted, or is being so.
    Waiting,
    /// The receiver has the event.
    Delivered,
    /// It was given up and is kept.
    DeadLetter,
    /// It was given up and is not kept, or not any more.
    Dropped,
    /// Its last attempt that is remembered failed, and nothing is known of what followed.
    Unknown,
}

impl State {
    /// Returns the word for it, such as `dead_letter`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::DeadLetter => "dead_letter",
            Self::Dropped => "dropped",
            Self::Unknown => "unknown",
        }
    }
}

impl Trace {
    /// Puts together what is known of an event at a time: its attempts in any order, and what the database
    /// has, which is `None` if there is none, because all is in memory. Returns `None` if nothing is known.
    #[must_use]
    pub fn of(
        id: Id,
        attempts: Vec<Attempt>,
        whereabouts: Option<&[Whereabouts]>,
        now: Timestamp,
    ) -> Option<Self> {
        let found = whereabouts.unwrap_or_default();
        let (kind, topic) = match (found.first(), attempts.first()) {
            (Some(one), _) => (one.kind, one.topic.clone()),
            (None, Some(attempt)) => (attempt.kind, attempt.topic.clone()),
            (None, None) => return None,
        };
        let tried = attempts.iter().map(|attempt| attempt.webhook.to_string());
        let kept = found.iter().map(|one| one.webhook.clone());
        let mut names: Vec<String> = tried.chain(kept).collect();
        names.sort_unstable();
        names.dedup();
        let destination = |webhook: String| {
            let of_it = attempts
                .iter()
                .filter(|attempt| *attempt.webhook == *webhook);
            let mut attempts: Vec<Attempt> = of_it.cloned().collect();
            attempts.sort_unstable_by_key(|attempt| attempt.id);
            let kept = found.iter().filter(|one| one.webhook == webhook);
            let (state, dead_letter) = state(attempts.last(), kept, whereabouts.is_some(), now);
            Destination {
                webhook,
                state,
                dead_letter,
                attempts,
            }
        };
        Some(Self {
            id,
            kind,
            at: id.time(),
            topic,
            destinations: names.into_iter().map(destination).collect(),
        })
    }
}

fn state<'a>(
    last: Option<&Attempt>,
    kept: impl Iterator<Item = &'a Whereabouts> + Clone,
    has_database: bool,
    now: Timestamp,
) -> (State, Option<DeadLetterId>) {
    if kept.clone().any(|one| one.dead_letter.is_none()) {
        return (State::Waiting, None);
    }
    if let Some(letter) = kept.filter_map(|one| one.dead_letter).last() {
        return (State::DeadLetter, Some(letter));
    }
    let is_recent = last.is_some_and(|last| now.since(last.at) < LAG);
    let state = match last.map(|last| last.ending) {
        Some(Ending::Delivered) => State::Delivered,
        Some(Ending::Retry) if is_recent || !has_database => State::Waiting,
        Some(_) if is_recent && has_database => State::Waiting,
        Some(Ending::Rejected | Ending::GivenUp) => State::Dropped,
        Some(Ending::Retry) | None => State::Unknown,
    };
    (state, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn attempt(ending: Ending, age: u64) -> Attempt {
        let at = Timestamp::from_millis(NOW.as_millis() - age);
        Attempt {
            id: super::super::AttemptId::first_at(at),
            at,
            webhook: "a".into(),
            event: Id::new(),
            kind: Kind::MessagePublish,
            topic: Some("t".to_owned()),
            number: 1,
            ending,
            status: None,
            class: None,
            detail: String::new(),
            latency: Duration::ZERO,
            response: String::new(),
            left_out: 0,
        }
    }

    fn kept(dead_letter: Option<u64>) -> Whereabouts {
        Whereabouts {
            webhook: "a".to_owned(),
            dead_letter: dead_letter.map(DeadLetterId),
            failures: 1,
            kind: Kind::MessagePublish,
            time: NOW,
            topic: None,
        }
    }

    fn check(attempts: &[Attempt], whereabouts: Option<&[Whereabouts]>, expected: State) {
        let trace = Trace::of(Id::new(), attempts.to_vec(), whereabouts, NOW);
        let trace = trace.expect("something is known");
        assert_eq!(trace.destinations.len(), 1, "{trace:?}");
        assert_eq!(trace.destinations[0].state, expected, "{trace:?}");
    }

    #[test]
    fn the_state_is_what_the_last_that_is_known_says() {
        use Ending::{Delivered, GivenUp, Rejected, Retry};
        let old = 60_000;
        check(&[], Some(&[kept(None)]), State::Waiting);
        check(&[], Some(&[kept(Some(7))]), State::DeadLetter);
        check(&[], Some(&[kept(Some(7)), kept(None)]), State::Waiting);
        check(&[attempt(Delivered, old)], Some(&[]), State::Delivered);
        check(&[attempt(Delivered, old)], None, State::Delivered);
        let again = [attempt(Delivered, old), attempt(Retry, old + 1)];
        check(&again, Some(&[]), State::Delivered);
        check(&[attempt(Retry, old)], Some(&[]), State::Unknown);
        check(&[attempt(Retry, 1)], Some(&[]), State::Waiting);
        check(&[attempt(Retry, old)], None, State::Waiting);
        check(&[attempt(GivenUp, 1)], Some(&[]), State::Waiting);
        check(&[attempt(GivenUp, old)], Some(&[]), State::Dropped);
        check(&[attempt(Rejected, 1)], None, State::Dropped);
    }

    #[test]
    fn nothing_is_made_up_of_an_event_that_nobody_knows() {
        assert_eq!(Trace::of(Id::new(), Vec::new(), Some(&[]), NOW), None);
    }
}
