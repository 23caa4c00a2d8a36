//! The callbacks as a broker calls them, with a broker that is made here: functions of the same
//! names, and structs filled by hand. So versions can be played that cannot be installed, and what no
//! sound broker does.

mod host;
mod lifecycle;

use std::fs;
use std::ptr::{null, null_mut};

use mqhook_seal::{Key, Message, Opener, Publisher};

use self::host::{BASIC_AUTH, Host, MESSAGE, TICK};

const KEY: &str = "0123456789abcdef";

/// Starts the plugin with a good key and these other options.
fn started(options: &[(&str, &str)]) -> Host {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("key");
    fs::write(&file, KEY).expect("write the key");
    let file = file.to_str().expect("it is UTF-8").to_owned();
    let mut all = vec![("key_file", file.as_str())];
    all.extend(options);
    Host::start(&all).expect("the plugin starts")
}

/// Returns the property that stands for a seal that could not be had.
fn no_seal() -> (String, String) {
    (mqhook_seal::PROPERTY.to_owned(), "-".to_owned())
}

fn opened(seal: &str, topic: &str, payload: &[u8], expected: Option<Publisher<'_>>) {
    let mut opener = Opener::new(Key::new(KEY).expect("it is long enough"));
    let topic = topic.as_bytes();
    let got = opener.open(seal, Message { topic, payload }).ok();
    // The time is the plugin's own.
    let time_ms = got.map_or(0, |got| got.time_ms);
    assert_eq!(
        got,
        expected.map(|expected| Publisher {
            time_ms,
            ..expected
        })
    );
}

#[test]
fn a_message_gets_one_property_behind_its_own() {
    let mut host = started(&[]);
    let client = Host::client(Some("dev"), Some("alice"), Some("::1"), 4);
    let added = host.publish(client, Some("a/b"), b"on", 2);
    let [(name, value)] = added.as_slice() else {
        panic!("expected one property, got {added:?}");
    };
    assert_eq!(name, mqhook_seal::PROPERTY);
    let expected = Publisher {
        time_ms: 0,
        qos: 2,
        protocol_version: 4,
        client_id: Some("dev"),
        username: Some("alice"),
        address: Some("::1"),
    };
    opened(value, "a/b", b"on", Some(expected));
}

#[test]
fn what_is_missing_is_told_as_missing() {
    let mut host = started(&[]);
    let client = Host::client(None, None, None, 77);
    let added = host.publish(client, Some("t"), b"", 0);
    let nobody = Publisher {
        protocol_version: 77,
        ..Publisher::default()
    };
    opened(&added[0].1, "t", b"", Some(nobody));
    let added = host.publish(null(), Some("t"), b"", 0);
    opened(&added[0].1, "t", b"", Some(Publisher::default()));
}

#[test]
fn nonsense_of_the_broker_is_survived() {
    let mut host = started(&[]);
    assert_eq!(host.publish(null(), None, b"x", 0), [no_seal()]);
    for event in [MESSAGE, TICK, 1] {
        assert_eq!(host.call(event, null_mut()), 0);
    }
    let client = Host::client(Some("dev"), None, None, 5);
    assert_eq!(host.publish(client, Some("t"), b"x", 0).len(), 1);
}

#[test]
fn names_too_long_to_seal_are_told_as_missing() {
    let mut host = started(&[]);
    let (fits, long, huge) = ("f".repeat(1_024), "x".repeat(1_025), "y".repeat(100_000));
    let mut check = |id, username, expected| {
        let client = Host::client(Some(id), Some(username), None, 5);
        let added = host.publish(client, Some("t"), b"x", 0);
        opened(&added[0].1, "t", b"x", Some(expected));
    };
    let nobody = Publisher {
        protocol_version: 5,
        ..Publisher::default()
    };
    check(&long, &huge, nobody);
    let (client_id, username) = (Some(fits.as_str()), Some("alice"));
    check(&long, "alice", Publisher { username, ..nobody });
    check(
        &fits,
        &huge,
        Publisher {
            client_id,
            ..nobody
        },
    );
}

/// A client may have copied a seal: what stands behind that is what counts.
#[test]
fn a_message_that_gets_no_seal_is_told_to_be_of_nobody() {
    let mut host = started(&[]);
    let client = Host::client(Some("dev"), None, None, 5);
    Host::refuse_next();
    assert_eq!(host.publish(client, Some("t"), b"x", 0), [no_seal()]);
    opened("-", "t", b"x", None);
    let status = host.status();
    assert!(
        status.contains("\"failed\":1,\"untold\":0,\"panics\":0"),
        "{status}"
    );
}

#[test]
fn a_panic_ends_in_the_plugin_and_is_counted() {
    let mut host = started(&[]);
    let client = Host::client(Some("dev"), None, None, 5);
    host.panic();
    assert_eq!(host.publish(client, Some("t"), b"x", 0).len(), 1);
    let status = host.status();
    assert!(
        status.contains("\"sealed\":1,\"passed\":0,\"failed\":0,\"untold\":0,\"panics\":1"),
        "{status}"
    );
}

#[test]
fn a_call_within_a_call_seals_nothing() {
    let mut host = started(&[]);
    let client = Host::client(Some("dev"), None, None, 5);
    Host::call_back_while_adding(MESSAGE);
    let added = host.publish(client, Some("t"), b"x", 0);
    let [of_the_inner, (_, seal)] = added.as_slice() else {
        panic!("expected two properties, got {added:?}");
    };
    assert_eq!(*of_the_inner, no_seal());
    let of_the_outer = Publisher {
        protocol_version: 5,
        client_id: Some("dev"),
        ..Publisher::default()
    };
    opened(seal, "t", b"x", Some(of_the_outer));
}

#[test]
fn a_property_that_is_refused_is_counted() {
    let mut host = started(&[("topics", "t u/#")]);
    let client = Host::client(Some("dev"), None, None, 5);
    Host::refuse_next();
    assert_eq!(host.publish(client, Some("t"), b"x", 0), [no_seal()]);
    assert_eq!(host.publish(client, Some("v"), b"x", 0), []);
    let status = host.status();
    assert!(
        status.contains("\"sealed\":0,\"passed\":1,\"failed\":1"),
        "{status}"
    );
}

#[test]
fn a_plugin_that_cannot_work_does_not_start_and_says_why() {
    let problems =
        Host::start(&[("topics", "a#"), ("colour", "red")]).expect_err("it is all wrong");
    for part in ["plugin_opt_colour", "a#", "plugin_opt_key_file is missing"] {
        assert!(problems.contains(part), "{part:?} in {problems}");
    }
}

#[test]
fn only_the_interface_that_is_understood_is_chosen() {
    assert_eq!(host::choose(&[2, 3, 4, 5]), 5);
    assert_eq!(host::choose(&[5, 6]), 5);
    assert_eq!(host::choose(&[4, 6]), -1);
    assert_eq!(host::choose(&[]), -1);
}

#[test]
fn a_connect_gets_a_line_and_no_verdict_if_that_is_asked_for() {
    let mut host = started(&[("connects", "true")]);
    let client = Host::client(Some("dev \"1\""), Some("alice"), None, 5);
    let line = r#"connect {"address":null,"protocol_version":5,"keep_alive":60,"clean_start":true,"client_id":"dev \"1\"","username":"alice"}"#;
    assert_eq!(host.connect(client), (17, format!("{line}\n")));
    let long = "\u{1}☀".repeat(9_000);
    let (_, line) = host.connect(Host::client(Some(&long), Some(&long), Some("::1"), 5));
    assert!(line.len() < 900 && line.ends_with("…\"}\n"), "{line}");
    assert_eq!(host.connect(null()).0, 17);
    drop(host);
    let _host = started(&[]);
    assert!(!Host::is_registered(BASIC_AUTH));
}
