//! Finding dead letters, and sending them again.

use super::*;

/// Five dead letters: of events 1 to 4 for the first webhook, and of event 1 for the second.
fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.commit(&[append(1, 1, &[one, two])]);
    fixture.append(2, &[2, 3, 4]);
    fixture.commit(&[
        bury(one, 1, 10),
        bury(one, 2, 20),
        bury(two, 1, 25),
        bury(one, 3, 30),
        bury(one, 4, 40),
    ]);
    fixture
}

fn found(fixture: &Fixture, filter: &Filter) -> Vec<u64> {
    let letters = fixture.store.dead_letters(filter, None, 100);
    let letters = letters.expect("readable");
    letters.iter().map(|letter| letter.at.as_millis()).collect()
}

#[test]
fn filters_find_what_they_say() {
    let fixture = fixture();
    let all = Filter::default();
    let check = |filter: Filter, expected: &[u64]| {
        assert_eq!(found(&fixture, &filter), expected, "{filter:?}");
    };
    let letters = fixture
        .store
        .dead_letters(&all, None, 100)
        .expect("readable");
    check(all.clone(), &[10, 20, 25, 30, 40]);
    let webhook = |name: &str| Filter {
        webhook: Some(name.to_owned()),
        ..Filter::default()
    };
    check(webhook("one"), &[10, 20, 30, 40]);
    check(webhook("two"), &[25]);
    check(webhook("three"), &[]);
    check(
        Filter {
            event: Some(letters[0].event_id),
            ..all.clone()
        },
        &[10, 25],
    );
    check(
        Filter {
            since: Some(at(20)),
            until: Some(at(30)),
            ..all.clone()
        },
        &[20, 25],
    );
    check(
        Filter {
            from: Some(letters[2].id),
            ..webhook("one")
        },
        &[30, 40],
    );
    check(
        Filter {
            id: Some(letters[3].id),
            ..webhook("one")
        },
        &[30],
    );
    check(
        Filter {
            id: Some(letters[3].id),
            ..webhook("two")
        },
        &[],
    );
}

#[test]
fn pages_follow_one_another() {
    let fixture = fixture();
    let mut times = Vec::new();
    let mut after = None;
    loop {
        let page = fixture.store.dead_letters(&Filter::default(), after, 2);
        let page = page.expect("readable");
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        times.extend(page.iter().map(|letter| letter.at.as_millis()));
    }
    assert_eq!(times, [10, 20, 25, 30, 40]);
}

#[test]
fn a_dead_letter_tells_what_happened() {
    let fixture = fixture();
    let letters = fixture.store.dead_letters(&Filter::default(), None, 1);
    let [letter] = letters.expect("readable").try_into().expect("one");
    assert_eq!((letter.webhook.as_str(), letter.failures), ("one", 3));
    assert_eq!(letter.reason, GaveUp::Exhausted);
    assert_eq!(letter.outcome, "answered 500");
    assert_eq!((letter.accepted, letter.first_failed), (at(1), None));
    assert_eq!(letter.kind, Kind::MessagePublish);
    assert_eq!(letter.topic.as_deref(), Some("a/b"));
    assert_eq!(letter.payload_bytes, 5);
    let nothing = fixture.store.dead_letter(DeadLetterId(99));
    assert_eq!(nothing.expect("readable"), None);
}

#[test]
fn a_replayed_delivery_starts_anew_under_the_same_id() {
    let mut fixture = fixture();
    let [one, _] = fixture.webhooks;
    let letters = fixture.store.dead_letters(&Filter::default(), None, 1);
    let event_id = letters.expect("readable")[0].event_id;
    let filter = Filter {
        until: Some(at(30)),
        ..Filter::default()
    };
    let replay = |store: &mut Store| store.replay(&filter, at(500), 2).expect("writable");
    assert_eq!(replay(&mut fixture.store), 2);
    assert_eq!(replay(&mut fixture.store), 1);
    assert_eq!(replay(&mut fixture.store), 0);
    assert_eq!(found(&fixture, &Filter::default()), [30, 40]);
    let due = fixture.store.due(one, at(500), &HashSet::new(), ALL);
    let due = due.expect("readable");
    assert_eq!(due.len(), 2);
    assert_eq!(due[0].event.id, event_id);
    assert_eq!((due[0].due, due[0].failures), (Due::At(at(500)), 0));
    assert_eq!((due[0].first_failed, due[0].accepted), (None, at(500)));
    let last = fixture.store.last_seq().expect("readable");
    assert_eq!(
        last,
        Some(Seq(4)),
        "replays do not take the caller's numbers"
    );
}

#[test]
fn a_replay_never_takes_a_number_twice() {
    let mut fixture = fixture();
    let [one, _] = fixture.webhooks;
    let filter = Filter {
        webhook: Some("one".to_owned()),
        ..Filter::default()
    };
    let mut seen = HashSet::new();
    for now in 500..504 {
        assert_eq!(
            fixture.store.replay(&filter, at(now), 1).expect("writable"),
            1
        );
        let due = fixture.store.due(one, at(now), &HashSet::new(), ALL);
        let [delivery] = due.expect("readable").try_into().expect("one");
        assert!(seen.insert(delivery.seq), "{:?} again", delivery.seq);
        fixture.commit(&[Change::Settle {
            webhook: one,
            seq: delivery.seq,
            due: delivery.due,
        }]);
    }
}

#[test]
fn dropped_dead_letters_are_gone() {
    let mut fixture = fixture();
    let filter = Filter {
        webhook: Some("one".to_owned()),
        ..Filter::default()
    };
    let dropped = fixture.store.drop_dead_letters(&filter, 3);
    assert_eq!(dropped.expect("writable"), 3);
    assert_eq!(found(&fixture, &Filter::default()), [25, 40]);
    let backlog = fixture.store.backlog().expect("readable");
    let left: Vec<u64> = backlog.iter().map(|webhook| webhook.dead_letters).collect();
    assert_eq!(left, [1, 1]);
}

#[test]
fn what_can_no_longer_be_buried_changes_nothing() {
    let mut fixture = fixture();
    let [one, _] = fixture.webhooks;
    fixture.commit(&[bury(one, 1, 50)]);
    assert_eq!(found(&fixture, &Filter::default()), [10, 20, 25, 30, 40]);
}
