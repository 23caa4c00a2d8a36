//! What clients can write is never believed.

use support::client::{Connect, Property, Publish, Version, Will};
use support::setup::Setup;

use super::{KEY, MQHOOK, SEAL, anonymous, bodies, body, broker, config, listen, observer, send};

const BROKEN: &str = "mqhook_publishers_total{seal=\"broken\"}";

/// Lets a client publish, and returns the seal of its message, as any subscriber sees it.
async fn seal_of(setup: &Setup, client_id: &str, payload: &str) -> String {
    let mut subscriber = observer(setup).await;
    let mut client = setup.client(client_id).await;
    send(&mut client, Publish::new("t", payload.to_owned()).qos(1)).await;
    let message = subscriber.next().await;
    let seal = message.user_property(SEAL)[0].to_owned();
    subscriber.disconnect().await;
    seal
}

#[tokio::test]
async fn a_copied_seal_does_not_change_who_published() {
    let setup = listen().await;
    let seal = seal_of(&setup, "alice", "on").await;
    let mut mallory = setup.client("mallory").await;
    for payload in ["on", "off"] {
        let message = Publish::new("t", payload).qos(1).user_property(SEAL, &seal);
        send(&mut mallory, message.user_property(SEAL, &seal)).await;
    }
    let by = |client_id, payload| body(1, payload, "\"undefined\"", client_id);
    let expected = [
        by("\"alice\"", "on"),
        by("\"mallory\"", "on"),
        by("\"mallory\"", "off"),
    ];
    assert_eq!(bodies(&setup).await, expected);
}

#[tokio::test]
async fn a_name_too_long_to_seal_does_not_let_a_copied_seal_pass() {
    let setup = listen().await;
    let seal = seal_of(&setup, "alice", "on").await;
    let long = "m".repeat(49_500);
    let longest = ["x".repeat(65_000), "y".repeat(65_000)];
    let connects = [
        Connect::new(Version::V5, &long),
        Connect::new(Version::V5, &longest[0]).username(&longest[1]),
    ];
    for connect in connects {
        let mut mallory = connect.open(setup.broker.port()).await;
        let mut subscriber = observer(&setup).await;
        let message = Publish::new("t", "on").qos(1).user_property(SEAL, &seal);
        send(&mut mallory, message).await;
        let message = subscriber.next().await;
        let seals = message.user_property(SEAL);
        assert_eq!(seals.len(), 2);
        assert!(seals[1].len() < 3_000, "{} bytes", seals[1].len());
        subscriber.disconnect().await;
    }
    let expected = [
        body(1, "on", "\"undefined\"", "\"alice\""),
        anonymous(1, "on"),
        anonymous(1, "on"),
    ];
    assert_eq!(bodies(&setup).await, expected);
}

#[tokio::test]
async fn a_will_with_a_copied_seal_names_nobody() {
    let setup = listen().await;
    let seal = seal_of(&setup, "alice", "on").await;
    for seal in [seal.as_str(), "", "no base64!", &"A".repeat(60_000)] {
        let will = Will::new("t", "off")
            .qos(1)
            .property(Property::user(SEAL, seal));
        let connect = Connect::new(Version::V5, "mallory").will(will);
        let client = connect.open(setup.broker.port()).await;
        let mut subscriber = observer(&setup).await;
        client.abort();
        subscriber
            .next_where(|message| message.text() == "off")
            .await;
    }
    let got = bodies(&setup).await;
    assert_eq!(got[1..], [0; 4].map(|_| anonymous(1, "off")));
    assert_eq!(setup.metric(BROKEN).await, 4);
    setup.sidecar.wait_for_log("or a client forges").await;
}

#[tokio::test]
async fn another_key_says_nothing() {
    let keys = config("").replace(KEY, "other");
    let keys = keys.replace(
        "plugin_key_file = \"other\"",
        "plugin_key = \"another key of 26 bytes\"",
    );
    let setup = Setup::start(MQHOOK, broker(), &keys).await;
    let mut client = setup.client("alice").await;
    send(&mut client, Publish::new("t", "x").qos(1)).await;
    assert_eq!(bodies(&setup).await, [anonymous(1, "x")]);
    assert_eq!(setup.metric(BROKEN).await, 2);
}

#[tokio::test]
async fn without_a_key_the_seal_is_taken_off_and_the_log_says_so() {
    let keys = config("body.format = \"json\"\n");
    let keys = keys.lines().skip(1).collect::<Vec<_>>().join("\n");
    let setup = Setup::start(MQHOOK, broker(), &keys).await;
    let mut client = setup.client("alice").await;
    send(&mut client, Publish::new("t", "x").qos(1)).await;
    let request = setup.receiver.next().await;
    assert!(!request.text().contains(SEAL), "{}", request.text());
    setup
        .sidecar
        .wait_for_log("`broker.plugin_key_file` is not set")
        .await;
}
