//! SIGTERM: an orderly end repeats nothing, and leaves the backlog as it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use support::mosquitto::Mosquitto;
use support::publisher::{Plan, Publisher, number_in};
use support::receiver::{Arrival, Behaviour, Receiver};
use support::setup::Setup;
use support::wait;

use super::world::{Mood, World, crashes};
use super::{MQHOOK, WEBHOOK};

const PATIENCE: Duration = Duration::from_secs(30);

/// How many messages wait when the signal comes.
const BACKLOG: u64 = 2_000;

/// Nobody dies here, so a number that comes under a second id, or again after a success, is a bug.
#[tokio::test]
async fn an_orderly_end_repeats_nothing() {
    let mut world = World::start("SIGTERM under load", "shutdown_grace = \"1s\"\n").await;
    world.set_mood(Mood::Slow).await;
    for _ in 0..crashes() {
        world.a_while(Duration::from_millis(400)).await;
        world.setup.sidecar.terminate();
        let status = world.setup.sidecar.wait().await;
        assert_eq!(status.code(), Some(0));
        world.setup.sidecar.start_again();
        world.setup.wait_ready().await;
    }
    world.end().await.assert();
}

#[tokio::test]
async fn a_backlog_survives_with_its_ids_and_its_order() {
    let mut setup = start_with_backlog().await;
    setup.sidecar.terminate();
    let status = setup.sidecar.wait().await;
    assert_eq!(status.code(), Some(0));
    let before = setup.receiver.arrivals(0);
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    let receiver = &setup.receiver;
    let expected = "every event to arrive at both webhooks";
    wait::while_growing(PATIENCE, expected, 2 * BACKLOG, async || {
        let arrivals = receiver.arrivals(before.len());
        arrivals
            .iter()
            .filter(|arrival| arrival.is_accepted())
            .count() as u64
    })
    .await;
    let after = receiver.arrivals(before.len());
    for target in ["/a", "/b"] {
        check(target, &before, &after);
    }
}

/// Starts with two webhooks that wait for their first answer, and a backlog behind it.
async fn start_with_backlog() -> Setup {
    let one = WEBHOOK.replace("timeout = \"5s\"", "timeout = \"1m\"\npool_size = 1");
    let other = one
        .replace("[webhooks.a]", "[webhooks.b]")
        .replace("/a\"", "/b\"");
    let config = format!("shutdown_grace = \"200ms\"\n{one}{other}");
    let broker = Mosquitto::builder().line("max_queued_messages 0").start();
    let mut setup = Setup::launch(MQHOOK, broker, Receiver::start_recording(), &config);
    setup.receiver.set(Behaviour::Never);
    setup.wait_ready().await;
    let publisher = Publisher::start(setup.broker.port(), Plan::burst(BACKLOG, 64));
    publisher.wait_for(BACKLOG, PATIENCE).await;
    for webhook in ["a", "b"] {
        let waiting = format!("mqhook_waiting_deliveries{{webhook=\"{webhook}\"}}");
        setup
            .wait_for_metric(&waiting, |count| count == BACKLOG)
            .await;
    }
    let counts = |counts: &support::receiver::Counts| counts.in_flight == 2;
    setup.receiver.wait_for_counts(counts).await;
    setup
}

/// Asserts that each number came once, in order, and under the id of its attempt before the end.
fn check(target: &str, before: &[Arrival], after: &[Arrival]) {
    let of_target = |arrival: &&Arrival| &*arrival.target == target;
    let numbers: Vec<u64> = after
        .iter()
        .filter(of_target)
        .filter_map(|arrival| number_in(&arrival.body))
        .collect();
    let expected: Vec<u64> = (0..BACKLOG).collect();
    assert!(
        numbers == expected,
        "{target}: expected every number once and in order, got {numbers:?}"
    );
    let ids: HashMap<u64, &Arc<str>> = after
        .iter()
        .filter(of_target)
        .filter_map(|arrival| Some((number_in(&arrival.body)?, &arrival.event_id)))
        .collect();
    assert_eq!(ids.values().collect::<HashSet<_>>().len(), ids.len());
    let attempted: Vec<&Arrival> = before.iter().filter(of_target).collect();
    assert!(
        !attempted.is_empty(),
        "{target}: expected an attempt before"
    );
    for arrival in attempted {
        let number = number_in(&arrival.body).expect("all are numbered");
        assert_eq!(ids[&number], &arrival.event_id, "{target}, number {number}");
    }
}
