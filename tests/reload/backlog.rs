//! The configuration changes while the broker has messages queued for mqhook, as receivers do not answer.

use std::time::Duration;

use support::publisher::{Plan, Publisher};
use support::receiver::{Behaviour, Gate, Request};

use super::{World, assert_each_once, webhook};

const TOPIC: &str = "load/a/b";

/// Longest time for all that is sent.
const LONG: Duration = Duration::from_mins(1);

/// Memory only, and little of that at the broker: it waits for acknowledgements.
const KEYS: &str = "spool.backend = \"memory\"\nbroker.receive_maximum = 20\n";

/// Filters that take each other's place, for the webhook that is looked at and another one.
const FILTERS: [&str; 6] = ["load/#", "+/a/b", "#", "load/a/+", "load/+/b", TOPIC];

/// What is published last.
const END: &str = "number=9999999999";

fn config(filter: &str) -> String {
    let patient = "timeout = \"1m\"";
    let steady = webhook("steady", &[TOPIC], patient);
    KEYS.to_owned() + &steady + &webhook("moves", &[filter], patient)
}

/// Returns what a webhook has had before the end.
async fn all_of(world: &World, path: &str) -> Vec<Request> {
    let is_end = |request: &Request| request.target() == path && request.text().contains(END);
    let receiver = &world.setup.receiver;
    let ended = receiver.wait_until(|requests| requests.iter().any(is_end));
    let mut requests = ended.await;
    requests.retain(|request| request.target() == path && !is_end(request));
    requests
}

/// Has filters change while nothing is answered, this often.
async fn check(changes: usize) {
    let mut world = World::start(&config(TOPIC)).await;
    let gate = Gate::shut();
    let answer = Behaviour::Status(200).behind(&gate);
    world.setup.receiver.set(answer);
    let plan = Plan {
        topic: TOPIC.to_owned(),
        window: 50,
        ..Plan::default()
    };
    let publisher = Publisher::start(world.setup.broker.port(), plan);
    let mut expected = 0;
    for filter in FILTERS.iter().cycle().take(changes) {
        expected += 100;
        publisher.wait_for(expected, LONG).await;
        world.reload(&config(filter)).await;
    }
    // All that was published since the first change is queued still.
    let taken = world.setup.receiver.requests().len();
    let queued = publisher.acknowledged();
    assert!(
        taken < 100 && queued > expected,
        "expected {queued} to queue, not {taken} to be taken"
    );
    gate.open();
    publisher.wait_for(queued + 200, LONG).await;
    let sent = publisher.stop().await;
    assert!(sent.repeated.is_empty(), "the broker stayed");
    let count = usize::try_from(sent.count).expect("some thousand");
    for path in ["/steady", "/moves"] {
        world.wait_for(path, count).await;
    }
    // What would come twice would come ahead of this.
    world.setup.publish(TOPIC, END).await;
    for path in ["/steady", "/moves"] {
        assert_each_once(&all_of(&world, path).await, sent.count, path);
    }
    let log = world.setup.sidecar.log();
    assert!(!log.contains("ERROR"), "expected no error in the log");
}

#[tokio::test]
async fn what_the_broker_had_queued_over_several_changes_comes_once() {
    check(3).await;
}

#[tokio::test]
async fn what_the_broker_had_queued_over_many_changes_comes_once() {
    check(12).await;
}

#[tokio::test]
async fn what_there_was_no_room_for_is_not_left_at_a_connection_that_leaves() {
    const COUNT: usize = 200;
    let keys = "spool.backend = \"memory\"\nspool.max_memory = \"64KiB\"\nbroker.max_packet_size = \"16KiB\"\n";
    let config = |filter: &str| {
        keys.to_owned() + &webhook("a", &[filter], "timeout = \"1m\"\npool_size = 2")
    };
    let mut world = World::start(&config("$share/g/a")).await;
    let gate = Gate::shut();
    let answer = Behaviour::Status(200).behind(&gate);
    world.setup.receiver.set(answer);
    let padding = "x".repeat(1_000);
    for number in 0..COUNT {
        let payload = format!("number={number:010} {padding}");
        world.setup.publish("a", &payload).await;
    }
    world.setup.sidecar.wait_for_log("no room").await;
    world.reload(&config("a")).await;
    gate.open();
    let requests = world.wait_for("/a", COUNT).await;
    assert_each_once(&requests, COUNT as u64, "/a");
    world.setup.publish("a", END).await;
    assert_each_once(&all_of(&world, "/a").await, COUNT as u64, "/a");
}
