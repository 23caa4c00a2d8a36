use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use support::receiver::Given;

use super::*;

/// A story that begins now; times are in seconds from then.
struct Told {
    start: (Instant, u128),
    arrivals: Vec<Arrival>,
    deaths: Vec<Death>,
    repeated: BTreeSet<u64>,
}

impl Told {
    fn new() -> Self {
        Self {
            start: now(),
            arrivals: Vec::new(),
            deaths: Vec::new(),
            repeated: BTreeSet::new(),
        }
    }

    /// An attempt of the event `id`, which was taken in at `taken` and carries number 0.
    fn attempt(mut self, at: u64, (id, taken): (&str, u64), answer: Given) -> Self {
        let time = self.start.1 + u128::from(taken) * 1_000;
        let body = format!(r#"{{"ts":{time},"payload":"number=0000000000;"}}"#);
        self.arrivals.push(Arrival {
            target: "/a".into(),
            event_id: id.into(),
            body: Bytes::from(body),
            at: self.start.0 + Duration::from_secs(at),
            answer,
        });
        self
    }

    fn death(mut self, at: u64, victim: Victim) -> Self {
        let instant = self.start.0 + Duration::from_secs(at);
        let time = (instant, self.start.1 + u128::from(at) * 1_000);
        self.deaths.push(Death {
            victim,
            from: time,
            to: time,
        });
        self
    }

    fn verdict(self) -> Verdict {
        let published = Published {
            count: 1,
            repeated: self.repeated,
        };
        Verdict::on(&Evidence {
            published: &published,
            arrivals: &self.arrivals,
            deaths: &self.deaths,
        })
    }
}

const OK: Given = Given::Status(200);
const BUSY: Given = Given::Status(503);

#[test]
fn a_failed_attempt_alone_is_missing() {
    let verdict = Told::new().attempt(1, ("x", 0), BUSY).verdict();
    assert_eq!((verdict.missing, verdict.abandoned.len()), (vec![0], 1));
    assert_eq!(Told::new().verdict().missing, [0]);
}

#[test]
fn a_retry_explains_itself() {
    let told = Told::new().attempt(1, ("x", 0), BUSY);
    let verdict = told.attempt(2, ("x", 0), OK).verdict();
    verdict.assert();
    assert_eq!(verdict.reasons.retried, 1);
}

#[test]
fn a_repetition_of_a_success_needs_a_death_in_between() {
    let twice = |told: Told| {
        told.attempt(3, ("x", 0), OK)
            .attempt(5, ("x", 0), OK)
            .verdict()
    };
    assert_eq!(twice(Told::new()).unexplained.len(), 1);
    assert_eq!(
        twice(Told::new().death(4, Victim::Sidecar))
            .reasons
            .repeated,
        1
    );
    assert_eq!(
        twice(Told::new().death(4, Victim::Receiver))
            .reasons
            .repeated,
        1
    );
    assert_eq!(
        twice(Told::new().death(4, Victim::Broker))
            .unexplained
            .len(),
        1
    );
    assert_eq!(
        twice(Told::new().death(2, Victim::Sidecar))
            .unexplained
            .len(),
        1
    );
}

#[test]
fn a_second_event_needs_a_death_between_the_two_intakes() {
    let twice = |told: Told| {
        told.attempt(8, ("x", 1), OK)
            .attempt(9, ("y", 3), OK)
            .verdict()
    };
    assert_eq!(twice(Told::new()).unexplained.len(), 1);
    assert_eq!(
        twice(Told::new().death(2, Victim::Sidecar))
            .reasons
            .redelivered,
        1
    );
    assert_eq!(
        twice(Told::new().death(2, Victim::Broker))
            .reasons
            .redelivered,
        1
    );
    assert_eq!(
        twice(Told::new().death(2, Victim::Receiver))
            .unexplained
            .len(),
        1
    );
    assert_eq!(
        twice(Told::new().death(5, Victim::Sidecar))
            .unexplained
            .len(),
        1
    );
    let mut published_again = Told::new();
    published_again.repeated.insert(0);
    assert_eq!(twice(published_again).reasons.republished, 1);
}

#[test]
fn one_id_has_one_body() {
    let told = Told::new().attempt(1, ("x", 0), BUSY);
    let verdict = told.attempt(2, ("x", 1), OK).verdict();
    assert_eq!(verdict.changed.len(), 1);
}

#[test]
fn what_nobody_published_is_foreign() {
    let mut told = Told::new().attempt(1, ("x", 0), OK).attempt(1, ("", 0), OK);
    let mut stray = told.arrivals[0].clone();
    stray.body = Bytes::from_static(b"{\"ts\":1,\"payload\":\"number=0000000009;\"}");
    told.arrivals.push(stray);
    assert_eq!(told.verdict().foreign.len(), 2);
}
