//! The delivery log: where every event went, over the API and the command line, on real receivers.

mod api;
mod disk;
mod replay;
mod tail;

use std::time::Duration;

use serde_json::Value;
use support::http;
use support::mosquitto::Mosquitto;
use support::receiver::{Answer, Behaviour, Request};
use support::setup::Setup;
use support::wait;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Longest time until something is told.
const PATIENCE: Duration = Duration::from_secs(20);

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";

/// A webhook for all messages that tries again soon.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
timeout = \"500ms\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
retry.exponential = { initial = \"50ms\", factor = 1, max = \"50ms\", for = \"1h\" }
breaker = { failures = 1000000 }
";

async fn start(config: &str) -> Setup {
    Setup::start(MQHOOK, Mosquitto::builder(), config).await
}

/// Returns what the API answers to a GET.
async fn get(setup: &Setup, target: &str) -> Value {
    let (status, text) = http::get(setup.admin, target).await;
    assert_eq!(status, 200, "{target}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

/// Waits until a list of the API fulfils a condition, and returns its elements.
async fn items(setup: &Setup, target: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    wait::until(PATIENCE, target, async || {
        let mut page = get(setup, target).await;
        let items: Vec<Value> = serde_json::from_value(page["items"].take()).expect("a list");
        holds(&items).then_some(items)
    })
    .await
}

/// Returns the values of a key.
fn all<'a>(items: &'a [Value], key: &str) -> Vec<&'a str> {
    let text = |item: &'a Value| item[key].as_str().unwrap_or("null");
    items.iter().map(text).collect()
}

/// Answers by the topic: `/a/ok` with 200, `/a/no` with 422, and everything else with 503.
fn by_target(request: &Request) -> Behaviour {
    let body = String::from_utf8_lossy(&request.body);
    let (status, text) = if body.contains("\"topic\":\"ok") {
        (200, "fine")
    } else if body.contains("\"topic\":\"no") {
        (422, "not\u{1b}[31m this")
    } else {
        (503, "busy")
    };
    Behaviour::Answer(Answer::new(status).body(text))
}
