//! The command line beside the process that runs: both see what the other does.

use super::*;

#[test]
fn a_replay_by_another_process_is_noticed_once() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    fixture.append(1, &[1, 2]);
    fixture.commit(&[bury(one, 1, 5)]);
    assert!(
        !fixture.store.changed_by_others().expect("readable"),
        "own changes do not count"
    );
    let mut other = Store::attach(fixture.dir.path()).expect("a spool");
    assert_eq!(
        other
            .dead_letters(&Filter::default(), None, 9)
            .expect("readable")
            .len(),
        1
    );
    assert!(
        !fixture.store.changed_by_others().expect("readable"),
        "nor does reading"
    );
    assert_eq!(
        other
            .replay(&Filter::default(), at(50), 9)
            .expect("writable"),
        1
    );
    assert!(fixture.store.changed_by_others().expect("readable"));
    assert!(!fixture.store.changed_by_others().expect("readable"));
    assert_eq!(fixture.due(50).len(), 1);
    let backlog = fixture.store.backlog().expect("readable");
    assert_eq!((backlog[0].retrying, backlog[0].dead_letters), (1, 0));
}

#[test]
fn both_write_at_the_same_time() {
    let mut fixture = Fixture::new();
    let [one, _] = fixture.webhooks;
    fixture.append(1, &[1; 200]);
    let burials: Vec<Change> = (1..=200).map(|seq| bury(one, seq, 5)).collect();
    fixture.commit(&burials);
    let dir = fixture.dir.path().to_owned();
    let other = std::thread::spawn(move || {
        let mut other = Store::attach(&dir).expect("a spool");
        let mut replayed = 0;
        loop {
            match other
                .replay(&Filter::default(), at(50), 3)
                .expect("writable")
            {
                0 => return replayed,
                some => replayed += some,
            }
        }
    });
    for seq in 201..300 {
        fixture.append(seq, &[seq]);
    }
    assert_eq!(other.join().expect("no panic"), 200);
    assert_eq!(fixture.fresh().len(), 99);
    let due = fixture.store.due(one, at(50), &HashSet::new(), ALL);
    assert_eq!(due.expect("readable").len(), 200);
    let backlog = fixture.store.backlog().expect("readable");
    assert_eq!((backlog[0].fresh, backlog[0].retrying), (99, 200));
    assert!(fixture.is_sound());
}

#[test]
fn a_reader_does_not_hold_the_writer_up() {
    let mut fixture = Fixture::new();
    fixture.append(1, &[1]);
    let other = Store::attach(fixture.dir.path()).expect("a spool");
    let mut statement = other
        .connection
        .prepare("SELECT * FROM events")
        .expect("valid SQL");
    let mut rows = statement.query([]).expect("readable");
    assert!(rows.next().expect("readable").is_some());
    fixture.append(2, &[2]);
    assert_eq!(fixture.fresh(), [1, 2]);
    assert!(
        rows.next().expect("readable").is_none(),
        "it sees what was there"
    );
}
