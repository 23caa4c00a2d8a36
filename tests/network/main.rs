//! Where requests may go to, and by way of what.

mod addresses;
mod http2;
mod proxies;

use support::client::{Publish, Version};
use support::mosquitto::Mosquitto;
use support::receiver::Receiver;
use support::setup::{Setup, complete};
use support::sidecar::Sidecar;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";

/// Returns a webhook that gets everything, and tries again soon, with these further keys.
fn webhook(url: &str, keys: &str) -> String {
    format!(
        "[webhooks.a]
url = \"{url}\"
{keys}
retry.exponential.initial = \"20ms\"
retry.exponential.max = \"100ms\"
events = [{{ event = \"on_message_publish\", topic = \"#\" }}]
"
    )
}

/// Starts with a receiver and an environment that the test brings, and publishes a message.
async fn post(receiver: Receiver, config: &str, environment: &[(&str, &str)]) -> Setup {
    let broker = Mosquitto::builder().start();
    let admin = support::port::free_port();
    let config = complete(config, &broker.url(), &receiver.url(), admin);
    let sidecar = Sidecar::start_with_environment(MQHOOK, &config, "toml", environment);
    let mut setup = Setup {
        sidecar,
        admin,
        receiver,
        broker,
    };
    setup.wait_ready().await;
    setup.publish("t", "x").await;
    setup
}

/// Publishes messages at QoS 0 all at once.
async fn burst(setup: &Setup, count: u64) {
    let mut client = setup.client("dev").await;
    let message = |number| Publish::new("t", format!("number {number}"));
    let packets: Vec<u8> = (0..count)
        .flat_map(|number| message(number).encode(Version::V5, 0))
        .collect();
    client.send(&packets).await;
    client.disconnect().await;
}

async fn wait_for_deliveries(setup: &Setup, count: u64) {
    setup
        .wait_for_metric(DELIVERED, |delivered| delivered >= count)
        .await;
}

/// Waits until attempts failed like this, and asserts that the log blames whom it should, and that
/// the receiver saw nothing.
async fn fails(setup: &Setup, class: &str, said: &str) {
    let series = format!("mqhook_attempts_total{{webhook=\"a\",outcome=\"{class}\"}}");
    setup
        .wait_for_metric(&series, |attempts| attempts >= 2)
        .await;
    setup.sidecar.wait_for_log(said).await;
    assert_eq!(setup.receiver.counts().requests, 0);
}
