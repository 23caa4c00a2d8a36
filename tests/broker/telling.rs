//! Brokers that tell of their clients, or do not: found out, and said with the remedy.

use std::time::Duration;

use support::client::Publish;
use support::mosquitto::{Builder, Mosquitto};
use support::port::free_port;
use support::scripted::ScriptedBroker;
use support::setup::{Setup, complete};
use support::sidecar::Sidecar;
use support::{http, wait};

use super::{CLIENTS, MESSAGES, MQHOOK, is_not_ready, launch, passes, says};

/// Starts at a broker that does not tell of its clients, and asserts what the operator is told.
async fn check_advice(broker: Builder, keys: &str, advice: &[&str]) {
    let setup = launch(broker.start(), &format!("{keys}{MESSAGES}{CLIENTS}"));
    let silent = "the broker does not tell of its clients";
    is_not_ready(&setup, &[&["not ready", silent], advice].concat()).await;
    setup.sidecar.wait_for_log(silent).await;
    says(&setup.sidecar.log(), advice);
    passes(&setup, "messages are events all the same").await;
}

#[tokio::test]
async fn mosquitto_is_found_out() {
    let broker = Mosquitto::builder().log_topics();
    let setup = Setup::start(MQHOOK, broker, CLIENTS).await;
    let (status, text) = setup.readiness().await;
    assert_eq!(status, 200);
    says(
        &text,
        &[
            "ready\n",
            "lifecycle: subscribed over MQTT 5",
            "dialect: mosquitto",
        ],
    );
    assert!(!text.contains("does not tell"), "got {text}");
}

/// While the topics of the dialect are not subscribed, something may be missed.
#[tokio::test]
async fn nothing_is_ready_before_what_was_found_out_is_subscribed() {
    const SUBSCRIBE: u8 = 8;
    let broker = ScriptedBroker::bind().await;
    let admin = free_port();
    let config = complete(CLIENTS, &broker.url(), "http://127.0.0.1:9", admin);
    let _sidecar = Sidecar::start(MQHOOK, &config, "toml");
    let mut peer = broker.serve(false).await;
    let subscribed = "lifecycle: subscribed over MQTT 5";
    wait::until(Duration::from_secs(10), subscribed, async || {
        let (_, text) = http::try_request(admin, "GET", "/ready", "").await?;
        text.contains(subscribed).then_some(())
    })
    .await;
    let version = Publish::new("$SYS/broker/version", "mosquitto version 2.0.11");
    peer.publish(&version.retain(), 0).await;
    peer.expect(SUBSCRIBE).await;
    let (status, text) = http::get(admin, "/ready").await;
    assert_eq!(status, 503);
    says(&text, &["lifecycle: subscribing"]);
}

#[tokio::test]
async fn a_missing_log_topic_is_advised_of() {
    let advice = ["log_dest topic", "dialect: mosquitto"];
    check_advice(Mosquitto::builder(), "", &advice[..1]).await;
    check_advice(
        Mosquitto::builder(),
        "broker.dialect = \"mosquitto\"\n",
        &advice[..1],
    )
    .await;
}

#[tokio::test]
async fn an_acl_that_hides_the_log_is_advised_of() {
    let broker = || Mosquitto::builder().log_topics();
    let advice = ["topic read $SYS/broker/log/#"];
    let hidden = "topic readwrite t\n";
    check_advice(
        broker().acl(hidden),
        "broker.dialect = \"mosquitto\"\n",
        &advice,
    )
    .await;
    check_advice(broker().acl(hidden), "", &["$SYS/#", "ACL", advice[0]]).await;
    let version = format!("{hidden}topic read $SYS/broker/version\n");
    check_advice(broker().acl(&version), "", &advice).await;
}

#[tokio::test]
async fn missing_connection_messages_are_advised_of() {
    let broker = Mosquitto::builder().log_topics();
    let broker = broker.line("connection_messages false");
    check_advice(broker, "", &["connection_messages true"]).await;
}

#[tokio::test]
async fn a_plain_broker_is_not_asked_about_its_clients() {
    let config = format!("broker.dialect = \"plain\"\n{MESSAGES}{CLIENTS}");
    let setup = Setup::start(MQHOOK, Mosquitto::builder().log_topics(), &config).await;
    passes(&setup, "hello").await;
    let log = setup.sidecar.log();
    says(&log, &["on_client_connack", "plain", "mosquitto"]);
    let broker = setup.broker.log();
    assert!(
        !broker.contains("mqhook-"),
        "expected one connection:\n{broker}"
    );
}
