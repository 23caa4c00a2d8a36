//! Devices in the formats of others, and in conditions.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use support::receiver::{Behaviour, Request};
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

#[tokio::test]
async fn what_happens_to_a_device_comes_in_order_if_that_is_asked_for() {
    let webhook = "[webhooks.a]
url = \"{receiver}/hook\"
order_by = \"client\"
body.format = \"json\"
retry.schedule = [\"50ms\", \"50ms\", \"50ms\", \"50ms\", \"50ms\", \"50ms\", \"50ms\", \"50ms\"]
events = [
    { event = \"on_client_connected\" },
    { event = \"on_client_disconnected\" },
    { event = \"on_device_status_changed\" },
]
";
    let setup = Setup::start(MQHOOK, broker(), webhook).await;
    let asked = AtomicUsize::new(0);
    setup.receiver.set_script(move |_| {
        let is_third = asked.fetch_add(1, Ordering::Relaxed) % 3 == 2;
        Behaviour::Status(if is_third { 503 } else { 204 })
    });
    let devices = ["dev 1", "dev 2", "dev 3"];
    for _ in 0..5 {
        for device in devices {
            connect(&setup, device).await.disconnect().await;
        }
    }
    // A third of the attempts fails, and each is followed by another.
    let expected = 3 * 5 * 4;
    let is_all = |requests: &[Request]| taken(requests).len() >= expected;
    let requests = setup.receiver.wait_until(is_all).await;
    for device in devices {
        let of_device = taken(&requests).into_iter().filter(|(id, _)| id == device);
        let statuses: Vec<String> = of_device
            .filter_map(|(_, body)| body["status"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(
            statuses,
            ["connected", "disconnected"].repeat(5),
            "{device}"
        );
    }
}

/// Returns what was posted, once for each event, in the order in which it was taken last.
fn taken(requests: &[Request]) -> Vec<(String, Value)> {
    let mut taken: Vec<(String, String, Value)> = Vec::new();
    for request in requests {
        let body: Value = serde_json::from_str(request.text()).expect("it is JSON");
        let event = request.header("webhook-id").expect("every request has one");
        taken.retain(|(_, known, _)| *known != event);
        let device = body["client_id"].as_str().expect("a text").to_owned();
        taken.push((device, event, body));
    }
    taken
        .into_iter()
        .map(|(device, _, body)| (device, body))
        .collect()
}
