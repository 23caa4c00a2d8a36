//! The events of Mosquitto 2.1, from structs as its header has them.

use std::ffi::{CString, c_char, c_void};
use std::ptr::{null, null_mut};

use super::host::{BASIC_AUTH, Client, Host};
use super::started;

const DEV: &str = r#""client_id":"dev","username":"alice","address":"::1","protocol_version":5,"keep_alive":60,"clean_start":true"#;

fn dev() -> *const Client {
    Host::client(Some("dev"), Some("alice"), Some("::1"), 5)
}

/// Returns a number that the broker has beside padding, as a word.
fn word(number: i32) -> *const c_void {
    let bits = u32::from_ne_bytes(number.to_ne_bytes());
    std::ptr::without_provenance(usize::try_from(bits).expect("a word has 64 bits"))
}

#[test]
fn what_happens_to_clients_is_published_by_2_1() {
    let mut host = started(&[("events", "true"), ("connects", "true")]);
    let dev = dev();
    let connect = host.happen(11, &[dev.cast()]);
    assert_eq!(connect, [format!(r#"{{"event":"connect",{DEV}}}"#)]);
    let attempt = host.happen_with(BASIC_AUTH, &[dev.cast()], 17);
    assert_eq!(attempt, [format!(r#"{{"event":"attempt",{DEV}}}"#)]);
    for (event, reason) in [(10, 0), (10, 142), (28, 19), (28, -1)] {
        let expected = format!(r#"{{"event":"disconnect",{DEV},"reason":{reason}}}"#);
        assert_eq!(host.happen(event, &[dev.cast(), word(reason)]), [expected]);
    }
    let filter = CString::new("$share/g/a/\"#").expect("it has no zero");
    // Identifier, filter, properties; then the subscription identifier and the options in one word.
    let options = std::ptr::without_provenance(2_usize << 32);
    let words = [dev.cast(), null(), filter.as_ptr().cast(), null(), options];
    let said = |event, more| {
        format!(r##"{{"event":"{event}",{DEV},"topic_filter":"$share/g/a/\"#"{more}}}"##)
    };
    assert_eq!(host.happen(12, &words), [said("subscribe", r#","qos":2"#)]);
    assert_eq!(host.happen(13, &words), [said("unsubscribe", "")]);
    assert!(host.status().contains("\"events\":true"));
}

#[test]
fn deliveries_of_what_is_asked_for_are_published() {
    let mut host = started(&[("delivered", "a/# $SYS/#")]);
    let mut deliver = |topic: &str| {
        let topic = CString::new(topic).expect("it has no zero");
        let topic: *const c_char = topic.as_ptr();
        // Client, topic, payload, properties, reason string; then length 2, QoS 1, no reason, retained.
        let last = std::ptr::without_provenance(2 | 1 << 32 | 1 << 48);
        let payload: *const c_void = b"on".as_ptr().cast();
        let words = [dev().cast(), topic.cast(), payload, null(), null(), last];
        host.happen(27, &words)
    };
    let expected = format!(
        r#"{{"event":"delivered",{DEV},"topic":"a/b","qos":1,"retain":true,"payload":"b24="}}"#
    );
    assert_eq!(deliver("a/b"), [expected]);
    assert_eq!(deliver("b"), [""; 0]);
    // What the plugin publishes is delivered, too.
    assert_eq!(deliver("$SYS/broker/mqhook/event"), [""; 0]);
}

#[test]
fn nothing_of_it_is_asked_for_unless_configured_and_2_0_goes_on_without() {
    let host = started(&[]);
    let is_watched = || [10, 11, 12, 13, 27, 28].map(Host::is_registered);
    assert_eq!(is_watched(), [false; 6]);
    drop(host);
    Host::be_old();
    let mut host = started(&[("events", "true"), ("delivered", "#")]);
    assert_eq!(is_watched(), [false; 6]);
    let log = Host::log();
    for part in ["plugin_opt_events needs", "plugin_opt_delivered needs"] {
        assert!(log.contains(part), "{part:?} in {log}");
    }
    assert_eq!(host.publish(dev(), Some("t"), b"x", 0).len(), 1);
    assert!(host.status().contains("\"events\":false"));
}

#[test]
fn nulls_of_2_1_are_survived() {
    let mut host = started(&[("events", "true"), ("delivered", "#")]);
    for event in [10, 11, 12, 13, 27, 28] {
        assert_eq!(host.call(event, null_mut()), 0);
    }
    assert_eq!(host.happen(12, &[dev().cast()]), [""; 0]);
    let nobody = r#"{"event":"disconnect","client_id":null,"username":null,"address":null,"protocol_version":0,"keep_alive":0,"clean_start":false,"reason":11}"#;
    assert_eq!(host.happen(10, &[null(), word(11)]), [nobody]);
}
