//! What is configured over the API, and the counts of attempts.

use super::*;

fn definition(id: &str, name: &str) -> Definition {
    Definition {
        id: id.to_owned(),
        defines: Defines::Webhook,
        name: name.to_owned(),
        group: Some("plant".to_owned()),
        json: r#"{"url":"http://h"}"#.to_owned(),
        version: 1,
        created_at: at(5),
        last_modified_at: at(5),
        overlaps_until: None,
    }
}

#[test]
fn what_is_defined_is_there_after_a_restart() {
    let mut fixture = Fixture::new();
    let (one, mut two) = (definition("1", "one"), definition("2", "two"));
    let group = Definition {
        defines: Defines::Group,
        group: None,
        ..definition("3", "one")
    };
    for new in [&one, &two, &group] {
        fixture.store.add_definition(new).expect("writable");
    }
    let again = fixture.store.add_definition(&definition("4", "one"));
    assert!(again.is_err(), "a name is there once for each kind");
    two.json = "{}".to_owned();
    two.version = 2;
    two.last_modified_at = at(9);
    two.overlaps_until = Some(at(99));
    assert!(fixture.store.set_definition(&two).expect("writable"));
    assert!(fixture.store.remove_definition("1").expect("writable"));
    assert!(!fixture.store.remove_definition("1").expect("writable"));
    assert!(!fixture.store.set_definition(&one).expect("writable"));
    let Fixture { store, dir, .. } = fixture;
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.definitions().expect("readable"), [two, group]);
}

#[test]
fn a_definition_that_cannot_be_read_is_an_error_that_names_it() {
    let mut fixture = Fixture::new();
    let new = definition("1", "one");
    fixture.store.add_definition(&new).expect("writable");
    let spoil = "UPDATE definitions SET kind = 'wish'";
    fixture.store.connection.execute_batch(spoil).expect("SQL");
    let error = fixture.store.definitions().expect_err("it is none");
    let Error::Row { table, source } = error else {
        panic!("expected an error of a row, got {error:?}");
    };
    assert_eq!((table, source.column), ("definitions", "kind"));
}

#[test]
fn attempts_add_up() {
    let mut fixture = Fixture::new();
    let more = |webhook: &str, attempts, last| Activity {
        webhook: webhook.to_owned(),
        attempts,
        last_triggered: Some(at(last)),
    };
    let first = [more("one", 2, 7), more("nobody", 1, 7)];
    fixture.store.add_activity(&first).expect("writable");
    fixture
        .store
        .add_activity(&[more("one", 3, 6)])
        .expect("writable");
    let two = Activity {
        webhook: "two".to_owned(),
        ..Activity::default()
    };
    let activity = fixture.store.activity().expect("readable");
    assert_eq!(activity, [more("one", 5, 7), two]);
}
