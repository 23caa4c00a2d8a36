//! mqhook's plugin for Mosquitto in a broker that gives it whatever C can: the body of its fuzz target.
//!
//! The plugin is a shared library, whose functions are found by the broker that loads it and that has the functions
//! which it calls. So its sources are compiled here once more, together with the broker of its own tests.
//!
//! C strings have no zero but their last byte, may be no UTF-8, and may be missing; lists may be empty, and
//! their lengths negative; a payload may be missing though it has a length. What no broker can do without breaking
//! itself is left out: a string without an end, a payload that is shorter than its length.

#[path = "../../mosquitto/src/events.rs"]
mod events;
#[path = "../../mosquitto/src/ffi/mod.rs"]
#[expect(unsafe_code, reason = "the plugin interface is C")]
mod ffi;
#[path = "../../mosquitto/src/filter.rs"]
mod filter;
#[path = "../../mosquitto/src/tests/host.rs"]
#[expect(dead_code, reason = "the plugin's own tests need more of it")]
mod host;
#[path = "../../mosquitto/src/json.rs"]
mod json;
#[path = "../../mosquitto/src/plugin.rs"]
mod plugin;
#[path = "../../mosquitto/src/settings.rs"]
mod settings;
#[path = "../../mosquitto/src/status.rs"]
mod status;

mod given;

use mqhook_seal::{Key, Message, Opener, Publisher};
use serde_json::Value;

use given::{Given, c, told};
use host::{Client, Host};

const KEY: &str = include_str!("../../../tests/fixtures/plugin/key");
const KEY_FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/plugin/key"
);

/// The longest name of a client that a seal tells.
const LONGEST_NAME: usize = 1_024;

/// Lets a broker load the plugin with options and call all of its callbacks for one client: four bytes of
/// numbers, then a client identifier, a user name, an address and a topic, with a zero byte behind each, and a payload.
///
/// # Panics
/// When the plugin breaks a promise: it panics, it writes what is not JSON, or a seal says anything else of
/// the client than the broker.
pub fn plugin(data: &[u8]) {
    let Some((&[missing, qos, high, low], texts)) = data.split_first_chunk() else {
        return;
    };
    let number = i32::from(i16::from_be_bytes([high, low]));
    let mut parts = texts.splitn(5, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let texts = [part(), part(), part(), part()];
    let is_given = |bit: usize| missing >> bit & 1 == 0;
    let text = |bit: usize| is_given(bit).then_some(texts[bit]);
    options([0, 1, 2, 3].map(text), number);
    let client = Client::of([text(0), text(1), text(2)], number);
    callbacks(&Given {
        client: is_given(4).then_some(client),
        topic: text(3).map(c),
        payload: part().to_vec(),
        has_payload: is_given(5),
        qos,
        number,
    });
}

/// Starts the plugin with what is hardly ever a configuration.
fn options(texts: [Option<&[u8]>; 4], number: i32) {
    assert_eq!(given::choose_of_none(number), -1);
    let [key, value, other, another] = texts.map(|text| text.map(c));
    let options = [(key, value), (other, another)];
    // Whoever names a file has it read.
    let is_file = |key: &Option<_>| told(key.as_ref()) == Some("key_file");
    if options.iter().any(|(key, _)| is_file(key)) {
        return;
    }
    // There may be fewer than are there.
    let log = given::start(&options, number.min(2)).expect_err("it has no key");
    assert!(log.contains("plugin_opt_key_file is missing"), "{log}");
}

fn callbacks(given: &Given) {
    let options = [
        ("key_file", KEY_FILE),
        ("events", "true"),
        ("delivered", "#"),
        ("connects", "true"),
    ];
    let mut host = Host::start(&options).expect("it is a configuration");
    let client = given.client.as_ref();
    let of = |part: fn(&Client) -> Option<&std::ffi::CString>| told(client.and_then(part));
    let id = of(|client| client.id.as_ref());
    let username = of(|client| client.username.as_ref());
    check_seal(&given.publish(&mut host), given, (id, username));
    for json in given.happen(&mut host) {
        let json: Value = serde_json::from_str(&json).expect("it is JSON");
        assert!(json["event"].is_string(), "{json}");
        assert_eq!(
            (json["client_id"].as_str(), json["username"].as_str()),
            (id, username)
        );
        if let Some(topic) = json.get("topic").or_else(|| json.get("topic_filter")) {
            assert_eq!(topic.as_str(), told(given.topic.as_ref()));
        }
    }
    let status = given::status(&mut host);
    assert!(status.contains("\"panics\":0"), "{status}");
    drop(host);
    Host::log();
}

/// Asserts that one property was added, if the topic is wanted, and says what the broker has said.
fn check_seal(
    properties: &[(String, String)],
    given: &Given,
    (id, username): (Option<&str>, Option<&str>),
) {
    let topic = told(given.topic.as_ref());
    if topic.is_some_and(|topic| topic.starts_with('$')) {
        return assert!(properties.is_empty(), "a seal where none is wanted");
    }
    let [(name, value)] = properties else {
        panic!("expected one property, got {properties:?}");
    };
    assert_eq!(name, mqhook_seal::PROPERTY);
    let payload: &[u8] = if given.has_payload {
        &given.payload
    } else {
        &[]
    };
    let message = Message {
        topic: topic.unwrap_or_default().as_bytes(),
        payload,
    };
    let mut opener = Opener::new(Key::in_file(KEY).expect("it is long enough"));
    match opener.open(value, message) {
        Ok(publisher) => {
            let is_short = |text: &&str| text.len() <= LONGEST_NAME;
            let said = Publisher {
                client_id: id.filter(is_short),
                username: username.filter(is_short),
                ..publisher
            };
            assert_eq!(publisher, said);
            assert!(topic.is_some() && publisher.qos == given.qos);
        }
        // No QoS beyond 2 can be told.
        Err(_) => assert!(
            value == "-" || given.qos > 2,
            "a seal that cannot be opened"
        ),
    }
}
