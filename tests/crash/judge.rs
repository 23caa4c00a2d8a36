//! The verdict on a story: what is missing, and why some of it came more often than once.
//!
//! | repetition | because |
//! |---|---|
//! | same id, the attempt before was not answered 2xx | it failed, and was to be repeated |
//! | same id, the attempt before was answered 2xx | the answer was lost, or what it settled was: mqhook or the receiver died in between |
//! | other id | the broker sent the message again, since it had no PUBACK: mqhook or the broker died between the two events |
//! | other id | the publisher sent the message again, since it had no PUBACK: the broker died |
//!
//! Anything else is a bug. The body of a message has the time of its event, `ts`, which tells when each
//! of two events with one number was taken in; their arrivals may be far later.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use support::publisher::{Published, number_in};
use support::receiver::Arrival;

/// Attempts that are under way together may be read in any order.
const POOL: u64 = 32;

/// For how long mqhook may go on to read what a broker sent before it died, in milliseconds: the kernel
/// has buffered it.
const LEFT_OVER: u128 = 1_000;

/// Who can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    Sidecar,
    Broker,
    Receiver,
}

/// A death, from just before it until it was certain.
#[derive(Clone, Debug)]
pub struct Death {
    pub victim: Victim,
    from: (Instant, u128),
    to: (Instant, u128),
}

impl Death {
    /// Returns a death that began at `from`, and is over now.
    pub fn since(victim: Victim, from: (Instant, u128)) -> Self {
        let to = now();
        Self { victim, from, to }
    }

    fn times(&self) -> (Victim, u128, u128) {
        (self.victim, self.from.1, self.to.1)
    }

    /// Says whether it may be why the broker sent a message twice that was taken in at these times.
    fn redelivers(&self, [first, second]: [u128; 2]) -> bool {
        let felt = match self.victim {
            Victim::Sidecar => self.to.1,
            Victim::Broker => self.to.1 + LEFT_OVER,
            Victim::Receiver => return false,
        };
        self.from.1 <= second && first <= felt
    }
}

/// Returns this moment, also in milliseconds since 1970.
pub fn now() -> (Instant, u128) {
    let wall = SystemTime::UNIX_EPOCH.elapsed().expect("it is past 1970");
    (Instant::now(), wall.as_millis())
}

/// What happened to one webhook.
pub struct Evidence<'a> {
    pub published: &'a Published,
    pub arrivals: &'a [Arrival],
    pub deaths: &'a [Death],
}

/// What is to be said of it. The lists are empty when all is well.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Numbers that were never answered 2xx.
    pub missing: Vec<u64>,
    /// What came without a number that was published, or without an id.
    pub foreign: Vec<String>,
    /// Ids that came with two bodies.
    pub changed: Vec<Arc<str>>,
    /// Repetitions without a reason.
    pub unexplained: Vec<String>,
    /// Ids of which no attempt was answered 2xx. With write elision there may be some: their message
    /// came again under another id.
    pub abandoned: Vec<Arc<str>>,
    /// Numbers that came for the first time after one had come that is later by more than the pool.
    /// An attempt that did not get as far as being read explains some.
    inversions: usize,
    published: u64,
    arrivals: usize,
    /// Who died, and from when to when, in milliseconds since 1970.
    deaths: Vec<(Victim, u128, u128)>,
    reasons: Reasons,
}

/// How many repetitions there were, by reason.
#[derive(Debug, Default)]
struct Reasons {
    /// Same id, after a failure.
    retried: usize,
    /// Same id, after a success that got lost.
    repeated: usize,
    /// Other id, sent again by the broker.
    redelivered: usize,
    /// Other id, sent again by the publisher.
    republished: usize,
}

impl Verdict {
    /// Judges.
    pub fn on(evidence: &Evidence<'_>) -> Self {
        let mut verdict = Self {
            published: evidence.published.count,
            arrivals: evidence.arrivals.len(),
            deaths: evidence.deaths.iter().map(Death::times).collect(),
            ..Self::default()
        };
        let numbers = verdict.sorted(evidence);
        for number in 0..evidence.published.count {
            match numbers.get(&number) {
                Some(events) => verdict.judge(number, events, evidence),
                None => verdict.missing.push(number),
            }
        }
        verdict
    }

    /// Fails unless nothing is missing and everything is explained.
    pub fn assert(&self) {
        let Self {
            missing,
            foreign,
            changed,
            unexplained,
            ..
        } = self;
        let is_well = missing.is_empty()
            && foreign.is_empty()
            && changed.is_empty()
            && unexplained.is_empty();
        assert!(
            is_well,
            "expected nothing to be lost and every repetition to have a reason, but\n\
            missing: {missing:?}\nforeign: {foreign:?}\nother body under the same id: {changed:?}\n\
            unexplained: {unexplained:#?}\ndeaths: {:?}\n{self}",
            self.deaths
        );
    }

    /// Returns the arrivals by number and event, events in the order of their times.
    fn sorted<'a>(&mut self, evidence: &Evidence<'a>) -> BTreeMap<u64, Vec<Event<'a>>> {
        let mut numbers: BTreeMap<u64, Vec<Event<'a>>> = BTreeMap::new();
        let mut next = 0;
        for arrival in evidence.arrivals {
            let known = number_in(&arrival.body).filter(|&number| {
                number < evidence.published.count && !arrival.event_id.is_empty()
            });
            let (Some(number), Some(time)) = (known, time_in(&arrival.body)) else {
                self.foreign.push(format!("{arrival:?}"));
                continue;
            };
            let events = numbers.entry(number).or_insert_with(|| {
                self.inversions += usize::from(number + POOL < next);
                next = next.max(number);
                Vec::new()
            });
            let id = &arrival.event_id;
            if let Some(event) = events.iter_mut().find(|event| event.id == id) {
                event.arrivals.push(arrival);
            } else {
                events.push(Event {
                    id,
                    time,
                    arrivals: vec![arrival],
                });
            }
        }
        for events in numbers.values_mut() {
            events.sort_by_key(|event| event.time);
        }
        numbers
    }

    fn judge(&mut self, number: u64, events: &[Event<'_>], evidence: &Evidence<'_>) {
        for event in events {
            self.judge_event(number, event, evidence.deaths);
        }
        let is_accepted = events.iter().any(Event::is_accepted);
        if !is_accepted {
            self.missing.push(number);
        }
        for pair in events.windows(2) {
            let times = [pair[0].time, pair[1].time];
            if evidence.deaths.iter().any(|death| death.redelivers(times)) {
                self.reasons.redelivered += 1;
            } else if evidence.published.repeated.contains(&number) {
                self.reasons.republished += 1;
            } else {
                let ids = [pair[0].id, pair[1].id];
                self.unexplained.push(format!(
                    "number {number} came as the events {ids:?}, taken in at {times:?}"
                ));
            }
        }
    }

    fn judge_event(&mut self, number: u64, event: &Event<'_>, deaths: &[Death]) {
        if !event.is_accepted() {
            self.abandoned.push(Arc::clone(event.id));
        }
        for pair in event.arrivals.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if first.body != second.body {
                self.changed.push(Arc::clone(event.id));
            }
            let between = |death: &Death| {
                death.victim != Victim::Broker
                    && death.to.0 >= first.at
                    && death.from.0 <= second.at
            };
            if !first.is_accepted() {
                self.reasons.retried += 1;
            } else if deaths.iter().any(between) {
                self.reasons.repeated += 1;
            } else {
                let id = event.id;
                let gap = second.at.duration_since(first.at);
                self.unexplained.push(format!(
                    "number {number}, id {id}: was answered {:?} and came again {gap:?} later",
                    first.answer
                ));
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reasons {
            retried,
            repeated,
            redelivered,
            republished,
        } = self.reasons;
        writeln!(
            formatter,
            "{} published, {} requests, {} missing, {} out of order",
            self.published,
            self.arrivals,
            self.missing.len(),
            self.inversions
        )?;
        writeln!(formatter, "  same id:  {retried} retried after a failure")?;
        writeln!(
            formatter,
            "            {repeated} repeated after a success that a death made forgotten"
        )?;
        writeln!(
            formatter,
            "  other id: {redelivered} redelivered by the broker, which had no PUBACK"
        )?;
        writeln!(
            formatter,
            "            {republished} published again, since the broker died before its PUBACK"
        )?;
        write!(
            formatter,
            "  {} ids were never answered 2xx, {} repetitions are unexplained",
            self.abandoned.len(),
            self.unexplained.len()
        )
    }
}

/// All arrivals under one id.
struct Event<'a> {
    id: &'a Arc<str>,
    /// When it was taken in, in milliseconds since 1970.
    time: u128,
    arrivals: Vec<&'a Arrival>,
}

impl Event<'_> {
    fn is_accepted(&self) -> bool {
        self.arrivals.iter().any(|arrival| arrival.is_accepted())
    }
}

fn time_in(body: &[u8]) -> Option<u128> {
    let rest = body.strip_prefix(b"{\"ts\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
