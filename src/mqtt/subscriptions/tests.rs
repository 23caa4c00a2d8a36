use std::collections::BTreeSet;

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
        Some(
            Request::Name(filters)
            | Request::Subscribe(filters)
            | Request::Rename(filters)
            | Request::Overhear(filters),
        ) => filters.len(),
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
    assert_eq!(subscriptions.wake(), Ok(true));
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
fn what_is_only_overheard_may_be_refused_and_is_asked_for_once() {
    let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
    subscriptions.ask(&["f".to_owned()], vec!["g".to_owned()], Vec::new());
    assert_eq!(send(&mut subscriptions, 1), 1);
    subscriptions.subscribed(answer(1, vec![None]));
    assert_eq!(verdict(&mut subscriptions), None);
    assert_eq!(send(&mut subscriptions, 2), 1);
    subscriptions.subscribed(answer(2, vec![Some(Reason::NotAuthorized)]));
    assert_eq!(verdict(&mut subscriptions), Some(Verdict::Accepted));
    let wanted = ["f".to_owned()];
    assert!(!subscriptions.change(&wanted, vec!["g".to_owned()], Vec::new()));
    assert!(subscriptions.change(&wanted, vec!["h".to_owned()], Vec::new()));
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

/// Asks for the difference.
fn change(subscriptions: &mut Subscriptions, filters: &[String], holds: &BTreeSet<String>) -> bool {
    let is_left = |filter: &&String| !filters.contains(filter);
    let left = holds.iter().filter(is_left).cloned().collect();
    subscriptions.change(filters, Vec::new(), left)
}

/// A broker that answers all that is asked, and what it has then.
fn settle(subscriptions: &mut Subscriptions, holds: &mut BTreeSet<String>) -> Vec<Request> {
    let mut asked = Vec::new();
    while let Some(request) = subscriptions.send(Instant::now()).cloned() {
        subscriptions.sent(9);
        match &request {
            Request::Overhear(_) => drop(subscriptions.subscribed(answer(9, Vec::new()))),
            Request::Name(filters) | Request::Rename(filters) => {
                subscriptions.subscribed(answer(9, vec![None; filters.len()]));
            }
            Request::Subscribe(filters) => {
                holds.extend(filters.iter().cloned());
                subscriptions.subscribed(answer(9, vec![None; filters.len()]));
            }
            Request::Unsubscribe(filter) => {
                assert_eq!(subscriptions.unsubscribed(9).as_ref(), Some(filter));
                holds.remove(filter);
            }
        }
        asked.push(request);
    }
    asked
}

fn names(filters: &[&str]) -> Vec<String> {
    filters.iter().map(ToString::to_string).collect()
}

#[test]
fn a_change_asks_for_the_difference_and_gives_up_last() {
    let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
    let mut holds = BTreeSet::new();
    assert!(change(&mut subscriptions, &names(&["a", "b"]), &holds));
    settle(&mut subscriptions, &mut holds);
    assert!(!change(&mut subscriptions, &names(&["b", "a"]), &holds));
    assert!(change(&mut subscriptions, &names(&["b", "c"]), &holds));
    let asked = settle(&mut subscriptions, &mut holds);
    let expected = [
        Request::Subscribe(names(&["c"])),
        Request::Unsubscribe("a".to_owned()),
    ];
    assert_eq!(asked, expected);
    assert_eq!(verdict(&mut subscriptions), Some(Verdict::Accepted));
}

#[test]
fn what_was_to_be_replaced_stays_if_its_successor_is_refused() {
    let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
    let mut holds = BTreeSet::new();
    change(&mut subscriptions, &names(&["a/b"]), &holds);
    settle(&mut subscriptions, &mut holds);
    change(&mut subscriptions, &names(&["a/#"]), &holds);
    send(&mut subscriptions, 3);
    subscriptions.subscribed(answer(3, vec![Some(Reason::NotAuthorized)]));
    assert_eq!(subscriptions.send(Instant::now()), None);
    assert_eq!(
        verdict(&mut subscriptions),
        Some(refusal("`a/#`: not_authorized"))
    );
    // As it was before, nothing is missing.
    assert!(!change(&mut subscriptions, &names(&["a/b"]), &holds));
}

#[test]
fn what_has_nothing_to_do_with_a_refusal_is_given_up() {
    let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
    let mut holds = BTreeSet::new();
    change(&mut subscriptions, &names(&["a/b", "b", "c"]), &holds);
    holds.extend(names(&["a/b", "b", "c"]));
    settle(&mut subscriptions, &mut holds);
    change(&mut subscriptions, &names(&["a/#", "b/+"]), &holds);
    send(&mut subscriptions, 3);
    subscriptions.subscribed(answer(3, vec![Some(Reason::NotAuthorized), None]));
    let asked = settle(&mut subscriptions, &mut holds);
    let given_up = ["b", "c"].map(|filter| Request::Unsubscribe(filter.to_owned()));
    assert_eq!(asked, given_up);
    assert_eq!(
        verdict(&mut subscriptions),
        Some(refusal("`a/#`: not_authorized"))
    );
}

#[test]
fn what_is_to_be_told_apart_is_named_before_anything_takes_its_place() {
    let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
    let mut holds = BTreeSet::new();
    change(&mut subscriptions, &names(&["a"]), &holds);
    holds.extend(names(&["a"]));
    settle(&mut subscriptions, &mut holds);
    change(&mut subscriptions, &names(&["+"]), &holds);
    subscriptions.name(&names(&["a"]));
    assert_eq!(
        subscriptions.send(Instant::now()),
        Some(&Request::Name(names(&["a"])))
    );
    subscriptions.sent(3);
    // It does not matter if the broker refuses that.
    let refused = subscriptions.subscribed(answer(3, vec![Some(Reason::NotAuthorized)]));
    assert_eq!(refused, ["a"]);
    let asked = settle(&mut subscriptions, &mut holds);
    let last = [
        Request::Subscribe(names(&["+"])),
        Request::Unsubscribe("a".to_owned()),
    ];
    assert_eq!(asked, last);
    assert_eq!(verdict(&mut subscriptions), Some(Verdict::Accepted));
}

#[test]
fn what_is_new_has_another_name_before_anything_is_given_up() {
    let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
    let mut holds = BTreeSet::from(["a".to_owned()]);
    let begun = Instant::now();
    change(&mut subscriptions, &names(&["+", "b/+"]), &holds);
    subscriptions.rename(&names(&["+", "b/+"]));
    subscriptions.rest(Some(begun + Duration::from_mins(1)));
    send(&mut subscriptions, 3);
    subscriptions.subscribed(answer(3, vec![None, Some(Reason::NotAuthorized)]));
    // That waits for a message, too.
    assert_eq!(subscriptions.send(begun), None);
    subscriptions.rest(None);
    let asked = settle(&mut subscriptions, &mut holds);
    assert_eq!(asked[0], Request::Rename(names(&["+"])));
    assert_eq!(asked[1..], [Request::Unsubscribe("a".to_owned())]);
}

proptest::proptest! {
    #[test]
    fn whatever_changes_in_between_the_broker_has_what_is_wanted_last(
        steps in proptest::collection::vec(
            (proptest::collection::btree_set(0_u8..6, 0..6), 0_usize..3), 1..12,
        ),
    ) {
        let mut subscriptions = Subscriptions::new(Duration::from_secs(10));
        let (mut holds, mut at_broker) = (BTreeSet::new(), BTreeSet::new());
        let mut wanted = Vec::new();
        let mut packet_id = 0;
        let mut unanswered = None;
        let answered = |subscriptions: &mut Subscriptions,
                        holds: &mut BTreeSet<String>,
                        (packet_id, request): (u16, Request)| match request {
            Request::Name(filters)
            | Request::Subscribe(filters)
            | Request::Rename(filters)
            | Request::Overhear(filters) => {
                subscriptions.subscribed(answer(packet_id, vec![None; filters.len()]));
            }
            Request::Unsubscribe(_) => {
                let filter = subscriptions.unsubscribed(packet_id);
                if let Some(filter) = filter.filter(|it| !subscriptions.is_asked_for(it)) {
                    holds.remove(&filter);
                }
            }
        };
        for (filters, turns) in steps.into_iter().chain([(BTreeSet::new(), 0), (BTreeSet::from([1]), 99)]) {
            wanted = filters.iter().map(|number| format!("f/{number}")).collect::<Vec<_>>();
            change(&mut subscriptions, &wanted, &holds);
            subscriptions.rename(&wanted);
            holds.extend(wanted.iter().cloned());
            for _ in 0..turns {
                if let Some(asked) = unanswered.take() {
                    answered(&mut subscriptions, &mut holds, asked);
                }
                if let Some(request) = subscriptions.send(Instant::now()).cloned() {
                    packet_id += 1;
                    subscriptions.sent(packet_id);
                    match &request {
                        Request::Name(_) | Request::Overhear(_) => {}
                        Request::Subscribe(filters) | Request::Rename(filters) => at_broker.extend(filters.iter().cloned()),
                        Request::Unsubscribe(filter) => drop(at_broker.remove(filter)),
                    }
                    unanswered = Some((packet_id, request));
                }
            }
        }
        let wanted: BTreeSet<String> = wanted.into_iter().collect();
        proptest::prop_assert_eq!(&at_broker, &wanted);
        proptest::prop_assert_eq!(holds, wanted);
    }
}
