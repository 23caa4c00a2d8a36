//! What NATS knows of its clients, passwords included, is a topic like others: the configuration that mqhook
//! documents must keep the clients from it.

use support::broker::{self, Broker};
use support::client::{Publish, Version};

use crate::story::Story;

const CONNECT: &str = "$mqhook/$SYS/ACCOUNT/DEVICES/CONNECT";

#[tokio::test]
async fn clients_of_nats_neither_invent_events_nor_see_passwords() {
    let Some(broker) = broker::nats() else {
        println!("NATS server is not installed: left out");
        return;
    };
    let mut story = Story::begin(broker).await;
    let port = story.broker.port;
    let mut spy = Broker::connect(Version::V311, "spy").open(port).await;
    assert_eq!(
        spy.subscribe("#", 0).await,
        0,
        "expected to hear everything"
    );
    assert_eq!(
        spy.subscribe("$mqhook/#", 0).await,
        0x80,
        "expected a refusal"
    );
    story.note("a spy comes").await;

    let invented = r#"{"client":{"client_type":"mqtt","client_id":"invented"}}"#;
    let mut forger = Broker::connect(Version::V311, "forger").open(port).await;
    forger.publish(&Publish::new(CONNECT, invented)).await;
    forger.publish(&Publish::new("said", invented).qos(1)).await;
    story.note("a forger publishes").await;
    let told = format!("{:?}", story.record.stimuli);
    assert!(
        told.contains(r#"client_connected address=ip client_id=\"forger\""#),
        "{told}"
    );
    assert!(!told.contains(r#"client_id=\"invented\""#), "{told}");

    // It hears the message that came last, so what it was to hear has come.
    let mut heard = Vec::new();
    while heard.last().is_none_or(|topic| topic != "said") {
        heard.push(spy.next().await.topic);
    }
    let leaked = heard.iter().find(|topic| topic.starts_with("$mqhook"));
    assert_eq!(leaked, None, "expected nothing of other clients");
}
