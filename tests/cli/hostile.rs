//! What strangers publish cannot take over the terminal that it is shown on.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytestring::ByteString;
use mqhook::event::{Client, Detail, Event, Id, Kind, Message, Properties, Timestamp, TopicName};
use mqhook::spool::store::{Change, Due, GaveUp, Seq, Status, Store, WebhookState};
use serde_json::Value;

use super::{MQHOOK, done, letters, start_rejecting, text};

/// Clears the screen, rings, writes over the line, turns the direction of writing, and begins another line.
const EVIL: &str = "evil\u{1b}[2J\u{7}\rgood\u{202e}\u{9b}1m\nid  7";
const ESCAPED: &str = "evil\\u{1b}[2J\\u{7}\\rgood\\u{202e}\\u{9b}1m\\nid  7";

/// Everything that may be read from a spool.
const COMMANDS: [&[&str]; 5] = [
    &["dead-letters", "list"],
    &["dead-letters", "show", "1"],
    &["spool", "status"],
    &["webhooks", "list"],
    &["webhooks", "disable", EVIL],
];

/// Makes a spool in which every text is hostile: brokers may let control characters pass, though Mosquitto does not.
fn make_spool(dir: &Path) {
    let mut store = Store::open(dir).expect("a writable directory").store;
    let webhook = store.register(EVIL).expect("a writable store");
    let now = Timestamp::now();
    let text = || Some(ByteString::from(EVIL));
    let properties = Properties {
        content_type: text(),
        response_topic: text(),
        user: vec![(EVIL.into(), EVIL.into())],
        ..Properties::default()
    };
    let detail = Detail::Message(Message {
        topic: TopicName::try_from(ByteString::from(EVIL)).expect("a topic name"),
        payload: EVIL.into(),
        qos: 1,
        retain: false,
        protocol_version: Some(5),
        properties: properties.boxed(),
    });
    let event = Event {
        id: Id::new(),
        kind: Kind::MessagePublish,
        time: now,
        client: Client {
            id: text(),
            username: text(),
            address: text(),
        },
        detail,
    };
    let changes = [
        Change::Append {
            seq: Seq(1),
            accepted: now,
            event: Arc::new(event),
            webhooks: vec![webhook],
        },
        Change::Bury {
            webhook,
            seq: Seq(1),
            due: Due::Fresh,
            failures: 1,
            outcome: EVIL.to_owned(),
            reason: GaveUp::Rejected,
            at: now,
        },
        Change::State {
            webhook,
            state: WebhookState {
                status: Status::Disabled,
                reason: EVIL.to_owned(),
                ..WebhookState::default()
            },
        },
    ];
    store.commit(&changes).expect("a writable store");
}

fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(MQHOOK)
        .args(arguments)
        .arg("--dir")
        .arg(dir)
        .output();
    let output = output.expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}

fn check(arguments: &[&str], out: &str) {
    let is_hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let hostile = out.chars().find(|character| is_hostile(*character));
    assert_eq!(hostile, None, "{arguments:?} wrote {out:?}");
}

#[test]
fn no_text_of_a_stranger_reaches_the_terminal_as_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    make_spool(dir.path());
    for arguments in COMMANDS {
        let out = run(dir.path(), arguments);
        check(arguments, &out);
        assert!(out.contains(ESCAPED), "{arguments:?} wrote {out:?}");
    }
    let list = run(dir.path(), COMMANDS[0]);
    assert_eq!(
        list.lines().count(),
        2,
        "a line break begins no line: {list}"
    );
    let show = run(dir.path(), COMMANDS[1]);
    let payload = ESCAPED.replace("\\n", "\n");
    let end = format!("text, control characters escaped):\n{payload}\n");
    assert!(show.ends_with(&end), "expected {end:?} in {show:?}");
}

#[test]
fn json_is_safe_on_a_terminal_and_reads_back_as_it_was() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    make_spool(dir.path());
    for arguments in &COMMANDS[..4] {
        let arguments = [arguments, &["--json"][..]].concat();
        let out = run(dir.path(), &arguments);
        check(&arguments, &out);
        assert_eq!(out.lines().count(), 1, "one object, one line: {out}");
        let object: Value = serde_json::from_str(&out).expect("it is JSON");
        let webhook = match &object["webhooks"] {
            Value::Array(webhooks) => &webhooks[0],
            _ => &object,
        };
        assert_eq!(text(webhook, "webhook"), EVIL);
    }
    let show = run(dir.path(), &["dead-letters", "show", "1", "--json"]);
    let object: Value = serde_json::from_str(&show).expect("it is JSON");
    for key in ["topic", "payload", "client_id", "username", "outcome"] {
        assert_eq!(text(&object, key), EVIL, "{key}");
    }
}

/// Of what Mosquitto lets pass, this is the most misleading.
#[tokio::test]
async fn a_topic_that_turns_the_direction_of_writing_is_escaped() {
    let setup = start_rejecting(&["one\u{202e}owt"]).await;
    let letter = letters(&setup, 1).await.remove(0);
    assert_eq!(text(&letter, "topic"), "t/one\u{202e}owt");
    let list = done(&setup.sidecar, COMMANDS[0]);
    check(COMMANDS[0], &list);
    assert!(list.contains("t/one\\u{202e}owt"), "{list}");
}
