//! A webhook becomes durable, or is to be so no more, while something waits for it.

use support::receiver::{Behaviour, Gate};

use super::{World, webhook};

const RETRY: &str = "order_by = \"topic\"\nbreaker.failures = 1000
retry.exponential = { initial = \"50ms\", factor = 2, max = \"200ms\", for = \"1h\" }";

const DURABLE: &str = "durable = true";
const LOOSE: &str = "durable = false";

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
const WAITING: &str = "mqhook_waiting_deliveries{webhook=\"a\"}";

fn config(keys: &str, more: &str) -> String {
    keys.to_owned() + &webhook("a", &["a"], &format!("{RETRY}\n{more}"))
}

async fn publish(world: &World, numbers: std::ops::Range<usize>) {
    for number in numbers {
        world.setup.publish("a", &format!("<{number}>")).await;
    }
}

/// Has the receiver take what waits, and asserts that it is each number once, in order.
async fn assert_all_come(world: &mut World, count: u64) {
    world.setup.receiver.set(Behaviour::Status(200));
    world
        .setup
        .wait_for_metric(DELIVERED, |it| it >= count)
        .await;
    world.setup.wait_for_metric(WAITING, |left| left == 0).await;
    assert_eq!(world.setup.metric(DELIVERED).await, count);
    let requests = world.of("/a");
    let mut numbers: Vec<u64> = requests.iter().map(|it| number_in(it.text())).collect();
    // The first was refused until now.
    numbers.dedup();
    let sorted: Vec<u64> = (0..count).collect();
    assert!(
        numbers.ends_with(&sorted),
        "expected order, not {numbers:?}"
    );
}

fn number_in(body: &str) -> u64 {
    let (_, rest) = body.split_once('<').expect("a number");
    let (number, _) = rest.split_once('>').expect("its end");
    number.parse().expect("a number")
}

async fn check_becomes_durable(keys: &str) {
    let mut world = World::start(&config(keys, LOOSE)).await;
    world.setup.receiver.set(Behaviour::Status(503));
    publish(&world, 0..20).await;
    world.wait_for("/a", 3).await;
    world.reload(&config(keys, DURABLE)).await;
    publish(&world, 20..40).await;
    assert_all_come(&mut world, 40).await;
}

#[tokio::test]
async fn what_waits_in_memory_only_comes_before_what_is_durable_from_now_on() {
    check_becomes_durable("").await;
}

#[tokio::test]
async fn what_waits_in_memory_only_comes_before_what_the_broker_keeps_from_now_on() {
    check_becomes_durable("spool.backend = \"memory\"\n").await;
}

#[tokio::test]
async fn what_waits_on_disk_is_delivered_though_its_webhook_is_durable_no_more() {
    let mut world = World::start(&config("", DURABLE)).await;
    world.setup.receiver.set(Behaviour::Status(503));
    publish(&world, 0..10).await;
    world.wait_for("/a", 3).await;
    world.reload(&config("", LOOSE)).await;
    world
        .setup
        .sidecar
        .wait_for_log("it stays durable until")
        .await;
    publish(&world, 10..20).await;
    world
        .setup
        .wait_for_metric(WAITING, |left| left == 20)
        .await;
    world.setup.sidecar.terminate();
    world.setup.sidecar.wait().await;
    world.setup.sidecar.start_again();
    world.setup.wait_ready().await;
    world
        .setup
        .sidecar
        .wait_for_log("it stays durable in this run")
        .await;
    assert_all_come(&mut world, 20).await;
}

#[tokio::test]
async fn a_webhook_that_is_durable_no_more_may_change_further() {
    let mut world = World::start(&config("", DURABLE)).await;
    world.setup.receiver.set(Behaviour::Status(503));
    publish(&world, 0..10).await;
    world.wait_for("/a", 3).await;
    // What waits is parked on disk, and is there for whichever lane comes next.
    for more in ["timeout = \"9s\"", "pool_size = 2"] {
        let more = format!("{LOOSE}\n{more}");
        world.reload(&config("", &more)).await;
    }
    let unordered = config("", LOOSE).replace("order_by = \"topic\"\n", "");
    world.reload(&unordered).await;
    world.reload(&config("", LOOSE)).await;
    assert_all_come(&mut world, 10).await;
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_has_gone_before_it_was_durable_holds_nothing_up() {
    let keys = "spool.backend = \"memory\"\n";
    let both = |more: &str| config(keys, more) + &webhook("b", &["b"], "");
    let mut world = World::start(&both(LOOSE)).await;
    world.setup.receiver.set_script(|request| {
        let is_refused = request.target() == "/a";
        Behaviour::Status(if is_refused { 503 } else { 200 })
    });
    publish(&world, 0..5).await;
    world.wait_for("/a", 3).await;
    world.reload(&both(DURABLE)).await;
    publish(&world, 5..10).await;
    world.setup.wait_for_metric(WAITING, |it| it == 10).await;
    let without = keys.to_owned() + &webhook("b", &["b"], "");
    world.reload(&without).await;
    // Those of the webhook that has gone were not acknowledged.
    world.setup.publish("b", "x").await;
    world.wait_for("/b", 1).await;
    let removed = "mqhook_dropped_events_total{webhook=\"a\",reason=\"removed\"}";
    world.setup.wait_for_metric(removed, |it| it == 10).await;
    world.setup.broker.stop();
    world.setup.wait_unready(&["messages"]).await;
    world.setup.broker.start_again();
    world.setup.wait_ready().await;
    world.setup.publish("b", "y").await;
    world.wait_for("/b", 2).await;
    assert!(world.of("/a").iter().all(|it| number_in(it.text()) < 5));
}

/// Asserts that these numbers come to a path, each once and in order.
async fn assert_come(world: &World, path: &str, numbers: std::ops::Range<u64>) {
    let count = usize::try_from(numbers.end - numbers.start).expect("a few");
    let requests = world.wait_for(path, count).await;
    let came: Vec<u64> = requests.iter().map(|it| number_in(it.text())).collect();
    assert_eq!(came, numbers.collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_becomes_durable_before_its_lane_has_begun_begins() {
    let other = webhook("b", &["b"], "");
    let with = |more: &str| webhook("a", &["a"], &format!("pool_size = 1\n{more}")) + &other;
    let mut world = World::start(&with(LOOSE)).await;
    let gate = Gate::shut();
    let held = gate.clone();
    world.setup.receiver.set_script(move |request| {
        let ok = Behaviour::Status(200);
        if request.text().contains("<0>") {
            Behaviour::Hold(held.clone(), Box::new(ok))
        } else {
            ok
        }
    });
    publish(&world, 0..1).await;
    world.wait_for("/a", 1).await;
    // What is under way holds up the next one, which becomes durable meanwhile.
    world.reload(&other).await;
    world.reload(&with(LOOSE)).await;
    publish(&world, 1..5).await;
    world.reload(&with(DURABLE)).await;
    publish(&world, 5..9).await;
    gate.open();
    assert_come(&world, "/a", 0..9).await;
}

#[tokio::test]
async fn what_is_in_memory_goes_where_the_webhook_does_however_often_it_changes() {
    let unordered = |more| config("", more).replace("order_by = \"topic\"\n", "");
    let mut world = World::start(&unordered(LOOSE)).await;
    world.setup.receiver.set_script(|request| {
        let is_new = request.target() == "/new";
        Behaviour::Status(if is_new { 200 } else { 503 })
    });
    publish(&world, 0..10).await;
    world.wait_for("/a", 3).await;
    world.reload(&unordered(DURABLE)).await;
    publish(&world, 10..20).await;
    // Another lane is to take the place of the one that has not begun.
    let ordered = config("", DURABLE);
    world.reload(&ordered).await;
    publish(&world, 20..30).await;
    world
        .reload(&ordered.replace("{receiver}/a", "{receiver}/new"))
        .await;
    publish(&world, 30..40).await;
    assert_come(&world, "/new", 0..40).await;
    world.setup.wait_for_metric(WAITING, |left| left == 0).await;
}

#[tokio::test]
async fn what_waits_on_disk_is_delivered_when_its_webhook_comes_back_not_durable() {
    let other = webhook("b", &["b"], "");
    let with = |more: &str| config("", more) + &other;
    let mut world = World::start(&with(DURABLE)).await;
    world.setup.receiver.set(Behaviour::Status(503));
    publish(&world, 0..10).await;
    world.wait_for("/a", 3).await;
    for _ in 0..2 {
        world.reload(&other).await;
        world.reload(&with(LOOSE)).await;
    }
    publish(&world, 10..20).await;
    assert_all_come(&mut world, 20).await;
}
