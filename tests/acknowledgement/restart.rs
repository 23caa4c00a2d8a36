//! What a sidecar leaves to the next one when it ends or dies.

use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Gate, Request};
use support::setup::Setup;

use super::{MQHOOK, WEBHOOK, arrived, hold_only, payload, payloads, publish, wait_for_all};

async fn start(keys: &str) -> Setup {
    let config = keys.to_owned() + WEBHOOK;
    Setup::start(MQHOOK, Mosquitto::builder(), &config).await
}

/// Kills the sidecar and starts it again; returns how many requests its first life made.
async fn restart_after_kill(setup: &mut Setup) -> usize {
    setup.sidecar.kill();
    setup
        .receiver
        .wait_for_counts(|counts| counts.open == 0)
        .await;
    let before = setup.receiver.requests().len();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    before
}

#[tokio::test]
async fn a_kill_while_the_receiver_is_silent_loses_nothing() {
    let mut setup = start("").await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    let payloads = payloads(200);
    publish(&mut setup.client("dev").await, &payloads).await;
    setup
        .receiver
        .wait_for_counts(|counts| counts.in_flight == 32)
        .await;
    let before = restart_after_kill(&mut setup).await;
    gate.open();
    wait_for_all(&setup.receiver, before, &payloads).await;
}

#[tokio::test]
async fn several_kills_lose_nothing() {
    let mut setup = start("broker.receive_maximum = 50\n").await;
    let payloads = payloads(300);
    let slow = Behaviour::Status(200).after(std::time::Duration::from_millis(20));
    setup.receiver.set(slow);
    let mut client = setup.client("dev").await;
    for part in payloads.chunks(100) {
        let before = setup.receiver.requests().len();
        publish(&mut client, part).await;
        setup.receiver.wait_for(before + 10).await;
        restart_after_kill(&mut setup).await;
    }
    wait_for_all(&setup.receiver, 0, &payloads).await;
}

#[tokio::test]
async fn what_was_delivered_does_not_come_again_after_a_kill() {
    let mut setup = start("broker.receive_maximum = 1\n").await;
    let gate = Gate::shut();
    hold_only(&setup.receiver, &gate, "last");
    let mut payloads = payloads(50);
    payloads.push("last".to_owned());
    publish(&mut setup.client("dev").await, &payloads).await;
    setup.receiver.wait_for(51).await;
    let before = restart_after_kill(&mut setup).await;
    gate.open();
    setup.publish("t", "after").await;
    let requests = setup.receiver.wait_for(before + 2).await;
    let arrived: Vec<&str> = requests[before..]
        .iter()
        .map(|request| payload(request.text()))
        .collect();
    assert_eq!(arrived, ["last", "after"]);
}

#[tokio::test]
async fn a_rejected_event_is_settled() {
    let mut setup = start("broker.receive_maximum = 1\n").await;
    let gate = Gate::shut();
    let held = Behaviour::Status(200).behind(&gate);
    setup.receiver.set_script(move |request| {
        if payload(request.text()) == "bad" {
            Behaviour::Status(400)
        } else {
            held.clone()
        }
    });
    let payloads = ["bad", "good"].map(str::to_owned);
    publish(&mut setup.client("dev").await, &payloads).await;
    setup.receiver.wait_for(2).await;
    let before = restart_after_kill(&mut setup).await;
    gate.open();
    setup.publish("t", "after").await;
    setup.receiver.wait_for(before + 2).await;
    assert_eq!(arrived(&setup.receiver, before), ["after", "good"]);
}

#[tokio::test]
async fn sigterm_leaves_to_the_broker_what_could_not_be_delivered() {
    let mut setup = start("shutdown_grace = \"100ms\"\n").await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    let payloads = payloads(100);
    publish(&mut setup.client("dev").await, &payloads).await;
    setup
        .receiver
        .wait_for_counts(|counts| counts.in_flight == 32)
        .await;
    setup.sidecar.terminate();
    assert!(
        setup.sidecar.wait().await.success(),
        "expected exit status 0"
    );
    let before = setup.receiver.requests().len();
    gate.open();
    setup.sidecar.start_again();
    wait_for_all(&setup.receiver, before, &payloads).await;
}

#[tokio::test]
async fn what_happens_while_the_sidecar_is_away_is_delivered_later() {
    let config = "[webhooks.a]
url = \"{receiver}\"
pool_size = 1
events = [{ event = \"on_message_publish\", topic = \"#\" }, { event = \"on_client_disconnected\" }]
";
    let broker = Mosquitto::builder().log_topics();
    let mut setup = Setup::start(MQHOOK, broker, config).await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    setup.publish("t", "meanwhile").await;
    setup.sidecar.start_again();
    let requests = setup.receiver.wait_for(2).await;
    let mut bodies: Vec<&str> = requests.iter().map(Request::text).collect();
    bodies.sort_unstable();
    let end = r#"{"reason":"normal","username":"undefined","clientid":"publisher","action":"client_disconnected"}"#;
    assert_eq!(bodies[0], end);
    assert_eq!(payload(bodies[1]), "meanwhile");
}

#[tokio::test]
async fn a_dead_broker_connection_loses_nothing() {
    let setup = start("").await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    let payloads = payloads(100);
    let mut client = setup.client("dev").await;
    publish(&mut client, &payloads[..50]).await;
    setup
        .receiver
        .wait_for_counts(|counts| counts.in_flight == 32)
        .await;
    // Whoever takes over the client identifier cuts the connection, and its session stays.
    let thief = support::client::Connect::new(support::client::Version::V5, "mqhook");
    let thief = thief
        .persistent()
        .property(support::client::Property::session_expiry(3_600))
        .manual_acks();
    thief.open(setup.broker.port()).await.abort();
    publish(&mut client, &payloads[50..]).await;
    gate.open();
    wait_for_all(&setup.receiver, 0, &payloads).await;
}
