//! Order holds over a change.

use std::time::Duration;

use support::publisher::{Plan, Publisher, number_in};
use support::receiver::Behaviour;

use super::{World, assert_each_once, webhook};

const LONG: Duration = Duration::from_mins(1);

/// Publishes numbers on one topic, of which some fail at first, through changes; they must come in order.
async fn check(keys: &str, configs: &[&str]) {
    let config = |more: &str| keys.to_owned() + &webhook("a", &["numbers"], more);
    let mut world = World::start(&config(configs[0])).await;
    // Every seventh request is refused once.
    let count = std::sync::atomic::AtomicUsize::new(0);
    world.setup.receiver.set_script(move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Behaviour::Status(if number.is_multiple_of(7) { 503 } else { 200 })
    });
    let plan = Plan {
        window: 50,
        pace: Duration::from_millis(1),
        ..Plan::default()
    };
    let publisher = Publisher::start(world.setup.broker.port(), plan);
    let mut expected = 0;
    for more in &configs[1..] {
        expected += 100;
        publisher.wait_for(expected, LONG).await;
        world.reload(&config(more)).await;
    }
    publisher.wait_for(expected + 100, LONG).await;
    let sent = publisher.stop().await;
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    world
        .setup
        .wait_for_metric(delivered, |it| it >= sent.count)
        .await;
    let requests = world.of("/a");
    let mut numbers: Vec<u64> = requests
        .iter()
        .map(|request| number_in(&request.body).expect("a number"))
        .collect();
    // An attempt that failed comes again at once behind itself.
    numbers.dedup();
    let sorted: Vec<u64> = (0..sent.count).collect();
    assert_eq!(numbers, sorted, "expected each number in order");
    let delivered: Vec<_> = requests
        .into_iter()
        .enumerate()
        .filter(|(at, _)| at % 7 != 0)
        .map(|(_, request)| request)
        .collect();
    assert_each_once(&delivered, sent.count, "/a");
}

const ORDER: &str = "order_by = \"topic\"
retry.schedule = [\"20ms\", \"20ms\", \"20ms\", \"20ms\", \"20ms\", \"20ms\", \"20ms\", \"20ms\"]
breaker.failures = 1000";

#[tokio::test]
async fn ordered_topics_stay_in_order_over_changes() {
    let with = |more: &str| format!("{ORDER}\n{more}");
    let configs = [
        with(""),
        with("headers = { x = \"1\" }"),
        with("pool_size = 2"),
        with("timeout = \"3s\""),
    ];
    let configs: Vec<&str> = configs.iter().map(String::as_str).collect();
    check("", &configs).await;
    check("spool.backend = \"memory\"\n", &configs).await;
}

#[tokio::test]
async fn what_is_in_order_from_now_on_is_behind_what_came_before() {
    // One connection and no failure that is put off keeps order without it being asked for.
    let mut world = World::start(&webhook("a", &["numbers"], "pool_size = 1")).await;
    let plan = Plan {
        window: 50,
        pace: Duration::from_micros(300),
        ..Plan::default()
    };
    let publisher = Publisher::start(world.setup.broker.port(), plan);
    let mut expected = 0;
    for more in [
        "order_by = \"topic\"",
        "",
        "order_by = \"client\"",
        "order_by = \"topic\"",
    ] {
        expected += 300;
        publisher.wait_for(expected, LONG).await;
        let more = format!("pool_size = 1\n{more}");
        world.reload(&webhook("a", &["numbers"], &more)).await;
    }
    publisher.wait_for(expected + 300, LONG).await;
    let sent = publisher.stop().await;
    let count = usize::try_from(sent.count).expect("some thousand");
    let requests = world.wait_for("/a", count).await;
    let numbers: Vec<u64> = requests
        .iter()
        .map(|request| number_in(&request.body).expect("a number"))
        .collect();
    let sorted: Vec<u64> = (0..sent.count).collect();
    assert_eq!(numbers, sorted, "expected each number in order");
}

#[tokio::test]
async fn what_waits_in_memory_only_is_kept_when_it_is_sequenced_otherwise() {
    let config = |more: &str| {
        let slow = "breaker.failures = 1000\nretry.schedule = [\"300ms\", \"300ms\", \"300ms\", \"300ms\", \"300ms\", \"300ms\", \"9s\", \"9s\"]\n";
        "spool.backend = \"memory\"\n".to_owned() + &webhook("a", &["+"], &(slow.to_owned() + more))
    };
    let mut world = World::start(&config("")).await;
    world.setup.receiver.set(Behaviour::Status(503));
    for topic in ["a", "b", "c", "d"] {
        world.setup.publish(topic, topic).await;
    }
    world.wait_for("/a", 4).await;
    world.reload(&config("order_by = \"topic\"")).await;
    world.reload(&config("order_by = \"client\"")).await;
    world.setup.receiver.set(Behaviour::Status(200));
    let delivered = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
    world.setup.wait_for_metric(delivered, |it| it == 4).await;
}
