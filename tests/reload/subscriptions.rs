//! What is subscribed to at the broker follows the rules.

use std::time::Duration;

use support::mosquitto::Mosquitto;
use support::publisher::{Plan, Publisher};

use super::{World, webhook};

const LONG: Duration = Duration::from_mins(1);

fn lifecycle(name: &str) -> String {
    format!(
        "[webhooks.{name}]\nurl = \"{{receiver}}/{name}\"\nevents = [{{ event = \"on_client_connected\" }}]\n"
    )
}

#[tokio::test]
async fn only_what_has_changed_is_asked_of_the_broker() {
    let broker = Mosquitto::builder().line("log_type all");
    let config = webhook("a", &["a", "b/#"], "");
    let mut world = World::start_with(broker, &config).await;
    let config = webhook("a", &["a", "c/+"], "");
    world.reload(&config).await;
    let log = &world.setup.broker;
    log.wait_for_log("mqhook 1 c/+").await;
    log.wait_for_log("mqhook b/#").await;
    let text = world.setup.broker.log();
    let asked = |what: &str| text.lines().filter(|line| line.ends_with(what)).count();
    assert_eq!(asked("mqhook 1 a"), 1, "{text}");
    assert_eq!(
        asked("Received CONNECT from 127.0.0.1 as mqhook"),
        0,
        "{text}"
    );
    for topic in ["a", "b/x", "c/x"] {
        world.setup.publish(topic, topic).await;
    }
    world.wait_for("/a", 2).await;
    assert_eq!(world.of("/a").len(), 2);
}

#[tokio::test]
async fn share_groups_come_and_go() {
    let alone = webhook("a", &["numbers"], "");
    let shared = webhook("a", &["$share/g/numbers"], "");
    let mut world = World::start(&alone).await;
    // While nothing comes, a filter may move from one to the other without a copy or a loss.
    for (config, has_group) in [(&shared, true), (&alone, false), (&shared, true)] {
        world.reload(config).await;
        let before = world.of("/a").len();
        for _ in 0..5 {
            world.setup.publish("numbers", "x").await;
        }
        let requests = world.wait_for("/a", before + 5).await;
        assert_eq!(requests.len(), before + 5);
        let (status, text) = world.setup.readiness().await;
        assert_eq!(
            (status, text.contains("share g")),
            (200, has_group),
            "{text}"
        );
    }
}

/// Has a webhook move to a share group and back while messages come, so many of them between two changes.
async fn check_moves(between: u64, times: usize) {
    let alone = webhook("a", &["numbers"], "");
    let shared = webhook("a", &["$share/g/numbers"], "");
    let mut world = World::start(&alone).await;
    let plan = Plan {
        window: 50,
        pace: Duration::from_micros(500),
        ..Plan::default()
    };
    let publisher = Publisher::start(world.setup.broker.port(), plan);
    let mut expected = 0;
    for config in [&shared, &alone].into_iter().cycle().take(times) {
        expected += between;
        publisher.wait_for(expected, LONG).await;
        world.reload(config).await;
    }
    publisher.wait_for(expected + 400, LONG).await;
    let sent = publisher.stop().await;
    let numbers = |requests: &[support::receiver::Request]| {
        let numbers = requests
            .iter()
            .filter_map(|it| support::publisher::number_in(&it.body));
        numbers.collect::<std::collections::BTreeSet<u64>>()
    };
    let requests = world
        .setup
        .receiver
        .wait_until(|requests| numbers(requests).len() as u64 >= sent.count)
        .await;
    let twice = requests.len() as u64 - sent.count;
    println!("{twice} of {} came over both", sent.count);
    // Those that were sent between two answers of the broker.
    assert!(
        between == 0 || twice <= sent.count / 2,
        "{twice} came twice"
    );
}

#[tokio::test]
async fn what_moves_to_a_share_group_under_load_is_not_lost() {
    check_moves(400, 4).await;
}

#[tokio::test]
async fn what_moves_back_while_a_connection_leaves_is_not_lost() {
    check_moves(0, 10).await;
}

#[tokio::test]
async fn the_broker_is_asked_of_its_clients_only_while_a_rule_wants_to_know() {
    let messages = webhook("a", &["a"], "");
    let broker = Mosquitto::builder().log_topics();
    let mut world = World::start_with(broker, &messages).await;
    world.reload(&(messages.clone() + &lifecycle("b"))).await;
    world.setup.wait_ready().await;
    let client = world.setup.client("dev").await;
    let requests = world.wait_for("/b", 1).await;
    assert!(requests[0].text().contains("\"clientid\":\"dev\""));
    drop(client);
    world.reload(&messages).await;
    world.setup.broker.wait_for_log("mqhook-lifecycle").await;
    let (status, text) = world.setup.readiness().await;
    assert_eq!((status, text.contains("lifecycle")), (200, false), "{text}");
    world.reload(&(messages.clone() + &lifecycle("b"))).await;
    world.setup.wait_ready().await;
    let before = world.of("/b").len();
    let _client = world.setup.client("dev").await;
    world.wait_for("/b", before + 1).await;
}

#[tokio::test]
async fn retained_messages_come_for_new_filters_only() {
    let keys = "broker.retained = true\n";
    let first = keys.to_owned() + &webhook("a", &["a"], "");
    let mut world = World::start(&first).await;
    let mut client = world.setup.client("dev").await;
    for topic in ["b", "c"] {
        let message = support::client::Publish::new(topic, topic).qos(1).retain();
        assert!(client.publish(&message).await < 0x80);
    }
    let second = keys.to_owned() + &webhook("a", &["a", "b"], "");
    world.reload(&second).await;
    world.wait_for("/a", 1).await;
    let third = keys.to_owned() + &webhook("a", &["a", "b", "c"], "");
    world.reload(&third).await;
    let requests = world.wait_for("/a", 2).await;
    let text = |at: usize| requests[at].text().contains("\"topic\":\"b\"");
    assert_eq!((text(0), text(1)), (true, false));
}
