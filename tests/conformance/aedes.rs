//! Aedes sends a message of QoS 2 with QoS 2 to a subscription of QoS 1.

use support::broker::{self, Broker};
use support::client::{Publish, Version};

use crate::story::Story;

#[tokio::test]
async fn what_comes_with_qos_2_all_the_same_is_taken_once() {
    let Some(broker) = broker::aedes() else {
        println!("Aedes is not installed: left out");
        return;
    };
    let mut story = Story::begin(broker).await;
    let connect = Broker::connect(Version::V311, "dev");
    let mut client = connect.open(story.broker.port).await;
    story.note("a client connects").await;
    for _ in 0..100 {
        client.publish(&Publish::new("a", "1").qos(2)).await;
    }
    story.note("it publishes").await;
    story.restart().await;
    story.note("mqhook goes and comes back").await;
    let counts: Vec<usize> = story
        .record
        .stimuli
        .iter()
        .map(|(_, told)| told.len())
        .collect();
    assert_eq!(counts, [2, 100, 0], "{:?}", story.record.stimuli);
}
