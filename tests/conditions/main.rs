//! What a rule asks beyond kind and topic decides which events reach a webhook.
//!
//! One connection to the receiver keeps requests in the order of the messages. A message of its
//! own, the fence, ends each story: whatever was to come has come before it.

mod clients;
mod payloads;

use support::client::Publish;
use support::mosquitto::Mosquitto;
use support::receiver::Request;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// The topic of the message that ends a story.
const FENCE: &str = "the/fence";

/// Starts a sidecar with one webhook `a` that has these rules, and one for the fence.
async fn start(rules: &[&str]) -> Setup {
    let fence = format!("{{ event = \"on_message_publish\", topic = \"{FENCE}\" }}");
    let rules = [rules, &[fence.as_str()]].concat().join(", ");
    let config =
        format!("[webhooks.a]\nurl = \"{{receiver}}/a\"\npool_size = 1\nevents = [{rules}]\n");
    Setup::start(MQHOOK, Mosquitto::builder().log_topics(), &config).await
}

/// Publishes messages, each with its topic and payload.
async fn publish(setup: &Setup, messages: &[(&str, &[u8])]) {
    let mut client = setup.client("dev").await;
    for (topic, payload) in messages {
        let code = client
            .publish(&Publish::new(topic, payload.to_vec()).qos(1))
            .await;
        assert!(code < 0x80, "expected the broker to take it, got {code}");
    }
}

/// Publishes the fence and returns the requests before it.
async fn requests(setup: &Setup) -> Vec<Request> {
    setup.publish(FENCE, "").await;
    let is_fence = |request: &Request| request.text().contains("\"topic\":\"the/fence\"");
    let requests = setup
        .receiver
        .wait_until(|requests| requests.iter().any(is_fence))
        .await;
    let before = requests.into_iter();
    before.take_while(|request| !is_fence(request)).collect()
}

/// Returns the topics of the messages that came before the fence.
async fn topics(setup: &Setup) -> Vec<String> {
    let topic = |request: &Request| {
        let text = request.text();
        let rest = text.split_once("\"topic\":\"").expect("a topic").1;
        rest.split('"').next().expect("its end").to_owned()
    };
    requests(setup).await.iter().map(topic).collect()
}
