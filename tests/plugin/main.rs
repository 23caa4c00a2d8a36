//! Mosquitto with mqhook's plugin: who published a message, all the way to the webhook.
//!
//! A message of its own, the fence, ends each story: whatever was to come has come before it.

mod broker;
mod connects;
mod dialect;
mod forgery;
mod publishers;
mod waiting;

use support::client::{Client, Connect, Publish, Version};
use support::mosquitto::{Builder, Mosquitto};
use support::receiver::Request;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/plugin/key");

/// The user property that carries the seal.
const SEAL: &str = "mqhook-publisher";

/// The topic of the message that ends a story.
const FENCE: &str = "the/fence";

/// Returns a broker with the plugin.
fn broker() -> Builder {
    let library = support::plugin::library().display();
    Mosquitto::builder()
        .line(&format!("plugin {library}"))
        .line(&format!("plugin_opt_key_file {KEY}"))
}

/// Returns the configuration of a webhook that gets all messages, with more keys for it.
fn config(keys: &str) -> String {
    format!(
        "broker.plugin_key_file = \"{KEY}\"\n[webhooks.a]\nurl = \"{{receiver}}/a\"\npool_size = 1\nevents = [{{ event = \"on_message_publish\" }}]\n{keys}"
    )
}

/// Starts a sidecar that knows the plugin's key.
async fn listen() -> Setup {
    Setup::start(MQHOOK, broker(), &config("")).await
}

/// Sends a message and waits until the broker has it.
async fn send(client: &mut Client, message: Publish) {
    let code = client.publish(&message).await;
    assert!(code < 0x80, "expected the broker to take it, got {code}");
    // At QoS 0 nothing else says so.
    client.ping().await;
}

/// Publishes the fence and returns the bodies before it, without their times.
async fn bodies(setup: &Setup) -> Vec<String> {
    setup.publish(FENCE, "").await;
    let is_fence = |request: &Request| request.text().contains(FENCE);
    let requests = setup
        .receiver
        .wait_until(|requests| requests.iter().any(is_fence))
        .await;
    requests
        .iter()
        .take_while(|request| !is_fence(request))
        .map(|request| {
            let (_, rest) = request.text().split_once(',').expect("ts comes first");
            format!("{{{rest}")
        })
        .collect()
}

/// Returns the body of a message to the topic `t`, given its payload and who published it, as JSON.
fn body(qos: u8, payload: &str, username: &str, client_id: &str) -> String {
    format!(
        r#"{{"topic":"t","retain":false,"qos":{qos},"action":"message_publish","from_username":{username},"from_client_id":{client_id},"payload":"{payload}"}}"#
    )
}

/// Returns the body of a message of which nobody says who published it.
fn anonymous(qos: u8, payload: &str) -> String {
    body(qos, payload, "\"undefined\"", "null")
}

/// Opens a session that gets every message with all of its properties.
async fn observer(setup: &Setup) -> Client {
    let mut observer = Connect::new(Version::V5, "observer")
        .open(setup.broker.port())
        .await;
    observer.subscribe("#", 0).await;
    observer
}
