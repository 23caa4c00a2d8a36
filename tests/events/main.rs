//! What happens to clients becomes events, with exactly the documented bodies.
//!
//! One connection to the receiver keeps the bodies in the order of the events. A client whose
//! name says so, the fence, ends each story: whatever was to come has come before it.

mod ends;
mod identifiers;
mod starts;
mod subscriptions;

use support::client::{Connect, Version};
use support::mosquitto::{Builder, Mosquitto};
use support::receiver::Request;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Every kind that Mosquitto tells of its clients.
const EVERY_KIND: [&str; 8] = [
    "on_client_connack",
    "on_client_connected",
    "on_client_disconnected",
    "on_client_subscribe",
    "on_client_unsubscribe",
    "on_session_subscribed",
    "on_session_unsubscribed",
    "on_session_terminated",
];

/// Starts a sidecar that hears of these kinds from a broker with log topics.
async fn listen(kinds: &[&str]) -> Setup {
    listen_at(Mosquitto::builder().log_topics(), kinds).await
}

async fn listen_at(broker: Builder, kinds: &[&str]) -> Setup {
    Setup::start(MQHOOK, broker, &config(kinds)).await
}

fn config(kinds: &[&str]) -> String {
    let events: Vec<String> = kinds
        .iter()
        .map(|kind| format!("{{ event = \"{kind}\" }}"))
        .collect();
    format!(
        "[webhooks.all]\nurl = \"{{receiver}}/hook\"\npool_size = 1\nevents = [{}]",
        events.join(", ")
    )
}

/// Returns the bodies of everything that happened so far, times masked.
async fn bodies(setup: &Setup) -> Vec<String> {
    let mut fence = Connect::new(Version::V5, "the fence")
        .open(setup.broker.port())
        .await;
    fence.subscribe("the fence", 0).await;
    fence.unsubscribe("the fence").await;
    fence.disconnect().await;
    let is_fence = |request: &Request| request.text().contains("the fence");
    let requests = setup
        .receiver
        .wait_until(|requests| requests.iter().any(is_fence))
        .await;
    requests
        .iter()
        .take_while(|request| !is_fence(request))
        .map(|request| masked(request.text()))
        .collect()
}

/// Asserts that exactly these events have happened so far.
async fn check(setup: &Setup, expected: &[&str]) {
    assert_eq!(bodies(setup).await, expected);
}

/// Replaces the time of the connection, once it is seen to be plausible.
fn masked(body: &str) -> String {
    const KEY: &str = "\"connected_at\":";
    let Some((before, rest)) = body.split_once(KEY) else {
        return body.to_owned();
    };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let time: u64 = rest[..end].parse().expect("expected milliseconds");
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is past 1970");
    assert!(
        now.as_millis().abs_diff(u128::from(time)) < 60_000,
        "expected a time within a minute of now, got {body}"
    );
    format!("{before}{KEY}0{}", &rest[end..])
}
