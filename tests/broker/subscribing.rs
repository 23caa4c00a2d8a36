//! Many subscriptions, and brokers that answer them badly.

use std::fmt::Write as _;
use std::time::Duration;

use support::client::Version;
use support::mosquitto::Mosquitto;
use support::port::free_port;
use support::scripted::ScriptedBroker;
use support::setup::{Setup, complete};
use support::sidecar::Sidecar;

use super::{MQHOOK, passes, says};

const SUBSCRIBE: u8 = 8;

/// Returns a webhook for the topics `t`, `t0`, `t1` and so on.
fn many_topics(topics: usize) -> String {
    let mut events = String::from("{ event = \"on_message_publish\", topic = \"t\" },\n");
    for number in 0..topics {
        let _ = writeln!(
            events,
            "{{ event = \"on_message_publish\", topic = \"t{number}\" }},"
        );
    }
    format!("[webhooks.a]\nurl = \"{{receiver}}/a\"\nevents = [\n{events}]\n")
}

/// Starts a sidecar with so many topics at a played broker.
async fn start(topics: usize) -> (ScriptedBroker, Sidecar) {
    let broker = ScriptedBroker::bind().await;
    let config = format!("broker.connect_timeout = \"1s\"\n{}", many_topics(topics));
    let receiver = "http://127.0.0.1:9";
    let config = complete(&config, &broker.url(), receiver, free_port());
    (broker, Sidecar::start(MQHOOK, &config, "toml"))
}

#[tokio::test]
async fn thousands_of_filters_are_all_subscribed() {
    const TOPICS: usize = 2_000;
    for protocol in ["5", "3.1.1"] {
        let config = format!("broker.protocol = \"{protocol}\"\n{}", many_topics(TOPICS));
        let broker = Mosquitto::builder().line("log_type subscribe");
        let setup = Setup::start(MQHOOK, broker, &config).await;
        let log = setup.broker.log();
        for number in 0..TOPICS {
            let line = format!(": mqhook 1 t{number}\n");
            assert!(log.contains(&line), "expected {line:?} in {log}");
        }
        passes(&setup, "hello").await;
    }
}

#[tokio::test]
async fn a_subscribe_waits_for_the_suback_of_the_one_before() {
    let (broker, _sidecar) = start(150).await;
    let mut peer = broker.accept().await;
    peer.welcome(false).await;
    let first = peer.expect(SUBSCRIBE).await;
    let next = peer.next_within(Duration::from_millis(300)).await;
    assert_eq!(next, None, "expected nothing before the SUBACK");
    assert_eq!(peer.version(), Version::V5);
    let [high, low] = first.identifier().to_be_bytes();
    let mut suback = vec![0x90, 103, high, low, 0];
    suback.resize(5 + 100, 1);
    peer.send(&suback).await;
    assert_eq!(peer.grant_subscription().await.len(), 51);
}

#[tokio::test]
async fn a_missing_suback_is_no_wait_for_ever() {
    let (broker, sidecar) = start(0).await;
    let mut peer = broker.accept().await;
    peer.welcome(false).await;
    peer.expect(SUBSCRIBE).await;
    let line = sidecar.wait_for_log("no SUBACK").await;
    says(&line, &["WARN", "the broker does not answer in time"]);
    let peer = broker.serve(false).await;
    assert_eq!(peer.version(), Version::V5);
    sidecar.wait_for_log("subscribed at the broker").await;
}

#[tokio::test]
async fn a_suback_with_too_few_codes_is_a_refusal() {
    let (broker, sidecar) = start(1).await;
    let mut peer = broker.accept().await;
    peer.welcome(false).await;
    let [high, low] = peer.expect(SUBSCRIBE).await.identifier().to_be_bytes();
    peer.send(&[0x90, 4, high, low, 0, 1]).await;
    let line = sidecar
        .wait_for_log("the broker refuses a subscription")
        .await;
    says(&line, &["WARN", "`t0`"]);
    // It is asked for again over the same connection.
    assert_eq!(peer.grant_subscription().await, ["t", "t0"]);
    sidecar.wait_for_log("subscribed at the broker").await;
}

#[tokio::test]
async fn a_reason_string_forges_no_line_of_the_log() {
    let (broker, sidecar) = start(0).await;
    let mut peer = broker.serve(false).await;
    // DISCONNECT: server shutting down, with a Reason String of two lines.
    peer.send(b"\xE0\x0E\x8B\x0C\x1F\x00\x09bye\nFORGE").await;
    let line = sidecar.wait_for_log("bye").await;
    says(&line, &["WARN", "(bye\\nFORGE)"]);
}
