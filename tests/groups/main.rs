//! Webhooks over the API, groups, and publishing over HTTP, with a real broker and a real receiver.

mod api;
mod commands;
mod hostile;
mod life;
mod limits;
mod publishing;
mod rotation;
mod scopes;
mod tenants;
mod trial;

use std::time::Duration;

use serde_json::Value;
use support::mosquitto::Mosquitto;
use support::receiver::Request;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Longest time until something is there that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A group, and a webhook of it, in the file.
const FILE: &str = "
[groups.plant]
topics = [\"plant/#\"]
[webhooks.of_file]
url = \"{receiver}/file\"
group = \"plant\"
body.format = \"json\"
headers = { x-api-key = \"sesame-of-file\" }
";

async fn start(config: &str) -> Setup {
    Setup::start(MQHOOK, Mosquitto::builder(), config).await
}

/// Returns the JSON that a request brings.
fn body(request: &Request) -> Value {
    serde_json::from_str(request.text()).expect("it is JSON")
}

/// Returns how many requests to a path bring this payload.
fn count(requests: &[Request], path: &str, payload: &str) -> usize {
    let is_it =
        |request: &&Request| request.target() == path && body(request)["payload"] == payload;
    requests.iter().filter(is_it).count()
}

/// Waits until a path has got a payload, and returns all requests.
async fn wait_for(setup: &Setup, path: &str, payload: &str) -> Vec<Request> {
    let receiver = &setup.receiver;
    receiver
        .wait_until(|requests| count(requests, path, payload) > 0)
        .await
}

/// Ends mqhook in order, and starts it again.
async fn restart(setup: &mut Setup) {
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
    setup.sidecar.start_again();
    setup.wait_ready().await;
}

/// Makes a token by the command line, and returns its text.
fn token(setup: &Setup, arguments: &[&str]) -> String {
    let all = [
        &["tokens", "create"],
        arguments,
        &["--dir", "mqhook-spool", "--json"],
    ]
    .concat();
    let output = setup.sidecar.command(&all);
    let text = String::from_utf8(output.stdout).expect("it writes UTF-8");
    let error = String::from_utf8_lossy(&output.stderr);
    let made: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{error}"));
    made["token"].as_str().expect("a token").to_owned()
}
