//! Devices: what is remembered of clients, and which events tell it, with a real broker.

mod crashes;
mod debounce;
mod figures;
mod formats;
mod gaps;
mod registry;
mod removal;

use std::time::Duration;

use serde_json::Value;
use support::client::{Client, Connect, Version};
use support::mosquitto::{Builder, Mosquitto};
use support::receiver::Request;
use support::setup::Setup;
use support::wait;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Longest time until something is there that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A webhook that takes all events of devices, one after the other, with everything in them.
const WEBHOOK: &str = "[webhooks.all]
url = \"{receiver}/hook\"
pool_size = 1
body.format = \"json\"
events = [
    { event = \"on_device_provisioned\" },
    { event = \"on_device_status_changed\" },
    { event = \"on_device_decommissioned\" },
]
";

/// Returns a broker that tells of its clients, and forgets nothing of that soon.
fn broker() -> Builder {
    Mosquitto::builder()
        .log_topics()
        .line("max_queued_messages 100000")
}

async fn start(keys: &str) -> Setup {
    Setup::start(MQHOOK, broker(), &format!("{keys}{WEBHOOK}")).await
}

async fn connect(setup: &Setup, id: &str) -> Client {
    let connect = Connect::new(Version::V5, id).username("alice");
    connect.open(setup.broker.port()).await
}

/// Ends mqhook in order, and starts it again.
async fn restart(setup: &mut Setup) {
    stop(setup).await;
    setup.sidecar.start_again();
    setup.wait_ready().await;
}

async fn stop(setup: &mut Setup) {
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
}

/// Returns what a request tells, in one line: `dev provisioned connected <- none: normal`.
fn line(request: &Request) -> String {
    let body: Value = serde_json::from_str(request.text()).expect("it is JSON");
    let text = |key: &str| body[key].as_str().unwrap_or("none").to_owned();
    let kind = text("kind").replace("on_device_", "");
    let (id, status, previous) = (text("client_id"), text("status"), text("previous_status"));
    format!("{id} {kind} {status} <- {previous}: {}", text("reason"))
}

/// Asserts that exactly this was told so far. A client whose name says so, the fence, comes last: whatever was
/// to come has come before it.
async fn check(setup: &Setup, fence: &str, expected: &[&str]) {
    connect(setup, fence).await.disconnect().await;
    let end = format!("{fence} status_changed disconnected <- connected: normal");
    let is_end = |requests: &[Request]| requests.iter().any(|request| line(request) == end);
    let requests = setup.receiver.wait_until(is_end).await;
    let told: Vec<String> = requests.iter().map(line).collect();
    let told: Vec<&String> = told
        .iter()
        .filter(|line| !line.starts_with("fence"))
        .collect();
    assert_eq!(told, expected);
}

/// Runs a command on the spool, and returns its status and what it wrote.
fn say(setup: &Setup, arguments: &[&str]) -> (Option<i32>, String) {
    let output = setup.sidecar.command(arguments);
    let mut text = String::from_utf8(output.stdout).expect("it writes UTF-8");
    text.push_str(std::str::from_utf8(&output.stderr).expect("it writes UTF-8"));
    (output.status.code(), text)
}

/// Returns the status of a device as `mqhook devices list` has it; `None` if it is not there.
fn status(setup: &Setup, id: &str) -> Option<String> {
    let (code, out) = say(setup, &["devices", "list", "--json"]);
    assert_eq!(code, Some(0), "{out}");
    let objects = out.lines().map(|line| {
        let object: Value = serde_json::from_str(line).expect("a line of JSON");
        object
    });
    let device = objects.into_iter().find(|object| object["client_id"] == id);
    device.map(|device| device["status"].as_str().expect("a text").to_owned())
}

async fn wait_for_status(setup: &Setup, id: &str, expected: Option<&str>) {
    let what = format!("{id} to be {expected:?}");
    wait::until(PATIENCE, &what, async || {
        (status(setup, id).as_deref() == expected).then_some(())
    })
    .await;
}
