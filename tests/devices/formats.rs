//! Devices in the formats of others, and in conditions.

use serde_json::Value;
use support::setup::Setup;

use super::{MQHOOK, broker, connect};

#[tokio::test]
async fn mender_has_its_own_types() {
    let webhook = "[webhooks.mender]
url = \"{receiver}/hook\"
pool_size = 1
body.format = \"mender\"
events = [
    { event = \"on_device_provisioned\", client_id = \"dev*\" },
    { event = \"on_device_status_changed\", where = \"status == 'disconnected' && previous_status == 'connected' && reason == 'normal'\" },
]
";
    let setup = Setup::start(MQHOOK, broker(), webhook).await;
    connect(&setup, "dev").await.disconnect().await;
    let requests = setup.receiver.wait_for(2).await;
    let bodies: Vec<Value> = requests
        .iter()
        .map(|request| serde_json::from_str(request.text()).expect("it is JSON"))
        .collect();
    let types: Vec<&Value> = bodies.iter().map(|body| &body["type"]).collect();
    assert_eq!(types, ["device-provisioned", "device-status-changed"]);
    assert_eq!(bodies[0]["data"]["id"], "dev");
    assert_eq!(bodies[0]["data"]["status"], "connected");
    assert_eq!(bodies[1]["data"]["status"], "disconnected");
    assert_eq!(bodies[1]["data"]["username"], "alice");
}

#[tokio::test]
async fn nanomq_has_names_like_the_others() {
    let webhook = "[webhooks.a]
url = \"{receiver}/hook\"
pool_size = 1
events = [{ event = \"on_device_status_changed\" }]
";
    let setup = Setup::start(MQHOOK, broker(), webhook).await;
    let client = connect(&setup, "dev").await;
    let address = client.local_addr();
    client.disconnect().await;
    let requests = setup.receiver.wait_for(2).await;
    let start = format!(
        r#"{{"action":"device_status_changed","clientid":"dev","username":"alice","ipaddress":"{address}","status":"disconnected","previous_status":"connected","reason":"normal","first_seen":"#
    );
    let body = requests[1].text();
    assert!(body.starts_with(&start), "expected {start}.. got {body}");
}
