//! Requests say who they are from, in the way that the receiver asks for.

mod fixed;
mod oauth2;
mod silence;

use std::fs;
use std::path::Path;

use support::mosquitto::Mosquitto;
use support::receiver::{Receiver, Request};
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// A webhook `a` that gets everything, and tries again soon.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
retry.exponential.initial = \"20ms\"
retry.exponential.max = \"100ms\"
breaker.failures = 1000
events = [{ event = \"on_message_publish\", topic = \"#\" }]
";

/// Starts with this `auth` table, and tables behind it.
async fn start(auth: &str) -> Setup {
    start_with(Receiver::start(), auth).await
}

/// Starts with a webhook whose attempts take no longer than half a second.
async fn start_impatient(auth: &str) -> Setup {
    launch(
        Receiver::start(),
        &format!("timeout = \"500ms\"\n[webhooks.a.auth]\n{auth}"),
    )
    .await
}

async fn start_with(receiver: Receiver, auth: &str) -> Setup {
    launch(receiver, &format!("[webhooks.a.auth]\n{auth}\n")).await
}

async fn launch(receiver: Receiver, keys: &str) -> Setup {
    let config = format!("{WEBHOOK}{keys}");
    let broker = Mosquitto::builder().start();
    let mut setup = Setup::launch(MQHOOK, broker, receiver, &config);
    setup.wait_ready().await;
    setup
}

/// Publishes a message and returns the next request.
async fn next(setup: &Setup) -> Request {
    setup.publish("t", "x").await;
    setup.receiver.next().await
}

/// Returns how many deliveries have ended like this.
async fn deliveries(setup: &Setup, outcome: &str, expected: u64) {
    let series = format!("mqhook_deliveries_total{{webhook=\"a\",outcome=\"{outcome}\"}}");
    setup
        .wait_for_metric(&series, |count| count >= expected)
        .await;
    assert_eq!(setup.metric(&series).await, expected, "{outcome}");
}

/// Replaces a file as a careful program does.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("write a file");
    fs::rename(new, path).expect("replace the file");
}
