//! The retain flag, and retained messages that come because of a subscription.

use support::client::{Connect, Publish, Version};
use support::mosquitto::Mosquitto;
use support::receiver::Receiver;
use support::setup::Setup;

use super::{MQHOOK, bodies, body, listen, send, webhook};

/// Starts a sidecar at a broker that retains `old`, and returns the bodies of what follows: a
/// message that is to be retained, and one that is not.
async fn story(keys: &str) -> Vec<String> {
    let broker = Mosquitto::builder().start();
    let connect = Connect::new(Version::V5, "dev");
    let mut client = connect.open(broker.port()).await;
    send(&mut client, Publish::new("old", "1").retain().qos(1)).await;
    let config = keys.to_owned() + &webhook("a", &["#"]);
    let mut setup = Setup::launch(MQHOOK, broker, Receiver::start(), &config);
    setup.wait_ready().await;
    send(&mut client, Publish::new("new", "2").retain().qos(1)).await;
    send(&mut client, Publish::new("new", "3").qos(1)).await;
    bodies(&setup, "/a").await
}

#[tokio::test]
async fn only_live_messages_are_events_and_keep_their_flag() {
    let expected = [
        body("new", 1, true, "\"2\""),
        body("new", 1, false, "\"3\""),
    ];
    assert_eq!(story("broker.protocol = \"5\"\n").await, expected);
}

#[tokio::test]
async fn a_replay_is_an_event_if_asked_for() {
    let expected = [
        body("old", 1, true, "\"1\""),
        body("new", 1, true, "\"2\""),
        body("new", 1, false, "\"3\""),
    ];
    assert_eq!(story("broker.retained = true\n").await, expected);
}

#[tokio::test]
async fn before_mqtt_5_replays_are_told_by_their_flag() {
    let live = [
        body("new", 1, false, "\"2\""),
        body("new", 1, false, "\"3\""),
    ];
    let keys = "broker.protocol = \"3.1.1\"\n";
    assert_eq!(story(keys).await, live);
    let replayed = story(&(keys.to_owned() + "broker.retained = true\n")).await;
    assert_eq!(replayed[0], body("old", 1, true, "\"1\""));
    assert_eq!(replayed[1..], live);
}

#[tokio::test]
async fn a_reconnection_replays_nothing() {
    let mut setup = listen(&["#"]).await;
    let mut client = setup.client("dev").await;
    send(&mut client, Publish::new("kept", "1").retain().qos(1)).await;
    setup.receiver.wait_for(1).await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    setup.sidecar.start_again();
    setup.wait_ready().await;
    assert_eq!(bodies(&setup, "/a").await, [body("kept", 1, true, "\"1\"")]);
}
