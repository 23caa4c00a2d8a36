//! Requests are what the configuration makes of events: bodies of every format, and templates for
//! method, URL, headers and body, whatever clients publish.

mod formats;
mod hostile;
mod templates;

use support::client::{Client, Publish};
use support::mosquitto::Mosquitto;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Starts a sidecar with one webhook for all messages, one connection, and these keys; its path is
/// `/a` unless they give a URL.
async fn start(keys: &str) -> Setup {
    start_with("", keys).await
}

/// Like [`start`], with keys of the configuration in front.
async fn start_with(head: &str, keys: &str) -> Setup {
    let url = if keys.contains("url = ") {
        ""
    } else {
        "url = \"{receiver}/a\"\n"
    };
    let events = "pool_size = 1\nevents = [{ event = \"on_message_publish\" }]";
    let config = format!("{head}\n[webhooks.a]\n{url}{events}\n{keys}\n");
    Setup::start(MQHOOK, Mosquitto::builder(), &config).await
}

/// Publishes a message at QoS 1; the broker has it on return.
async fn send(client: &mut Client, message: Publish) {
    let code = client.publish(&message.qos(1)).await;
    assert!(code < 0x80, "expected the broker to take it, got {code}");
}
