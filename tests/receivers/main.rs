//! Receivers of every temper: an event reaches them, at least once, and never blocks another.

mod answers;
mod connections;
mod giving_up;
mod lanes;
mod secure;

use support::client::Publish;
use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Receiver, Request};
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// A webhook `a` that gets everything, and tries again soon.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
retry.exponential.initial = \"20ms\"
retry.exponential.max = \"100ms\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
";

/// A key that makes it impatient; not where a busy machine's delay would be taken for a timeout.
const IMPATIENT: &str = "timeout = \"300ms\"\n";

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
const REJECTED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";

async fn start(config: &str) -> Setup {
    Setup::start(MQHOOK, Mosquitto::builder(), config).await
}

/// Starts with a receiver that the test brings.
async fn start_with(receiver: Receiver, config: &str) -> Setup {
    let broker = Mosquitto::builder().start();
    let mut setup = Setup::launch(MQHOOK, broker, receiver, config);
    setup.wait_ready().await;
    setup
}

/// Publishes numbered messages at QoS 0 all at once.
async fn burst(setup: &Setup, count: u64) {
    let mut client = setup.client("dev").await;
    let packets: Vec<u8> = (0..count)
        .flat_map(|number| {
            let message = Publish::new("t", format!("number {number:04}"));
            message.encode(support::client::Version::V5, 0)
        })
        .collect();
    client.send(&packets).await;
    client.disconnect().await;
}

/// Returns the number of distinct events among requests.
fn distinct(requests: &[Request]) -> usize {
    let mut ids: Vec<Option<String>> = requests
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

/// Waits until this many deliveries have ended well.
async fn wait_for_deliveries(setup: &Setup, count: u64) {
    setup
        .wait_for_metric(DELIVERED, |delivered| delivered >= count)
        .await;
}

/// Returns the series that counts attempts of an outcome.
fn attempts(outcome: &str) -> String {
    format!("mqhook_attempts_total{{webhook=\"a\",outcome=\"{outcome}\"}}")
}

/// Behaves like this for the first request of the next event, and answers 200 from then on.
fn once(receiver: &Receiver, behaviour: Behaviour) {
    receiver.answer_in_turn([behaviour, Behaviour::Status(200)]);
}
