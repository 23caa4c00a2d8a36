//! In which order, how many at once and how often a receiver gets events.

mod batches;
mod latest;
mod order;
mod rate;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use support::client::{Client, Publish};
use support::mosquitto::Mosquitto;
use support::receiver::{Receiver, Request};
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_secs(30);

const WAITING: &str = "mqhook_waiting_deliveries{webhook=\"a\"}";

/// A webhook that never gives up, never waits for long, and is never left alone.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
retry.exponential = { initial = \"50ms\", factor = 2, max = \"200ms\", for = \"1h\" }
breaker = { failures = 1000000 }
";

/// Starts a broker without bounds, a receiver, and mqhook with these keys before and in the webhook.
async fn start(keys: &str, of_webhook: &str) -> Setup {
    let broker = Mosquitto::builder().line("max_queued_messages 0").start();
    let config = format!("{keys}\n{WEBHOOK}{of_webhook}");
    let mut setup = Setup::launch(MQHOOK, broker, Receiver::start(), &config);
    setup.wait_ready().await;
    setup
}

/// Publishes a number on a topic.
async fn publish(client: &mut Client, topic: &str, number: u64) {
    let message = Publish::new(topic, number.to_string()).qos(1);
    let reason = client.publish(&message).await;
    assert!(reason < 0x80, "expected {topic} to be taken, got {reason}");
}

/// Returns what a body tells of: topics and numbers.
fn told(body: &[u8]) -> Vec<(String, u64)> {
    let parsed: Value = serde_json::from_slice(body).expect("expected JSON");
    let events = match parsed {
        Value::Array(events) => events,
        event => vec![event],
    };
    let read = |event: &Value| {
        let text = |key: &str| event[key].as_str().expect("expected a string").to_owned();
        let number = text("payload").parse().expect("expected a number");
        (text("topic"), number)
    };
    events.iter().map(read).collect()
}

fn topic_of(request: &Request) -> String {
    told(&request.body)[0].0.clone()
}

/// Returns the numbers of each topic in the order of the requests.
fn by_topic(requests: &[Request]) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (topic, number) in requests.iter().flat_map(|request| told(&request.body)) {
        all.entry(topic).or_default().push(number);
    }
    all
}

/// Returns numbers without those that had come before.
fn first_times(numbers: &[u64]) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let is_new = |number: &&u64| seen.insert(**number);
    numbers.iter().filter(is_new).copied().collect()
}
