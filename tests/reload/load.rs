//! The configuration changes again and again while thousands of messages come.

use std::time::Duration;

use support::publisher::{Plan, Publisher, number_in};

use super::{World, assert_each_once, webhook};

const TOPIC: &str = "load/a/b";

/// Longest time for all that is sent.
const LONG: Duration = Duration::from_mins(2);

/// What is the same in all configurations.
fn steady() -> String {
    webhook("steady", &[TOPIC], "")
}

/// One webhook after the other, each with the same messages by other rules, requests or lanes.
fn changes() -> Vec<String> {
    let wide = webhook("moves", &["load/#"], "");
    let with_more = webhook("moves", &["load/+/b", "other"], "retry.statuses = [404]");
    vec![
        steady() + &wide,
        steady() + &with_more + &webhook("new", &["elsewhere"], ""),
        webhook("new", &["elsewhere/#"], "") + &steady() + &webhook("moves", &["#"], ""),
        steady() + &webhook("moves", &[TOPIC], "headers = { x-more = \"yes\" }"),
        steady() + &webhook("moves", &["load/+/b"], "pool_size = 3"),
        steady()
            + &webhook(
                "moves",
                &["load/+/b"],
                "order_by = \"topic\"\npool_size = 3",
            ),
        steady()
            + &webhook(
                "moves",
                &["load/+/b"],
                "order_by = \"topic\"\ntimeout = \"9s\"",
            ),
        steady() + &webhook("moves", &["+/+/+"], "rate_limit = \"5000/s\""),
        steady()
            + &webhook(
                "moves",
                &["+/a/#"],
                "batch.format = \"ndjson\"\nbatch.max_events = 1",
            ),
        steady() + &webhook("moves", &[TOPIC], ""),
    ]
}

async fn check(keys: &str) {
    let first = keys.to_owned() + &steady() + &webhook("moves", &[TOPIC], "durable = false");
    let mut world = World::start(&first).await;
    let plan = Plan {
        topic: TOPIC.to_owned(),
        window: 100,
        pace: Duration::from_micros(500),
        ..Plan::default()
    };
    let publisher = Publisher::start(world.setup.broker.port(), plan);
    let mut expected = 0;
    for (step, config) in changes().into_iter().enumerate() {
        expected += 400;
        let config = if step.is_multiple_of(2) {
            config + &webhook("comes", &[TOPIC], "")
        } else {
            config
        };
        publisher.wait_for(expected, LONG).await;
        world.reload(&(keys.to_owned() + &config)).await;
    }
    publisher.wait_for(expected + 400, LONG).await;
    let sent = publisher.stop().await;
    assert!(sent.repeated.is_empty(), "the broker stayed");
    let count = usize::try_from(sent.count).expect("some thousand");
    for path in ["/steady", "/moves"] {
        let requests = world.wait_for(path, count).await;
        assert_each_once(&requests, sent.count, path);
    }
    let waiting = "mqhook_waiting_deliveries{webhook=\"moves\"}";
    world.setup.wait_for_metric(waiting, |left| left == 0).await;
    // What would come twice would have come by now.
    for path in ["/steady", "/moves"] {
        assert_each_once(&world.of(path), sent.count, path);
    }
    check_comes(&mut world, keys).await;
    let log = world.setup.sidecar.log();
    assert!(!log.contains("ERROR"), "expected no error in the log");
}

/// Of each time that the webhook `comes` was there it has had everything, once, even if it had to come back for
/// the rest.
async fn check_comes(world: &mut World, keys: &str) {
    let back = keys.to_owned() + &steady() + &webhook("comes", &["nothing/more"], "");
    world.reload(&back).await;
    let waiting = "mqhook_waiting_deliveries{webhook=\"comes\"}";
    world.setup.wait_for_metric(waiting, |left| left == 0).await;
    let requests = world.of("/comes");
    let numbers = requests.iter().filter_map(|it| number_in(&it.body));
    let mut numbers: Vec<u64> = numbers.collect();
    let all = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "expected none twice");
    let gaps = numbers.windows(2).filter(|it| it[0] + 1 < it[1]).count();
    assert!(gaps <= 4, "expected five times, not {gaps} gaps in {all}");
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_comes_twice_while_the_configuration_changes() {
    check("").await;
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_comes_twice_without_a_disk() {
    check("spool.backend = \"memory\"\n").await;
}
