//! Rows that mqhook would not have written are errors that say what is wrong.

use super::*;

/// Appends two events, lets somebody else write, and returns what reading the first meets.
fn error_after(sql: &str) -> (Fixture, Error) {
    let mut fixture = Fixture::new();
    fixture.append(1, &[1, 2]);
    fixture
        .store
        .connection
        .execute_batch(sql)
        .expect("valid SQL");
    let read = fixture.store.fresh(fixture.webhooks[0], None, ALL);
    let error = read.expect_err("what was written is not valid");
    (fixture, error)
}

#[test]
fn an_event_that_cannot_be_read_names_its_column() {
    let check = |sql: &str, expected| {
        let (_, error) = error_after(sql);
        match error {
            Error::Delivery { seq, due, source } => {
                assert_eq!((seq, due), (Seq(1), Due::Fresh), "{sql}");
                assert_eq!(source.column, expected, "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    };
    check("UPDATE events SET id = 'no id'", "id");
    check("UPDATE events SET id = x'00'", "id");
    check("UPDATE events SET kind = 'on_fire'", "kind");
    check("UPDATE events SET time = 'noon'", "time");
    check("UPDATE events SET accepted = -1", "accepted");
    check("UPDATE events SET topic = 'a/#'", "topic");
    check("UPDATE events SET topic = CAST(x'ff' AS TEXT)", "topic");
    check("UPDATE events SET topic = x'61'", "topic");
    check("UPDATE events SET topic = NULL", "attributes");
    check("UPDATE events SET payload = NULL", "attributes");
    check("UPDATE events SET payload = 'text'", "payload");
    check("UPDATE events SET attributes = '{'", "attributes");
    check("UPDATE events SET attributes = '{}'", "attributes");
    check("UPDATE events SET attributes = x'7b'", "attributes");
    check(
        r#"UPDATE events SET attributes = '{"detail":{"message":{"qos":3,"retain":true}}}'"#,
        "attributes",
    );
    check(
        r#"UPDATE events SET attributes = '{"detail":{"end":{"reason":"boredom"}}}'"#,
        "attributes",
    );
    check(
        r#"UPDATE events SET attributes = '{"detail":{"end":{"reason":"normal"}}}'"#,
        "attributes",
    );
    check("UPDATE deliveries SET failures = -1", "failures");
    check(
        "UPDATE deliveries SET first_failed = 'long ago'",
        "first_failed",
    );
    check("DELETE FROM events", "attributes");
}

#[test]
fn what_cannot_be_read_can_be_taken_away() {
    let (mut fixture, error) = error_after("DELETE FROM events WHERE seq = 1");
    let Error::Delivery { seq, due, .. } = error else {
        panic!("{error:?}");
    };
    let webhook = fixture.webhooks[0];
    fixture.commit(&[Change::Settle { webhook, seq, due }]);
    assert_eq!(fixture.fresh(), [2]);
}

#[test]
fn what_comes_before_is_read_first() {
    let mut fixture = Fixture::new();
    fixture.append(1, &[1, 2, 3]);
    let sql = "UPDATE events SET kind = '' WHERE seq = 2";
    fixture
        .store
        .connection
        .execute_batch(sql)
        .expect("valid SQL");
    assert_eq!(fixture.fresh(), [1]);
}

#[test]
fn other_rows_name_their_table() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    fixture.append(1, &[1]);
    fixture.commit(&[bury(one, 1, 5)]);
    let sql = "UPDATE webhooks SET status = 'sulking'; UPDATE dead_letters SET reason = 'whim'";
    fixture
        .store
        .connection
        .execute_batch(sql)
        .expect("valid SQL");
    let check = |error: Option<Error>, expected: (&str, &str)| match error {
        Some(Error::Row { table, source }) => assert_eq!((table, source.column), expected),
        other => panic!("{expected:?}: {other:?}"),
    };
    check(fixture.store.state(one).err(), ("webhooks", "status"));
    check(fixture.store.backlog().err(), ("webhooks", "status"));
    let letters = fixture.store.dead_letters(&Filter::default(), None, 9);
    check(letters.err(), ("dead_letters", "reason"));
    let letter = fixture.store.dead_letter(DeadLetterId(1));
    check(letter.err(), ("dead_letters", "reason"));
}
