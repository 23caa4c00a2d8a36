//! Disks that are full, and databases that break while they are in use.

use std::fs::{self, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};

use rusqlite::ffi;

use super::*;

fn limit_pages(store: &Store, pages: i64) {
    let sql = format!("PRAGMA max_page_count = {pages}");
    let set = store.connection.query_row(&sql, [], |_| Ok(()));
    set.expect("a known pragma");
}

#[test]
fn a_full_disk_changes_nothing_and_the_same_changes_work_when_there_is_space() {
    let mut fixture = Fixture::new();
    let [one, two] = fixture.webhooks;
    fixture.append(1, &[1, 2]);
    let mut changes = vec![settle(one, 1), retry(one, 2, 50)];
    changes.extend((3..300).map(|seq| append(seq, 3, &[one, two])));
    changes.push(bury(two, 3, 60));
    limit_pages(&fixture.store, 1);
    for _ in 0..2 {
        let error = fixture
            .store
            .commit(&changes)
            .expect_err("the disk is full");
        assert!(matches!(error, Error::Full { .. }), "{error:?}");
        assert_eq!(fixture.fresh(), [1, 2]);
        let backlog = fixture.store.backlog().expect("readable");
        assert_eq!((backlog[0].fresh, backlog[1].fresh), (2, 0));
    }
    limit_pages(&fixture.store, 1 << 30);
    fixture.commit(&changes);
    assert_eq!(fixture.fresh().len(), 297);
    assert_eq!(fixture.due(50), [2]);
    let backlog = fixture.store.backlog().expect("readable");
    assert_eq!((backlog[1].fresh, backlog[1].dead_letters), (296, 1));
    assert!(fixture.is_sound());
}

#[test]
fn failures_are_told_apart_by_what_must_be_done() {
    let check = |code, expected: fn(&Error) -> bool| {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let error = Error::from(error);
        assert!(expected(&error), "{code}: {error:?}");
    };
    check(ffi::SQLITE_FULL, |error| {
        matches!(error, Error::Full { .. })
    });
    check(ffi::SQLITE_IOERR_SHMSIZE, |error| {
        matches!(error, Error::Full { .. })
    });
    check(ffi::SQLITE_READONLY, |error| {
        matches!(error, Error::ReadOnly { .. })
    });
    check(ffi::SQLITE_READONLY_DBMOVED, |error| {
        matches!(error, Error::ReadOnly { .. })
    });
    check(ffi::SQLITE_IOERR_FSYNC, |error| {
        matches!(error, Error::Io { .. })
    });
    check(ffi::SQLITE_IOERR_WRITE, |error| {
        matches!(error, Error::Io { .. })
    });
    check(ffi::SQLITE_CORRUPT, |error| {
        matches!(error, Error::Corrupt { .. })
    });
    check(ffi::SQLITE_NOTADB, |error| {
        matches!(error, Error::Corrupt { .. })
    });
    check(ffi::SQLITE_BUSY_SNAPSHOT, |error| {
        matches!(error, Error::Busy { .. })
    });
    check(ffi::SQLITE_MISUSE, |error| {
        matches!(error, Error::Other { .. })
    });
}

#[test]
fn a_failed_write_is_what_a_write_of_our_own_meets() {
    let failed = || {
        let code = ffi::Error::new(ffi::SQLITE_IOERR_WRITE);
        Error::from(rusqlite::Error::SqliteFailure(code, None))
    };
    let check = |met: io::Result<()>, expected: fn(&Error) -> bool| {
        let error = failed().told_apart(|| met);
        assert!(expected(&error), "{error:?}");
    };
    check(Err(io::ErrorKind::ReadOnlyFilesystem.into()), |error| {
        matches!(error, Error::ReadOnly { .. })
    });
    check(Err(io::ErrorKind::QuotaExceeded.into()), |error| {
        matches!(error, Error::Full { .. })
    });
    check(Err(io::ErrorKind::NotFound.into()), |error| {
        matches!(error, Error::Io { .. })
    });
    check(Ok(()), |error| matches!(error, Error::Io { .. }));
}

#[test]
fn probing_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("probe");
    assert!(error::probe(&file).is_ok());
    assert!(!file.exists());
    assert!(error::probe(&dir.path().join("missing/probe")).is_err());
}

/// Overwrites a page in the middle of a database that nobody has open.
fn damage(file: &Path) {
    let mut file = OpenOptions::new().write(true).open(file).expect("a file");
    let middle = file.metadata().expect("a file").len() / 2 / 4_096 * 4_096;
    file.seek(SeekFrom::Start(middle)).expect("within the file");
    file.write_all(&[0xA5; 4_096]).expect("a writable file");
}

/// Returns a directory with a database that is damaged in its middle.
fn damaged() -> (TempDir, WebhookKey) {
    let mut fixture = Fixture::new();
    let changes: Vec<Change> = (1..2_000)
        .map(|seq| append(seq, 1, &[fixture.webhooks[0]]))
        .collect();
    fixture.commit(&changes);
    let Fixture {
        store,
        dir,
        webhooks,
    } = fixture;
    drop(store);
    damage(&dir.path().join("spool.db"));
    (dir, webhooks[0])
}

#[test]
fn damage_met_in_use_is_told_and_sets_the_database_aside_at_the_next_start() {
    let (dir, webhook) = damaged();
    let store = open(dir.path());
    let error = store.fresh(webhook, None, ALL).expect_err("it is damaged");
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    drop(store);
    let Opened { store, set_aside } = Store::open(dir.path()).expect("a directory of ours");
    let aside = set_aside.expect("the damaged database");
    assert!(fs::metadata(&aside).expect("a file").len() > 100_000);
    assert_eq!(store.last_seq().expect("readable"), None);
    drop(store);
    assert_eq!(Store::open(dir.path()).expect("sound").set_aside, None);
}

#[test]
fn a_suspicion_that_is_unfounded_costs_nothing() {
    let mut fixture = Fixture::new();
    fixture.append(1, &[1, 2]);
    let Fixture { store, dir, .. } = fixture;
    drop(store);
    let mark = dir.path().join("spool.suspect");
    fs::write(&mark, "").expect("a writable directory");
    let store = open(dir.path());
    assert_eq!(store.last_seq().expect("readable"), Some(Seq(2)));
    assert!(!mark.exists());
}
