//! The registry of devices against a naive model, and what it promises to those who remove some.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::event::{Reason, Status};

fn device(id: &str, last_seen: u64) -> DeviceRow {
    DeviceRow {
        id: id.into(),
        username: Some("alice".into()),
        address: None,
        status: Status::Connected,
        reason: None,
        watch: 1,
        since: at(1),
        first_seen: at(1),
        last_seen: at(last_seen),
    }
}

fn put(row: &DeviceRow) -> Change {
    Change::Device(Box::new(row.clone()))
}

fn forget(id: &str) -> Change {
    Change::Forget { id: id.into() }
}

fn rows(ms: u64) -> impl Strategy<Value = DeviceRow> {
    let status = prop_oneof![
        Just(Status::Connected),
        Just(Status::Disconnected),
        Just(Status::Refused)
    ];
    let reason = proptest::option::of(prop_oneof![Just(Reason::Normal), Just(Reason::NotSeen)]);
    let text = || proptest::option::of("[a-z\u{e9}'\"\0]{0,9}");
    let id = prop_oneof![3 => "[abc]{1,2}", 1 => "['\"\u{0}%_ ]{1,2}"];
    (id, text(), text(), status, reason, 0..ms, 0..9_u64).prop_map(
        move |(id, username, address, status, reason, seen, watch)| DeviceRow {
            username: username.map(Into::into),
            address: address.map(Into::into),
            status,
            reason,
            watch,
            ..device(&id, seen)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn devices_come_back_as_they_were_and_are_counted(
        steps in proptest::collection::vec((rows(50), 0..10_u8), 1..60),
        before in 0..60_u64,
    ) {
        let mut fixture = Fixture::new();
        let mut model = BTreeMap::new();
        for (row, act) in steps {
            if act < 7 {
                fixture.commit(&[put(&row)]);
                model.insert(row.id.clone(), row);
            } else if act < 9 {
                fixture.commit(&[forget(&row.id)]);
                model.remove(&row.id);
            } else {
                drop(fixture.store);
                fixture.store = open(fixture.dir.path());
            }
        }
        let counts = fixture.store.device_counts().expect("a readable store");
        prop_assert_eq!(counts.devices, model.len() as u64);
        let ids: Vec<ByteString> = model.keys().cloned().chain(["x".into()]).collect();
        let known = fixture.store.devices(&ids).expect("a readable store");
        prop_assert_eq!(known.into_iter().collect::<BTreeMap<_, _>>(), model.clone());
        let unseen = fixture.store.not_seen(at(before), usize::MAX).expect("a readable store");
        prop_assert!(unseen.is_sorted_by_key(|row| row.last_seen));
        let is_old = |row: &&DeviceRow| {
            row.status != Status::Connected && row.last_seen.max(row.since) < at(before)
        };
        let old = model.values().filter(is_old);
        prop_assert_eq!(unseen.len(), old.count());
        let page = fixture.store.list_devices(DeviceFilter::default(), 0, usize::MAX);
        prop_assert_eq!(page.expect("a readable store").len(), model.len());
        prop_assert!(fixture.is_sound());
    }
}

#[test]
fn a_device_and_its_event_are_written_together_or_not_at_all() {
    let mut fixture = Fixture::new();
    let webhook = fixture.webhooks[0];
    let changes = [put(&device("dev", 1)), append(1, 1, &[webhook])];
    let limit = |store: &Store, pages: u32| {
        let sql = format!("PRAGMA max_page_count = {pages}");
        let set: u32 = store
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .expect("a number");
        set
    };
    let large = Change::Append {
        seq: Seq(2),
        accepted: at(1),
        event: Arc::new(message(&vec![7; 100_000])),
        webhooks: vec![webhook],
    };
    limit(&fixture.store, 1);
    let [row, event] = changes.clone();
    let error = fixture.store.commit(&[row, event, large]);
    assert!(matches!(error, Err(Error::Full { .. })), "{error:?}");
    assert_eq!(fixture.store.device("dev").expect("readable"), None);
    assert_eq!(fixture.fresh(), [0; 0]);
    limit(&fixture.store, 1_000_000);
    fixture.commit(&changes);
    assert!(fixture.store.device("dev").expect("readable").is_some());
    assert_eq!(fixture.fresh(), [1]);
}

#[test]
fn what_is_removed_is_told_once_and_hidden_at_once() {
    let mut fixture = Fixture::new();
    fixture.commit(&[put(&device("dev", 1)), put(&device("other", 1))]);
    let mut other = Store::attach(fixture.dir.path()).expect("a spool");
    let event = Id::new();
    let mut remove = |id, event| other.remove_device(id, event, at(9)).expect("writable");
    assert!(!remove("nobody", Id::new()));
    assert!(remove("dev", event));
    assert!(!remove("dev", Id::new()), "it was removed before");
    assert_eq!(fixture.store.device("dev").expect("readable"), None);
    let list = fixture.store.list_devices(DeviceFilter::default(), 0, 9);
    let list = list.expect("readable");
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].1.id, "other");
    let removals = fixture.store.removals(9).expect("readable");
    let expected = Removal {
        id: "dev".into(),
        event,
        at: at(9),
        device: Some(device("dev", 1)),
    };
    assert_eq!(removals, [expected]);
    fixture.commit(&[forget("dev")]);
    assert_eq!(fixture.store.removals(9).expect("readable"), []);
    let counts = fixture.store.device_counts().expect("readable");
    assert_eq!(counts.devices, 1);
}

#[test]
fn devices_do_not_count_against_what_may_wait() {
    let mut fixture = Fixture::new();
    let webhook = fixture.webhooks[0];
    fixture.commit(&[append(1, 1, &[webhook])]);
    let before = fixture.store.used_bytes().expect("readable");
    for page in 0..20 {
        let id = |n: u64| {
            format!(
                "device-{:016x}",
                (page * 500 + n).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
        };
        let changes: Vec<Change> = (0..500).map(|n| put(&device(&id(n), n))).collect();
        fixture.commit(&changes);
    }
    let after = fixture.store.used_bytes().expect("readable");
    let page_bytes = 10_000 * 150;
    assert!(after.abs_diff(before) < page_bytes / 2, "{before} {after}");
}

#[test]
fn what_devices_call_themselves_does_not_count_against_what_may_wait() {
    let mut fixture = Fixture::new();
    let webhook = fixture.webhooks[0];
    fixture.commit(&[append(1, 1, &[webhook])]);
    let before = fixture.store.used_bytes().expect("readable");
    let long = |text: &str| Some(text.repeat(400).into());
    let named = |n: u64, username, address| DeviceRow {
        username,
        address,
        ..device(&format!("device-{n}"), n)
    };
    // They come without a name, get one, and get another one.
    for (username, address) in [(None, None), (long("x"), long("y")), (long("\u{e9}"), None)] {
        let row = |n| put(&named(n, username.clone(), address.clone()));
        let changes: Vec<Change> = (0..2_000).map(row).collect();
        fixture.commit(&changes);
    }
    let after = fixture.store.used_bytes().expect("readable");
    assert!(after.abs_diff(before) < 2_000 * 800 / 4, "{before} {after}");
    let changes: Vec<Change> = (0..2_000).map(|n| forget(&format!("device-{n}"))).collect();
    fixture.commit(&changes);
    assert_eq!(counter(&fixture, "device_bytes"), 0);
}

fn counter(fixture: &Fixture, name: &str) -> i64 {
    let sql = "SELECT value FROM counters WHERE name = ?";
    let value = fixture
        .store
        .connection
        .query_row(sql, [name], |row| row.get(0));
    value.expect("a number")
}

#[test]
fn a_spoilt_row_is_as_good_as_none() {
    let mut fixture = Fixture::new();
    fixture.commit(&[put(&device("dev", 1)), put(&device("sound", 1))]);
    for column in ["status", "watch", "last_seen"] {
        let sql = format!("UPDATE devices SET {column} = 'x' WHERE id = 'dev'");
        fixture
            .store
            .connection
            .execute(&sql, [])
            .expect("writable");
        let known = fixture.store.devices(&["dev".into(), "sound".into()]);
        assert_eq!(known.expect("readable").len(), 1, "{column}");
        assert!(fixture.store.not_seen(at(9), 9).is_ok());
        assert!(
            fixture
                .store
                .list_devices(DeviceFilter::default(), 0, 9)
                .is_err()
        );
        fixture.commit(&[put(&device("dev", 1))]);
        assert!(fixture.store.device("dev").expect("readable").is_some());
    }
}

/// Registers so many devices as they come, and returns the bytes of the database.
fn fill(fixture: &mut Fixture, devices: u64) -> u64 {
    let id = |n: u64| format!("device-{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut n = 0;
    while n < devices {
        let changes: Vec<Change> = (n..devices.min(n + 256))
            .map(|n| {
                put(&DeviceRow {
                    username: Some(format!("user-{}", n % 1_000).into()),
                    address: Some(
                        format!("10.0.{}.{}:{}", n % 250, n % 200, 20_000 + n % 40_000).into(),
                    ),
                    status: Status::Disconnected,
                    reason: Some(Reason::KeepaliveTimeout),
                    ..device(&id(n), 1_795_216_000_000 + n)
                })
            })
            .collect();
        fixture.commit(&changes);
        n += 256;
    }
    fixture.store.checkpoint().expect("writable");
    let file = fixture.dir.path().join("spool.db");
    std::fs::metadata(file).expect("a file").len()
}

#[test]
fn a_device_takes_less_than_two_hundred_bytes() {
    let mut fixture = Fixture::new();
    let bytes = fill(&mut fixture, 20_000);
    assert!(bytes < 200 * 20_000, "{bytes}");
}

/// `cargo test --lib a_million_devices -- --ignored --nocapture` says what they take.
#[test]
#[ignore = "it takes a minute or more, and is a figure"]
fn a_million_devices() {
    const MILLION: u64 = 1_000_000;
    let rss = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS"));
        line.unwrap_or_default().to_owned()
    };
    let mut fixture = Fixture::new();
    println!("before: {}", rss());
    let begun = std::time::Instant::now();
    let bytes = fill(&mut fixture, MILLION);
    println!("{bytes} bytes after {:?}; {}", begun.elapsed(), rss());
    println!("counted as {}", counter(&fixture, "device_bytes"));
    let begun = std::time::Instant::now();
    let ids: Vec<ByteString> = (0..512_u64)
        .map(|n| {
            format!(
                "device-{:016x}",
                (n * 1_951).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            )
            .into()
        })
        .collect();
    let known = fixture.store.devices(&ids).expect("readable");
    println!("{} looked up in {:?}", known.len(), begun.elapsed());
    let begun = std::time::Instant::now();
    let (mut after, mut listed) = (0, 0);
    loop {
        let page = fixture
            .store
            .list_devices(DeviceFilter::default(), after, 500)
            .expect("readable");
        let Some((last, _)) = page.last() else { break };
        after = *last;
        listed += page.len();
    }
    println!("{listed} listed in {:?}; {}", begun.elapsed(), rss());
    assert!(bytes < 200 * MILLION, "{bytes}");
}
