//! A long outage: how much memory it takes, and how soon it is over.

use std::env;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::receiver::Behaviour;
use support::setup::Setup;
use support::wait;

use super::{PATIENCE, WAITING, dropped, publish, start};

/// The most memory that mqhook may take, however many events wait.
const MOST_MEMORY: u64 = 64_000_000;

/// Longest time from its start to the first attempt. The goal is a second, on a machine of its own.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);

fn events() -> u64 {
    match env::var("MQHOOK_BACKLOG") {
        Ok(text) => text.parse().expect("expected a number in MQHOOK_BACKLOG"),
        Err(_) => 200_000,
    }
}

#[tokio::test]
async fn a_backlog_lives_on_disk_and_is_delivered_after_a_crash() {
    let events = events();
    let mut setup = start("").await;
    setup.receiver.set(Behaviour::Status(503));
    let began = Instant::now();
    publish(&setup, events, 64).await;
    wait::while_growing(PATIENCE, "events on disk", events, async || on_disk(&setup)).await;
    assert_frugal(&setup, "when all are on disk", began);

    setup.sidecar.kill();
    setup.receiver.set(Behaviour::Status(200));
    let began = Instant::now();
    let before = setup.receiver.counts().requests;
    setup.sidecar.start_again();
    let requests = |counts: &support::receiver::Counts| counts.requests > before;
    setup.receiver.wait_for_counts(requests).await;
    let first = began.elapsed();
    println!("first attempt after {first:?}");
    assert!(first < FIRST_ATTEMPT, "the first attempt took {first:?}");
    wait::while_growing(PATIENCE, "deliveries", before + events, async || {
        setup.receiver.counts().requests
    })
    .await;
    // What the broker had no PUBACK of came again.
    wait::while_growing(
        PATIENCE,
        "nothing to be left",
        u64::MAX,
        async || match setup.metric(WAITING).await {
            0 => u64::MAX,
            _ => setup.receiver.counts().requests,
        },
    )
    .await;
    assert_frugal(&setup, "when all are delivered", began);
    assert_eq!(super::accepted(&setup).len() as u64, events);
    assert_eq!(dropped(&setup).await, 0);
}

/// Returns how many deliveries are on disk, as another process sees it.
fn on_disk(setup: &Setup) -> u64 {
    let output = setup.sidecar.command(&["spool", "status", "--json"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let webhook = &status["webhooks"][0];
    let count = |key: &str| webhook[key].as_u64().expect("a number");
    count("fresh") + count("retrying")
}

/// Prints and checks how much memory it takes.
fn assert_frugal(setup: &Setup, when: &str, began: Instant) {
    let memory = setup.sidecar.memory();
    println!("{when}: {memory:?}, {:?}", began.elapsed());
    assert!(
        memory.peak_bytes < MOST_MEMORY,
        "{when}: expected less than {MOST_MEMORY} bytes, got {memory:?}"
    );
}
