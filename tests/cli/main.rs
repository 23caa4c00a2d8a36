//! The commands around the spool, on the real binary: beside an mqhook that runs, and without one.

mod dead_letters;
mod hostile;
mod places;
mod shells;
mod status;
mod webhooks;

use std::time::Duration;

use serde_json::Value;
use support::mosquitto::Mosquitto;
use support::receiver::Behaviour;
use support::setup::Setup;
use support::sidecar::Sidecar;
use support::wait;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Longest time until a command sees what mqhook has done.
const PATIENCE: Duration = Duration::from_secs(10);

/// A webhook that gives up what is rejected, and tries again after a while what fails.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
retry.schedule = [\"1h\"]
";

/// What a command wrote, and how it ended.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

/// Runs a command in the directory of an mqhook, where the spool is the default one.
fn say(sidecar: &Sidecar, arguments: &[&str]) -> Said {
    let output = sidecar.command(arguments);
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Said {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Runs a command that succeeds, and returns what it wrote.
fn done(sidecar: &Sidecar, arguments: &[&str]) -> String {
    let said = say(sidecar, arguments);
    assert_eq!(said.status, Some(0), "{arguments:?}: {said:?}");
    assert_eq!(said.err, "", "{arguments:?}");
    said.out
}

/// Runs a command that fails, and asserts its exit status and parts of what it wrote.
fn fails(sidecar: &Sidecar, arguments: &[&str], status: i32, parts: &[&str]) {
    let said = say(sidecar, arguments);
    assert_eq!(said.status, Some(status), "{arguments:?}: {said:?}");
    for part in parts {
        assert!(said.err.contains(part), "expected {part:?}: {said:?}");
    }
}

/// Runs a command that writes one object per line, and returns them.
fn objects(sidecar: &Sidecar, arguments: &[&str]) -> Vec<Value> {
    let out = done(sidecar, &[arguments, &["--json"]].concat());
    let object = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    out.lines().map(object).collect()
}

/// Waits until there are so many dead letters, and returns them.
async fn letters(setup: &Setup, count: usize) -> Vec<Value> {
    let expected = format!("{count} dead letters");
    wait::until(PATIENCE, &expected, async || {
        let list = objects(&setup.sidecar, &["dead-letters", "list"]);
        (list.len() == count).then_some(list)
    })
    .await
}

/// Starts everything, and has these messages rejected one after the other.
async fn start_rejecting(payloads: &[&str]) -> Setup {
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    setup.receiver.set(Behaviour::Status(400));
    for (sent, payload) in (1..).zip(payloads) {
        setup.publish(&format!("t/{payload}"), payload).await;
        letters(&setup, sent).await;
    }
    setup
}

/// Ends mqhook in order.
async fn stop(setup: &mut Setup) {
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
}

/// Returns the value of a key as text.
fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    let text = object[key].as_str();
    text.unwrap_or_else(|| panic!("expected a text under {key} in {object}"))
}

/// Returns the value of a key as a number.
fn number(object: &Value, key: &str) -> u64 {
    let number = object[key].as_u64();
    number.unwrap_or_else(|| panic!("expected a number under {key} in {object}"))
}
