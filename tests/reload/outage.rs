//! The configuration changes while a receiver or the broker is away.

use support::receiver::Behaviour;

use super::{World, webhook};

const RETRY: &str =
    "retry.exponential = { initial = \"50ms\", factor = 2, max = \"200ms\", for = \"1h\" }
breaker = { failures = 10, initial = \"50ms\", max = \"200ms\" }";

#[tokio::test]
async fn a_webhook_that_comes_back_delivers_what_it_had() {
    let both = webhook("keeps", &["other"], "") + &webhook("a", &["a"], RETRY);
    let mut world = World::start(&both).await;
    world.setup.receiver.set(Behaviour::Status(503));
    for number in 0..20 {
        world.setup.publish("a", &format!("<{number}>")).await;
    }
    world.wait_for("/a", 20).await;
    world.reload(&webhook("keeps", &["other"], "")).await;
    // Nobody takes what comes now.
    world.setup.publish("a", "<lost>").await;
    world.setup.receiver.set(Behaviour::Status(200));
    world.setup.publish("other", "x").await;
    world.wait_for("/keeps", 1).await;
    let before = world.of("/a").len();
    world.reload(&both).await;
    world.setup.publish("a", "<20>").await;
    let requests = world.wait_for("/a", before + 21).await;
    for number in 0..=20 {
        let text = format!("<{number}>");
        let has_it = |it: &&support::receiver::Request| it.text().contains(&text);
        let times = requests[before..].iter().filter(has_it).count();
        assert_eq!(times, 1, "expected {text} once");
    }
    assert_eq!(world.of("/a").len(), before + 21);
}

#[tokio::test]
async fn what_waits_goes_to_the_new_address() {
    let mut world = World::start(&webhook("a", &["a"], RETRY)).await;
    world.setup.receiver.set_script(|request| {
        let is_old = request.target() == "/a";
        Behaviour::Status(if is_old { 503 } else { 200 })
    });
    for number in 0..30 {
        world.setup.publish("a", &format!("<{number}>")).await;
    }
    world.wait_for("/a", 15).await;
    let moved = webhook("a", &["a"], RETRY).replace("{receiver}/a", "{receiver}/new");
    world.reload(&moved).await;
    let requests = world.wait_for("/new", 30).await;
    let mut bodies: Vec<&str> = requests
        .iter()
        .map(support::receiver::Request::text)
        .collect();
    bodies.sort_unstable();
    bodies.dedup();
    assert_eq!((bodies.len(), world.of("/new").len()), (30, 30));
}

#[tokio::test]
async fn a_change_while_the_broker_is_away_counts_when_it_is_back() {
    let mut world = World::start(&webhook("a", &["a", "$share/g/s"], "")).await;
    world.setup.broker.stop();
    world.setup.wait_unready(&["messages"]).await;
    let config = webhook("a", &["a/#"], "") + &webhook("b", &["$share/h/b"], "");
    world.reload(&config).await;
    world.setup.broker.start_again();
    world.setup.wait_ready().await;
    for topic in ["a", "a/b", "b", "s"] {
        world.setup.publish(topic, topic).await;
    }
    world.wait_for("/a", 2).await;
    world.wait_for("/b", 1).await;
    let (_, text) = world.setup.readiness().await;
    assert!(!text.contains("share g"), "expected no group g in {text}");
}
