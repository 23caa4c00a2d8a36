//! In which order deliveries are read, and at what cost.

use super::*;

#[test]
fn fresh_deliveries_come_in_the_order_in_which_they_were_accepted() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.commit(&[
        append(3, 3, &[one]),
        append(1, 1, &[one, two]),
        append(2, 2, &[one]),
    ]);
    assert_eq!(fixture.fresh(), [1, 2, 3]);
    let window = Window {
        deliveries: 1,
        ..ALL
    };
    let next = fixture.store.fresh(one, Some(Seq(1)), window);
    assert_eq!(numbers(&next.expect("readable")), [2]);
    let last = fixture.store.last_fresh(one).expect("readable");
    assert_eq!(last, Some(Seq(3)));
    assert_eq!(fixture.store.last_seq().expect("readable"), Some(Seq(3)));
}

#[test]
fn failed_deliveries_come_when_they_are_due_and_not_twice() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    fixture.append(1, &[1, 1, 1, 1]);
    fixture.commit(&[retry(one, 1, 300), retry(one, 2, 100), retry(one, 4, 200)]);
    assert_eq!(fixture.fresh(), [3]);
    assert_eq!(fixture.due(99), [0; 0]);
    assert_eq!(fixture.due(200), [2, 4]);
    assert_eq!(fixture.due(1_000), [2, 4, 1]);
    let except = HashSet::from([Seq(2)]);
    let due = fixture.store.due(one, at(1_000), &except, ALL);
    assert_eq!(numbers(&due.expect("readable")), [4, 1]);
    let next = fixture.store.next_due(one, &except).expect("readable");
    assert_eq!(next, Some(at(200)));
}

#[test]
fn a_retry_remembers_how_often_and_since_when_it_failed() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    fixture.append(1, &[1]);
    fixture.commit(&[retry(one, 1, 100)]);
    let due = Due::At(at(100));
    fixture.commit(&[Change::Retry {
        webhook: one,
        seq: Seq(1),
        due,
        next: at(0),
        failures: 2,
        first_failed: at(90),
    }]);
    let loaded = fixture.store.due(one, at(1), &HashSet::new(), ALL);
    let [delivery] = loaded.expect("readable").try_into().expect("one");
    assert_eq!(
        delivery.due,
        Due::At(at(1)),
        "it does not become fresh again"
    );
    assert_eq!(delivery.failures, 2);
    assert_eq!(delivery.first_failed, Some(at(90)));
}

#[test]
fn numbers_are_remembered_when_all_events_are_gone() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    assert_eq!(fixture.store.last_seq().expect("readable"), None);
    fixture.commit(&[append(7, 1, &[two]), append(8, 1, &[one])]);
    fixture.commit(&[settle(one, 8), settle(two, 7)]);
    assert_eq!(fixture.store.last_seq().expect("readable"), Some(Seq(8)));
    drop(fixture.store);
    let store = open(fixture.dir.path());
    assert_eq!(store.last_seq().expect("readable"), Some(Seq(8)));
}

#[test]
fn a_shared_event_goes_with_its_last_delivery() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    let events = |fixture: &Fixture| -> i64 {
        let sql = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM shares)";
        let count = fixture
            .store
            .connection
            .query_row(sql, [], |row| row.get(0));
        count.expect("readable")
    };
    fixture.commit(&[append(1, 1, &[one, two])]);
    assert_eq!(events(&fixture), 2);
    fixture.commit(&[settle(one, 1), settle(one, 1)]);
    assert_eq!(events(&fixture), 2);
    fixture.commit(&[bury(two, 1, 5)]);
    assert_eq!(events(&fixture), 0);
}

/// Returns what `SQLite` says of how it would do something.
fn plan(store: &Store, sql: &str) -> String {
    let mut statement = store
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .expect("valid SQL");
    let parameters = vec![1_i64; statement.parameter_count()];
    let steps = statement
        .query_map(rusqlite::params_from_iter(parameters), |row| {
            row.get::<_, String>(3)
        })
        .expect("valid SQL");
    let steps: Result<Vec<_>, _> = steps.collect();
    steps.expect("readable").join("; ")
}

#[test]
fn what_is_put_off_is_told_of_without_payloads_and_only_if_it_is_not_too_much() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.append(1, &[1, 1, 1]);
    fixture.commit(&[retry(one, 1, 300), retry(one, 3, 100)]);
    let payload = |event: &Event| match &event.detail {
        Detail::Message(message) => Some(message.payload.len()),
        _ => None,
    };
    let put_off = |webhook, most| {
        let found = fixture
            .store
            .put_off(webhook, most, payload)
            .expect("readable");
        let told = |one: PutOff<usize>| (one.seq.0, one.key);
        found.map(|found| found.into_iter().map(told).collect::<Vec<_>>())
    };
    assert_eq!(put_off(one, 2), Some(vec![(3, 0), (1, 0)]));
    assert_eq!(put_off(one, 1), None);
    assert_eq!(put_off(two, 0), Some(vec![]));
}

#[test]
fn windows_are_read_without_sorting_or_scanning() {
    let fixture = Fixture::new();
    let check = |sql: &str| {
        let plan = plan(&fixture.store, sql);
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{sql}: {plan}"
        );
    };
    check(&load::fresh_sql());
    check(&load::due_sql());
    check(&parked::parked_sql());
    check(load::NEXT_DUE);
    check(load::LAST_FRESH);
    check(&parked::put_off_sql());
    check(parked::REFRESH);
    let backlog = webhook::BACKLOG.replace(
        "FROM webhooks w ORDER BY id",
        "FROM webhooks w WHERE id = 1",
    );
    check(&backlog);
}
