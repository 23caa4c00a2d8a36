//! Signals.

use std::time::{Duration, Instant};

use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Gate};
use support::setup::Setup;

use super::{MQHOOK, WEBHOOK};

/// Starts with a grace time and publishes one message to a receiver that holds it back.
async fn start_held(grace: &str) -> (Setup, Gate) {
    let config = format!("shutdown_grace = \"{grace}\"\n{WEBHOOK}");
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), &config).await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    setup.publish("t", "held").await;
    setup.receiver.wait_for(1).await;
    (setup, gate)
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_says_goodbye() {
    let (mut setup, gate) = start_held("9s").await;
    setup.sidecar.terminate();
    setup.wait_unready(&["shutting down"]).await;
    // Nothing is taken any more; the broker keeps it.
    setup.publish("t", "later").await;
    gate.open();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
    setup
        .broker
        .wait_for_log("Client mqhook disconnected.")
        .await;
    assert_eq!(setup.receiver.requests().len(), 1);
    setup.sidecar.start_again();
    let requests = setup.receiver.wait_for(2).await;
    assert!(requests[1].text().contains("later"), "got {requests:?}");
    setup.wait_ready().await;
    setup.publish("t", "after").await;
    let requests = setup.receiver.wait_for(3).await;
    assert!(
        requests[2].text().contains("after"),
        "expected no repetition, got {requests:?}"
    );
}

#[tokio::test]
async fn the_lifecycle_connection_says_goodbye_too() {
    let config = WEBHOOK.replace(
        "events = [",
        "events = [{ event = \"on_client_connack\" }, ",
    );
    let broker = Mosquitto::builder().log_topics();
    let mut setup = Setup::start(MQHOOK, broker, &config).await;
    setup.sidecar.interrupt();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
    for client in ["mqhook", "mqhook-lifecycle"] {
        let goodbye = format!("Client {client} disconnected.");
        setup.broker.wait_for_log(&goodbye).await;
    }
}

#[tokio::test]
async fn the_grace_time_is_a_limit() {
    let (mut setup, _gate) = start_held("300ms").await;
    let started = Instant::now();
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
    let took = started.elapsed();
    assert!(
        took >= Duration::from_millis(250),
        "expected the grace time to pass, got {took:?}"
    );
    assert!(
        took < Duration::from_secs(4),
        "expected an end after the grace time, got {took:?}"
    );
    setup
        .sidecar
        .wait_for_log("what waits on disk is delivered after the next start")
        .await;
}

#[tokio::test]
async fn sigterm_while_the_broker_is_away_ends_at_once() {
    let mut setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    setup.broker.stop();
    setup.wait_unready(&["messages: "]).await;
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_sigterm_ends_at_once() {
    let (mut setup, _gate) = start_held("1h").await;
    setup.sidecar.terminate();
    setup.wait_unready(&["shutting down"]).await;
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(1));
    assert!(setup.sidecar.log().contains("second signal"));
}

#[tokio::test]
async fn sighup_with_the_same_file_changes_nothing() {
    let mut setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    setup.sidecar.hang_up();
    setup.sidecar.wait_for_log("unchanged=1").await;
    setup.publish("t", "hello").await;
    setup.receiver.wait_for(1).await;
    let (status, _) = setup.readiness().await;
    assert_eq!(status, 200);
}
