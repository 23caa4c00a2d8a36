//! Brokers that are down, restart, refuse, hide or speak otherwise: mqhook says so and goes on.

mod outage;
mod refusal;
mod subscribing;
mod telling;
mod transport;
mod version;

use support::mosquitto::Mosquitto;
use support::receiver::Receiver;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// A webhook that gets every message.
const MESSAGES: &str = "[webhooks.a]
url = \"{receiver}/a\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
";

/// A webhook that gets every accepted client.
const CLIENTS: &str = "[webhooks.b]
url = \"{receiver}/b\"
events = [{ event = \"on_client_connack\" }]
";

const FAILURES: &str = "mqhook_broker_connection_failures_total{connection=\"messages\"}";
const CONNECTS: &str = "mqhook_broker_connects_total{connection=\"messages\"}";

/// Starts a sidecar, and does not wait for it.
fn launch(broker: Mosquitto, config: &str) -> Setup {
    Setup::launch(MQHOOK, broker, Receiver::start(), config)
}

/// Publishes a message and asserts that it becomes the next request.
async fn passes(setup: &Setup, payload: &str) {
    setup.publish("t", payload).await;
    let request = setup.receiver.next().await;
    let expected = format!("\"payload\":\"{payload}\"}}");
    assert!(request.text().ends_with(&expected), "got {request:?}");
}

/// Waits until `/ready` says this with a 503, and asserts that the sidecar lives.
async fn is_not_ready(setup: &Setup, parts: &[&str]) {
    setup.wait_unready(parts).await;
    let (status, _) = support::http::get(setup.admin, "/live").await;
    assert_eq!(status, 200, "expected it to be live");
}

/// Asserts that a text has these parts.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "expected {part:?} in {text:?}");
    }
}

/// Asserts that exactly this many lines of the sidecar's log have a part.
fn logged(setup: &Setup, part: &str, times: usize) {
    let log = setup.sidecar.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(part)).collect();
    assert_eq!(lines.len(), times, "lines with {part:?}: {lines:#?}");
}
