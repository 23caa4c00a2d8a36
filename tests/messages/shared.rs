//! Shared subscriptions: several sidecars divide the messages of a group.

use support::client::Publish;
use support::mosquitto::Mosquitto;
use support::port::free_port;
use support::setup::{Setup, complete};
use support::sidecar::Sidecar;

use super::{FENCE, MQHOOK, bodies, body, listen, send, start, webhook};

const EVENTS: &str = "mqhook_events_total{kind=\"on_message_publish\"}";

#[tokio::test]
async fn a_shared_filter_works_for_one_sidecar() {
    let setup = listen(&["$share/g/a/+", FENCE]).await;
    let mut client = setup.client("dev").await;
    for topic in ["a/b", "a/b/c", "b"] {
        send(&mut client, Publish::new(topic, "x").qos(1)).await;
    }
    let request = setup.receiver.next().await;
    assert_eq!(
        super::masked(request.text()),
        body("a/b", 1, false, "\"x\"")
    );
    assert_eq!(bodies(&setup, "/a").await.len(), 1);
}

#[tokio::test]
async fn two_sidecars_share_the_messages_of_a_group() {
    const MESSAGES: usize = 40;
    let config =
        |id: &str| format!("broker.client_id = \"{id}\"\n") + &webhook("a", &["$share/g/a/#"]);
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), &config("first")).await;
    let admin = free_port();
    let (broker, receiver) = (setup.broker.url(), setup.receiver.url());
    let other = complete(&config("second"), &broker, &receiver, admin);
    let mut other = Sidecar::start(MQHOOK, &other, "toml");
    other.wait_ready(admin).await;
    let mut client = setup.client("dev").await;
    for number in 0..MESSAGES {
        let message = Publish::new("a/b", number.to_string());
        send(&mut client, message.qos(1)).await;
    }
    let requests = setup.receiver.wait_for(MESSAGES).await;
    let mut bodies: Vec<String> = requests
        .iter()
        .map(|request| super::masked(request.text()))
        .collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!((bodies.len(), requests.len()), (MESSAGES, MESSAGES));
    let first = setup.metric(EVENTS).await;
    assert!(
        0 < first && first < MESSAGES as u64,
        "expected both to get some of {MESSAGES} messages, the first got {first}"
    );
}

#[tokio::test]
async fn one_message_makes_one_request_per_webhook_beside_a_share() {
    let config = webhook("shared", &["$share/g/a"]) + &webhook("plain", &["a", FENCE]);
    let setup = start(&config).await;
    setup.publish("a", "x").await;
    let expected = [body("a", 1, false, "\"x\"")];
    assert_eq!(bodies(&setup, "/plain").await, expected);
    let requests = setup.receiver.wait_for(3).await;
    let shared = requests
        .iter()
        .filter(|request| request.target() == "/shared");
    assert_eq!(shared.count(), 1);
}
