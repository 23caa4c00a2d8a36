//! What happens when more waits than may.

use std::sync::atomic::{AtomicUsize, Ordering};

use support::client::{Publish, Version};
use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Gate};
use support::setup::Setup;

use super::{MQHOOK, WEBHOOK, payload, wait_for_all};

const MESSAGES: usize = 300;

/// Starts a sidecar with little room, before a receiver that holds everything back.
async fn start(gate: &Gate) -> Setup {
    let config = format!("spool.max_memory = \"64KiB\"\n{WEBHOOK}");
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), &config).await;
    setup.receiver.set(Behaviour::Status(200).behind(gate));
    setup
}

/// Returns distinct texts of 1 KiB, together several times the room.
fn payloads() -> Vec<String> {
    (0..MESSAGES)
        .map(|number| format!("{number:01024}"))
        .collect()
}

#[tokio::test]
async fn qos_0_beyond_the_bound_is_dropped_and_counted() {
    let gate = Gate::shut();
    let setup = start(&gate).await;
    let mut client = setup.client("dev").await;
    let burst: Vec<u8> = payloads()
        .iter()
        .flat_map(|payload| Publish::new("t", payload.clone()).encode(Version::V5, 0))
        .collect();
    client.send(&burst).await;
    let events = "mqhook_events_total{kind=\"on_message_publish\"}";
    let all = MESSAGES as u64;
    setup.wait_for_metric(events, |events| events == all).await;
    let dropped = "mqhook_dropped_events_total{webhook=\"a\",reason=\"full\"}";
    let dropped = setup.metric(dropped).await;
    assert!(
        dropped > 0 && dropped < all,
        "expected some to be dropped, got {dropped}"
    );
    gate.open();
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    setup
        .wait_for_metric(delivered, |delivered| delivered == all - dropped)
        .await;
    let waiting = "mqhook_waiting_deliveries{webhook=\"a\"}";
    setup.wait_for_metric(waiting, |count| count == 0).await;
    let requests = setup.receiver.requests();
    let requests = requests.len() as u64;
    assert_eq!(
        requests,
        all - dropped,
        "expected one request per event that was kept"
    );
}

#[tokio::test]
async fn qos_1_beyond_the_bound_waits_at_the_broker() {
    let gate = Gate::shut();
    let setup = start(&gate).await;
    let payloads = payloads();
    super::publish(&mut setup.client("dev").await, &payloads).await;
    setup
        .receiver
        .wait_for_counts(|counts| counts.in_flight == 32)
        .await;
    gate.open();
    wait_for_all(&setup.receiver, 0, &payloads).await;
    let dropped = "mqhook_dropped_events_total{webhook=\"a\",reason=\"full\"}";
    assert_eq!(setup.metric(dropped).await, 0);
}

#[tokio::test]
async fn an_event_larger_than_the_room_is_delivered() {
    let gate = Gate::shut();
    gate.open();
    let setup = start(&gate).await;
    let large = "x".repeat(100_000);
    setup.publish("t", &large).await;
    let request = setup.receiver.next().await;
    assert_eq!(payload(request.text()).len(), large.len());
    setup.publish("t", "small").await;
    assert_eq!(payload(setup.receiver.next().await.text()), "small");
}

#[tokio::test]
async fn an_event_that_fails_at_the_bound_brings_nothing_twice() {
    const FAILURES: usize = 4;
    let gate = Gate::shut();
    let setup = start(&gate).await;
    let payloads = payloads();
    let failures = AtomicUsize::new(0);
    setup.receiver.set_script(move |request| {
        let fails = payload(request.text()).ends_with("0000")
            && failures.fetch_add(1, Ordering::Relaxed) < FAILURES;
        Behaviour::Status(if fails { 503 } else { 200 })
    });
    super::publish(&mut setup.client("dev").await, &payloads).await;
    wait_for_all(&setup.receiver, 0, &payloads).await;
    let requests = setup.receiver.requests().len();
    assert_eq!(requests, MESSAGES + FAILURES, "expected one request each");
}
