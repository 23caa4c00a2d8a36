//! Numbered messages reach the broker, each at least once, whatever becomes of it meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use support::client::{Connect, Property, Version};
use support::mosquitto::Mosquitto;
use support::publisher::{Plan, Publisher, number_in};

const SOON: Duration = Duration::from_secs(10);

/// A session at the broker that keeps what is published.
fn keeper() -> Connect {
    Connect::new(Version::V5, "keeper")
        .persistent()
        .property(Property::session_expiry(600))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_arrives_in_order_and_once() {
    let broker = Mosquitto::builder()
        .line("max_queued_messages 0")
        .line("max_inflight_messages 0")
        .start();
    let mut client = keeper().open(broker.port()).await;
    client.subscribe("numbers", 1).await;
    let publisher = Publisher::start(broker.port(), Plan::burst(3_000, 100));
    for expected in 0..3_000 {
        let message = client.next().await;
        assert_eq!(number_in(&message.payload), Some(expected));
        assert_eq!(message.payload.len(), 100);
    }
    publisher.wait_for(3_000, SOON).await;
    let numbers = publisher.stop().await;
    assert_eq!(numbers.count, 3_000);
    assert_eq!(numbers.repeated, BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_published_in_a_pause() {
    let broker = Mosquitto::builder().start();
    let publisher = Publisher::start(broker.port(), Plan::default());
    publisher.wait_for(5, SOON).await;
    publisher.pause().await;
    let count = publisher.acknowledged();
    publisher.pause().await;
    assert_eq!(publisher.acknowledged(), count);
    publisher.resume();
    publisher.wait_for(count + 5, SOON).await;
    assert!(publisher.stop().await.count >= count + 5);
}

/// Its session has messages that only its file still knows of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saved_broker_forgets_nothing_when_it_is_killed() {
    let builder = Mosquitto::builder().line("max_queued_messages 0");
    let mut broker = builder.persistent().start();
    let mut client = keeper().open(broker.port()).await;
    client.subscribe("numbers", 1).await;
    client.disconnect().await;
    let plan = Plan {
        pace: Duration::ZERO,
        ..Plan::default()
    };
    let publisher = Publisher::start(broker.port(), plan);
    for count in [200, 400, 600] {
        publisher.wait_for(count, SOON).await;
        publisher.pause().await;
        broker.save().await;
        broker.kill();
        broker.start_again();
        publisher.resume();
    }
    publisher.wait_for(800, SOON).await;
    let numbers = publisher.stop().await;
    let mut client = keeper().open(broker.port()).await;
    assert!(client.connack().expect("accepted").session_present);
    for expected in 0..numbers.count {
        assert_eq!(number_in(&client.next().await.payload), Some(expected));
    }
}
