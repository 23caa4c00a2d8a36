//! Which version of MQTT is spoken, at a broker that the test plays.

use support::client::{Publish, Version};
use support::port::free_port;
use support::receiver::Receiver;
use support::scripted::{Peer, ScriptedBroker};
use support::setup::complete;
use support::sidecar::Sidecar;

use super::{MESSAGES, MQHOOK};

/// Starts a sidecar at a played broker.
async fn start(keys: &str) -> (ScriptedBroker, Receiver, Sidecar) {
    let (broker, receiver) = (ScriptedBroker::bind().await, Receiver::start());
    let config = format!("{keys}{MESSAGES}");
    let config = complete(&config, &broker.url(), &receiver.url(), free_port());
    (broker, receiver, Sidecar::start(MQHOOK, &config, "toml"))
}

/// Publishes over a fresh connection, and asserts that it arrives.
async fn works(mut peer: Peer, version: Version, receiver: &Receiver) {
    assert_eq!(peer.version(), version);
    peer.welcome(false).await;
    assert_eq!(peer.grant_subscription().await, ["#"]);
    peer.publish(&Publish::new("t", "hello").qos(1), 1).await;
    assert_eq!(peer.puback().await, 1);
    assert!(
        receiver
            .next()
            .await
            .text()
            .contains("\"payload\":\"hello\"")
    );
}

#[tokio::test]
async fn mqtt_5_is_tried_first() {
    let (broker, receiver, _sidecar) = start("").await;
    works(broker.accept().await, Version::V5, &receiver).await;
}

#[tokio::test]
async fn a_broker_that_refuses_5_is_spoken_to_in_3_1_1() {
    let (broker, receiver, _sidecar) = start("").await;
    let mut peer = broker.accept().await;
    assert_eq!(peer.version(), Version::V5);
    // As a 3.1.1 broker says it: unacceptable protocol version.
    peer.send(&[0x20, 2, 0, 1]).await;
    drop(peer);
    works(broker.accept().await, Version::V311, &receiver).await;
}

#[tokio::test]
async fn a_broker_that_refuses_5_in_the_words_of_5_is_spoken_to_in_3_1_1() {
    let (broker, receiver, _sidecar) = start("").await;
    let mut peer = broker.accept().await;
    peer.send(&[0x20, 3, 0, 0x84, 0]).await;
    drop(peer);
    works(broker.accept().await, Version::V311, &receiver).await;
}

#[tokio::test]
async fn a_broker_that_closes_on_5_is_spoken_to_in_3_1_1() {
    let (broker, receiver, _sidecar) = start("").await;
    drop(broker.accept().await);
    works(broker.accept().await, Version::V311, &receiver).await;
}

#[tokio::test]
async fn a_broker_that_says_nothing_on_5_is_spoken_to_in_3_1_1() {
    let (broker, receiver, _sidecar) = start("broker.connect_timeout = \"1s\"\n").await;
    let _silent = broker.accept().await;
    works(broker.accept().await, Version::V311, &receiver).await;
}

#[tokio::test]
async fn a_version_that_worked_survives_a_bad_moment() {
    let (broker, receiver, _sidecar) = start("").await;
    works(broker.accept().await, Version::V5, &receiver).await;
    drop(broker.accept().await);
    works(broker.accept().await, Version::V5, &receiver).await;
}

#[tokio::test]
async fn a_broker_that_closes_on_5_gets_it_offered_at_each_connection() {
    let (broker, receiver, sidecar) = start("").await;
    for _ in 0..2 {
        let peer = broker.accept().await;
        assert_eq!(peer.version(), Version::V5);
        drop(peer);
        works(broker.accept().await, Version::V311, &receiver).await;
    }
    works(broker.accept().await, Version::V5, &receiver).await;
    let log = sidecar.log();
    let warnings = log.lines().filter(|line| line.contains("WARN")).count();
    assert_eq!(
        warnings, 1,
        "expected one for the connections' ends:\n{log}"
    );
}

#[tokio::test]
async fn a_version_that_worked_is_kept() {
    let (broker, receiver, _sidecar) = start("").await;
    works(broker.accept().await, Version::V5, &receiver).await;
    works(broker.accept().await, Version::V5, &receiver).await;
}

#[tokio::test]
async fn a_configured_version_is_the_only_one() {
    let (broker, receiver, _sidecar) = start("broker.protocol = \"5\"\n").await;
    drop(broker.accept().await);
    works(broker.accept().await, Version::V5, &receiver).await;
    let (broker, receiver, _sidecar) = start("broker.protocol = \"3.1.1\"\n").await;
    works(broker.accept().await, Version::V311, &receiver).await;
}

#[tokio::test]
async fn what_is_not_mqtt_is_no_panic() {
    let (broker, receiver, _sidecar) = start("").await;
    let nonsense: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0x20, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x20, 0],
        &[0x30, 2, 0, 9],
    ];
    // Each is answered to one attempt; the delays between them grow.
    for bytes in &nonsense[..3] {
        broker.accept().await.send(bytes).await;
    }
    let mut peer = broker.serve(false).await;
    peer.send(nonsense[3]).await;
    let peer = broker.accept().await;
    let version = peer.version();
    works(peer, version, &receiver).await;
}
