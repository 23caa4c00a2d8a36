//! Brokers that are not there, or not for a while.

use std::time::{Duration, Instant};

use support::client::{Connect, Property, Publish, Version};
use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Request};
use support::setup::Setup;

use super::{CLIENTS, FAILURES, MESSAGES, MQHOOK, is_not_ready, launch, logged, passes};

#[tokio::test]
async fn a_broker_that_is_down_at_start_is_waited_for() {
    let mut broker = Mosquitto::builder().log_topics().start();
    broker.stop();
    let mut setup = launch(broker, &format!("{MESSAGES}{CLIENTS}"));
    let line = setup
        .sidecar
        .wait_for_log("the broker cannot be reached")
        .await;
    super::says(&line, &["WARN", "check that the broker runs"]);
    is_not_ready(
        &setup,
        &[
            "messages: the broker cannot be reached",
            "check that the broker runs",
        ],
    )
    .await;
    setup.broker.start_again();
    setup.wait_ready().await;
    let mut requests = Vec::new();
    setup.publish("t", "hello").await;
    for _ in 0..2 {
        requests.push(setup.receiver.next().await.target().to_owned());
    }
    requests.sort_unstable();
    assert_eq!(requests, ["/a", "/b"]);
}

#[tokio::test]
async fn a_broker_that_goes_and_comes_is_found_again() {
    let broker = Mosquitto::builder();
    let mut setup = Setup::start(MQHOOK, broker, MESSAGES).await;
    passes(&setup, "before").await;
    setup.broker.kill();
    setup.sidecar.wait_for_log("WARN").await;
    is_not_ready(&setup, &["not ready", "messages: "]).await;
    setup.broker.start_again();
    setup.wait_ready().await;
    passes(&setup, "after").await;
}

#[tokio::test]
async fn a_restart_under_load_loses_nothing_that_was_acknowledged() {
    const MESSAGES_SENT: u16 = 2_000;
    let broker = Mosquitto::builder()
        .persistent()
        .line("max_queued_messages 0");
    let mut setup = Setup::start(MQHOOK, broker, MESSAGES).await;
    let slow = Behaviour::Status(200).after(Duration::from_millis(5));
    setup.receiver.set(slow);
    let mut client = Connect::new(Version::V311, "dev")
        .open(setup.broker.port())
        .await;
    let load: Vec<u8> = (1..=MESSAGES_SENT)
        .flat_map(|id| {
            Publish::new("t", format!("{id:05}"))
                .qos(1)
                .encode(Version::V311, id)
        })
        .collect();
    client.send(&load).await;
    setup.receiver.wait_for(100).await;
    setup.broker.stop();
    let mut acknowledged = Vec::new();
    while let Some(packet) = client.next_packet().await {
        acknowledged.push(packet.identifier());
    }
    assert!(
        !acknowledged.is_empty(),
        "expected some PUBACKs before the stop"
    );
    setup.broker.start_again();
    let has = |requests: &[Request], id: u16| {
        let payload = format!("\"payload\":\"{id:05}\"}}");
        requests
            .iter()
            .any(|request| request.text().ends_with(&payload))
    };
    // The last ones first: that is one search for most looks.
    let all = |requests: &[Request]| acknowledged.iter().rev().all(|id| has(requests, *id));
    setup.receiver.wait_until(all).await;
}

#[tokio::test]
async fn attempts_slow_down() {
    let mut broker = Mosquitto::builder().start();
    broker.stop();
    let setup = launch(broker, MESSAGES);
    let started = Instant::now();
    setup
        .wait_for_metric(FAILURES, |failures| failures >= 3)
        .await;
    // The delays are 500 ms and 1 s, give or take the jitter.
    let took = started.elapsed();
    assert!(
        took > Duration::from_millis(600),
        "expected delays between attempts, got {took:?}"
    );
    logged(&setup, "WARN", 1);
}

#[tokio::test]
async fn a_client_of_the_same_identifier_makes_no_busy_loop() {
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), MESSAGES).await;
    let thief = Connect::new(Version::V5, "mqhook").persistent();
    let thief = thief.property(Property::session_expiry(60));
    let started = Instant::now();
    // Each theft takes the client identifier back from a sidecar that has just reconnected.
    for thefts in 1..=3 {
        let stolen = thief.open(setup.broker.port()).await;
        let failures = thefts;
        setup
            .wait_for_metric(FAILURES, |count| count >= failures)
            .await;
        drop(stolen);
        let connects = thefts + 1;
        setup
            .wait_for_metric(super::CONNECTS, |count| count >= connects)
            .await;
    }
    let took = started.elapsed();
    assert!(
        took > Duration::from_millis(600),
        "expected delays between attempts, got {took:?}"
    );
    let line = setup.sidecar.wait_for_log("WARN").await;
    super::says(&line, &["another client may use the same broker.client_id"]);
    assert_eq!(setup.metric(FAILURES).await, 3);
    passes(&setup, "still here").await;
}
