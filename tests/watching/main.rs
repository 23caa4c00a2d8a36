//! What watches mqhook: its metrics, the dashboard and the alerts that are made of them, and the commands that ask
//! the one that runs.

mod alerts;
mod commands;
mod dashboard;
mod metrics;
mod openmetrics;
mod promtool;

use std::path::{Path, PathBuf};

use support::mosquitto::Mosquitto;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Two webhooks, one with a name of all that names may have.
const WEBHOOKS: &str = "[webhooks.a]
url = \"{receiver}/a\"
events = [{ event = \"on_message_publish\", topic = \"#\", where = \"payload.x > 1\" }, { event = \"on_client_connack\" }]
retry.schedule = []
[webhooks.\"b.C-d_9\"]
url = \"{receiver}/b\"
events = [{ event = \"on_message_publish\", topic = \"b/#\" }, { event = \"on_device_provisioned\" }]
";

async fn start() -> Setup {
    let setup = Setup::start(MQHOOK, Mosquitto::builder().log_topics(), WEBHOOKS).await;
    setup.publish("b/1", "{\"x\": 2}").await;
    setup.publish("b/2", "no JSON").await;
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    setup.wait_for_metric(delivered, |count| count >= 1).await;
    setup
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
