//! What is dropped to keep within bounds, and what the database gives back.

use super::*;

#[test]
fn old_events_expire_from_their_acceptance_on() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.append(1, &[100, 200, 300]);
    fixture.commit(&[append(4, 400, &[one, two]), retry(one, 2, 9_000)]);
    let dropped = fixture.store.expire(at(300), 100).expect("writable");
    assert_eq!(dropped, [(one, 2)]);
    assert_eq!(fixture.fresh(), [3, 4]);
    assert_eq!(fixture.due(u64::MAX), [0; 0]);
    let dropped = fixture.store.expire(at(500), 100).expect("writable");
    assert_eq!(dropped, [(one, 2), (two, 1)]);
    assert_eq!(fixture.store.expire(at(500), 100).expect("writable"), []);
}

#[test]
fn a_replayed_event_is_as_old_as_its_replay() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    fixture.append(1, &[100, 200]);
    fixture.commit(&[bury(one, 1, 150)]);
    let replayed = fixture.store.replay(&Filter::default(), at(1_000), 10);
    assert_eq!(replayed.expect("writable"), 1);
    let dropped = fixture.store.expire(at(1_000), 10).expect("writable");
    assert_eq!(dropped, [(one, 1)]);
    assert_eq!(fixture.due(1_000).len(), 1);
    fixture.append(3, &[1_001]);
    assert_eq!(fixture.store.drop_oldest(1).expect("writable"), [(one, 1)]);
    assert_eq!(fixture.fresh(), [3]);
}

#[test]
fn the_oldest_are_dropped_for_all_their_webhooks() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.commit(&[
        append(1, 1, &[one, two]),
        append(2, 2, &[one]),
        append(3, 3, &[two]),
    ]);
    let dropped = fixture.store.drop_oldest(2).expect("writable");
    assert_eq!(dropped, [(one, 2), (two, 1)]);
    assert_eq!(fixture.store.drop_oldest(9).expect("writable"), [(two, 1)]);
    assert_eq!(fixture.store.drop_oldest(9).expect("writable"), []);
}

#[test]
fn dead_letters_keep_within_their_bounds() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.append(1, &[1, 1, 1]);
    fixture.commit(&[append(4, 1, &[two])]);
    fixture.commit(&[
        bury(one, 1, 10),
        bury(one, 2, 20),
        bury(one, 3, 30),
        bury(two, 4, 40),
    ]);
    let bytes: u64 = {
        let backlog = fixture.store.backlog().expect("readable");
        backlog
            .iter()
            .map(|webhook| webhook.dead_letter_bytes)
            .sum()
    };
    let trim = |store: &mut Store, max_bytes, before| {
        let dropped = store.trim_dead_letters(max_bytes, at(before), 100);
        dropped.expect("writable")
    };
    assert_eq!(trim(&mut fixture.store, bytes, 10), []);
    assert_eq!(trim(&mut fixture.store, bytes, 11), [(one, 1)]);
    assert_eq!(trim(&mut fixture.store, bytes / 2, 0), [(one, 1)]);
    assert_eq!(trim(&mut fixture.store, 0, 0), [(one, 1), (two, 1)]);
}

#[test]
fn what_a_drained_backlog_took_is_given_back() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    let event = Arc::new(message(&[0; 8_000]));
    let appends: Vec<Change> = (1..=500)
        .map(|seq| Change::Append {
            seq: Seq(seq),
            accepted: at(1),
            event: Arc::clone(&event),
            webhooks: vec![one],
        })
        .collect();
    fixture.commit(&appends);
    assert!(fixture.store.used_bytes().expect("readable") > 4_000_000);
    let settles: Vec<Change> = (1..=500).map(|seq| settle(one, seq)).collect();
    fixture.commit(&settles);
    assert_eq!(fixture.store.used_bytes().expect("readable"), 0);
    let mut steps = 1;
    while fixture.store.tidy().expect("writable") {
        steps += 1;
    }
    assert!(steps > 2, "a few pages at a time, not all in {steps} steps");
    let dir = fixture.dir.path().to_owned();
    drop(fixture.store);
    let size = std::fs::metadata(dir.join("spool.db"))
        .expect("a file")
        .len();
    assert!(size < 200_000, "{size} bytes are left");
}

#[test]
fn the_backlog_tells_what_waits() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.append(1, &[100, 200, 300]);
    fixture.commit(&[retry(one, 1, 9_000), bury(one, 3, 5)]);
    let state = WebhookState {
        status: Status::Disabled,
        since: Some(at(7)),
        reason: "by hand".to_owned(),
        consecutive_failures: 3,
        failing_since: Some(at(6)),
    };
    let change = Change::State {
        webhook: two,
        state: state.clone(),
    };
    fixture.commit(&[change]);
    let backlog = fixture.store.backlog().expect("readable");
    let [first, second] = &backlog[..] else {
        panic!("two webhooks were registered: {backlog:?}");
    };
    assert_eq!((first.webhook, first.name.as_str()), (one, "one"));
    assert_eq!((first.fresh, first.retrying, first.dead_letters), (1, 1, 1));
    assert_eq!(first.oldest, Some(at(100)));
    assert_eq!(first.state, WebhookState::default());
    assert_eq!((second.fresh, second.oldest), (0, None));
    assert_eq!(second.state, state);
    assert_eq!(fixture.store.state(two).expect("readable"), state);
}

#[test]
fn a_webhook_keeps_its_key() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    assert_ne!(one, two);
    drop(fixture.store);
    fixture.store = open(fixture.dir.path());
    assert_eq!(fixture.store.register("two").expect("writable"), two);
    assert_eq!(fixture.store.register("one").expect("writable"), one);
}

#[test]
fn dead_letters_do_not_count_against_what_may_wait() {
    for payload_bytes in [0, 300, 1_500, 2_500, 5_000, 20_000] {
        let mut fixture = Fixture::new();
        let [one, two] = fixture.webhooks;
        let event = Arc::new(message(&vec![7; payload_bytes]));
        let changes = (1..=400).flat_map(|seq| {
            let append = Change::Append {
                seq: Seq(seq),
                accepted: at(1),
                event: Arc::clone(&event),
                webhooks: vec![one],
            };
            [append, bury(one, seq, 5)]
        });
        let changes: Vec<Change> = changes.collect();
        fixture.commit(&changes);
        assert_eq!(
            fixture.store.used_bytes().expect("readable"),
            0,
            "nothing waits"
        );
        fixture.commit(&[append(999, 1, &[two])]);
        let used = fixture.store.used_bytes().expect("readable");
        let all: u64 = {
            let backlog = fixture.store.backlog().expect("readable");
            backlog
                .iter()
                .map(|webhook| webhook.dead_letter_bytes)
                .sum()
        };
        assert!(
            used < 100_000 + all / 10,
            "{payload_bytes}: {used} besides {all}"
        );
        let wasted = all.saturating_sub(400 * (payload_bytes as u64 + 150));
        assert!(wasted <= all / 2, "{payload_bytes}: {all}");
    }
}
