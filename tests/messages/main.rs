//! Published messages become requests: which ones, how many, and with which bodies and headers.
//!
//! One connection to the receiver keeps requests in the order of the messages. A message of its
//! own, the fence, ends each story: whatever was to come has come before it.

mod bodies;
mod headers;
mod retained;
mod routing;
mod shared;

use support::client::{Client, Publish};
use support::mosquitto::Mosquitto;
use support::receiver::Request;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// The topic of the message that ends a story.
const FENCE: &str = "the/fence";

/// Starts a sidecar with one webhook `a` that gets messages under these filters, and the fence.
async fn listen(filters: &[&str]) -> Setup {
    start(&webhook("a", filters)).await
}

async fn start(config: &str) -> Setup {
    Setup::start(MQHOOK, Mosquitto::builder(), config).await
}

/// Returns the table of a webhook that posts to a path of its own name.
fn webhook(name: &str, filters: &[&str]) -> String {
    let rules: Vec<String> = filters
        .iter()
        .map(|filter| format!("{{ event = \"on_message_publish\", topic = \"{filter}\" }}"))
        .collect();
    format!(
        "[webhooks.{name}]\nurl = \"{{receiver}}/{name}\"\npool_size = 1\nevents = [{}]\n",
        rules.join(", ")
    )
}

/// Sends a message and waits until the broker has it.
async fn send(client: &mut Client, message: Publish) {
    let code = client.publish(&message).await;
    assert!(code < 0x80, "expected the broker to take it, got {code}");
    // At QoS 0 nothing else says so.
    client.ping().await;
}

/// Publishes the fence and returns the requests before it. Every webhook must have a rule for it,
/// unless it is another's `path`.
async fn requests(setup: &Setup, path: &str) -> Vec<Request> {
    setup.publish(FENCE, "").await;
    let of_path = |request: &&Request| request.target() == path;
    let is_fence = |request: &Request| request.text().contains("\"topic\":\"the/fence\"");
    let requests = setup
        .receiver
        .wait_until(|requests| requests.iter().filter(of_path).any(is_fence))
        .await;
    let before = requests.into_iter().filter(|request| of_path(&request));
    before.take_while(|request| !is_fence(request)).collect()
}

/// Like [`requests`], but only the bodies, times masked.
async fn bodies(setup: &Setup, path: &str) -> Vec<String> {
    let requests = requests(setup, path).await;
    requests
        .iter()
        .map(|request| masked(request.text()))
        .collect()
}

/// Replaces the event's time, once it is seen to be plausible.
fn masked(body: &str) -> String {
    let rest = body.strip_prefix("{\"ts\":");
    let rest = rest.unwrap_or_else(|| panic!("expected a body that begins with ts, got {body}"));
    let (time, rest) = rest.split_once(',').expect("ts is followed by more");
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is past 1970");
    let time: u128 = time.parse().expect("expected milliseconds");
    assert!(
        now.as_millis().abs_diff(time) < 60_000,
        "expected a time within a minute of now, got {body}"
    );
    format!("{{\"ts\":0,{rest}")
}

/// Returns the expected body of a message, given the payload's JSON with what follows it.
fn body(topic: &str, qos: u8, retain: bool, payload: &str) -> String {
    format!(
        r#"{{"ts":0,"topic":"{topic}","retain":{retain},"qos":{qos},"action":"message_publish","from_username":"undefined","from_client_id":null,"payload":{payload}}}"#
    )
}
