//! Which databases open, and what happens to those that do not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rusqlite::Connection;

use super::super::schema::{self, MIGRATIONS};
use super::*;

#[test]
fn a_directory_is_made_for_this_user_only() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let dir = parent.path().join("a/spool");
    let mut store = open(&dir);
    store.register("one").expect("writable");
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("a file");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&parent.path().join("a")), 0o700);
    for file in ["spool.db", "spool.db-wal", "spool.db-shm", "spool.lock"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
}

#[test]
fn one_process_runs_on_a_directory_at_a_time() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let error = Store::open(dir.path()).expect_err("it is in use");
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    assert!(Store::attach(dir.path()).is_ok(), "the command line may");
    drop(store);
    open(dir.path());
}

#[test]
fn attaching_makes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for dir in [dir.path().to_owned(), dir.path().join("missing")] {
        let error = Store::attach(&dir).expect_err("there is nothing");
        assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
}

/// Returns a directory with a database that says it is of this version.
fn of_version(version: u32) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let set = store
        .connection
        .pragma_update(None, "user_version", version);
    set.expect("writable");
    dir
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let newer = schema::current() + 1;
    let dir = of_version(newer);
    for refused in [
        Store::open(dir.path()).map(|opened| opened.store),
        Store::attach(dir.path()),
    ] {
        match refused.expect_err("it is newer") {
            OpenError::Newer { found, known, .. } => assert_eq!((found, known), (newer, newer - 1)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_older_database_is_not_migrated_beside_a_running_process() {
    let dir = of_version(0);
    let error = Store::attach(dir.path()).expect_err("it is older");
    assert!(
        matches!(error, OpenError::Older { found: 0, .. }),
        "{error:?}"
    );
}

#[test]
fn another_programs_database_is_left_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("spool.db");
    let other = Connection::open(&file).expect("writable");
    other.execute_batch("CREATE TABLE t (a)").expect("writable");
    drop(other);
    let before = fs::read(&file).expect("readable");
    for refused in [
        Store::open(dir.path()).map(|opened| opened.store),
        Store::attach(dir.path()),
    ] {
        let error = refused.expect_err("it is another's");
        assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    }
    assert_eq!(fs::read(&file).expect("readable"), before);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_with_its_log() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let garbage = vec![b'x'; 10_000];
    for file in ["spool.db", "spool.db-wal"] {
        fs::write(dir.path().join(file), &garbage).expect("writable");
    }
    let error = Store::attach(dir.path()).expect_err("it is no database");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    let mut opened = Store::open(dir.path()).expect("a directory of ours");
    let aside = opened.set_aside.expect("it was moved");
    let name = aside
        .file_name()
        .and_then(|name| name.to_str())
        .expect("ASCII");
    assert!(name.starts_with("spool.db.corrupt-"), "{name}");
    assert_eq!(fs::read(&aside).expect("readable"), garbage);
    let log = dir.path().join(format!("{name}-wal"));
    assert_eq!(fs::read(log).expect("readable"), garbage);
    opened.store.register("one").expect("the new one works");
}

#[test]
fn a_truncated_database_is_set_aside() {
    let mut fixture = Fixture::new();
    let changes: Vec<Change> = (1..500)
        .map(|seq| append(seq, 1, &[fixture.webhooks[0]]))
        .collect();
    fixture.commit(&changes);
    let Fixture { store, dir, .. } = fixture;
    drop(store);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("spool.db"));
    file.and_then(|file| file.set_len(20_000))
        .expect("writable");
    let opened = Store::open(dir.path()).expect("a directory of ours");
    assert!(opened.set_aside.is_some());
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writable");
    let error = Store::open(&file).expect_err("it is a file");
    let OpenError::Io { path, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(path, &file);
}

#[test]
fn an_older_database_keeps_what_it_holds() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut connection = Connection::open(dir.path().join("spool.db")).expect("writable");
    schema::migrate(&mut connection, 0, &MIGRATIONS[..1]).expect("writable");
    let rows = include_str!("version_1.sql");
    connection.execute_batch(rows).expect("rows of version 1");
    drop(connection);
    let store = open(dir.path());
    let [webhook] = store.backlog().expect("readable").try_into().expect("one");
    assert_eq!(
        (webhook.fresh, webhook.retrying, webhook.dead_letters),
        (1, 1, 1)
    );
    let fresh = store.fresh(webhook.webhook, None, ALL).expect("readable");
    assert_eq!(fresh[0].event.kind, Kind::ClientConnack);
    let due = store.due(webhook.webhook, at(u64::MAX), &HashSet::new(), ALL);
    assert_eq!(
        due.expect("readable")[0]
            .event
            .topic()
            .map(TopicName::as_str),
        Some("a/b")
    );
    let letter = store.dead_letter(DeadLetterId(1)).expect("readable");
    assert_eq!(letter.expect("there").0.outcome, "answered 500");
}

#[test]
fn a_migration_is_done_whole_or_not_at_all() {
    let mut connection = Connection::open_in_memory().expect("memory");
    let migrations = [
        "CREATE TABLE a (x)",
        "ALTER TABLE a ADD COLUMN y",
        "CREATE TABLE b (x); broken",
    ];
    schema::migrate(&mut connection, 0, &migrations).expect_err("the third is broken");
    let found = schema::found(&connection).expect("readable");
    assert_eq!(found, schema::Found::Ours(2));
    let columns = connection.prepare("SELECT x, y FROM a").map(|_| ());
    assert_eq!(columns, Ok(()));
    assert!(connection.prepare("SELECT x FROM b").is_err());
    schema::migrate(&mut connection, 2, &migrations[..2]).expect("nothing to do");
}

#[test]
fn the_database_is_set_up_to_be_durable_and_small() {
    let fixture = Fixture::new();
    let check = |pragma: &str, expected: &str| {
        let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        let value = fixture
            .store
            .connection
            .query_row(&sql, [], |row| row.get::<_, String>(0));
        assert_eq!(value.as_deref(), Ok(expected), "{pragma}");
    };
    check("journal_mode", "wal");
    check("synchronous", "2");
    check("auto_vacuum", "2");
    check("cache_size", "-4096");
}

#[test]
fn a_log_that_somebody_switched_off_is_switched_on_again() {
    let Fixture { store, dir, .. } = Fixture::new();
    let mode = |store: &Store, sql: &str| -> String {
        let mode = store.connection.query_row(sql, [], |row| row.get(0));
        mode.expect("a known pragma")
    };
    assert_eq!(mode(&store, "PRAGMA journal_mode = DELETE"), "delete");
    drop(store);
    assert_eq!(mode(&open(dir.path()), "PRAGMA journal_mode"), "wal");
}
