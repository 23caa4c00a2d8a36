//! What happens when more waits than may, and for longer than it may.

use std::time::Duration;

use support::receiver::Behaviour;
use support::setup::Setup;

use super::{EVENTS, WAITING, accepted, dropped, publish, start, wait_for_accepted};

/// Together four times the bound below.
const MESSAGES: u64 = 2_000;
const PAYLOAD_BYTES: usize = 1_024;

/// These are taken in, whichever end is dropped.
const SAFE: u64 = 50;

async fn start_full(on_full: &str) -> Setup {
    let keys = format!(
        "spool.max_bytes = \"512KiB\"\nspool.max_memory = \"256KiB\"\nspool.on_full = \"{on_full}\"\n"
    );
    let setup = start(&keys).await;
    setup.receiver.set(Behaviour::Status(503));
    publish(&setup, MESSAGES, PAYLOAD_BYTES).await;
    setup
}

/// Waits until all messages are events and each of them waits or is dropped, most of them the latter.
async fn wait_until_most_are_dropped(setup: &Setup) {
    let expected = "most events to be dropped and the others to wait";
    support::wait::until(super::PATIENCE, expected, async || {
        let events = setup.metric(EVENTS).await;
        let (dropped, waiting) = (dropped(setup).await, setup.metric(WAITING).await);
        let is_each = events == MESSAGES && dropped + waiting == MESSAGES;
        (is_each && dropped > MESSAGES / 2).then_some(())
    })
    .await;
}

/// Asserts that what did not arrive is as much as was counted, and returns it.
async fn missing_as_counted(setup: &Setup) -> Vec<u64> {
    setup.receiver.set(Behaviour::Status(200));
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    let accepted = accepted(setup);
    let missing: Vec<u64> = (0..MESSAGES)
        .filter(|number| !accepted.contains(number))
        .collect();
    assert_eq!(missing.len() as u64, dropped(setup).await);
    missing
}

#[tokio::test]
async fn a_blocked_spool_leaves_the_rest_to_the_broker() {
    let setup = start_full("block").await;
    setup
        .sidecar
        .wait_for_log("no room for more events; the broker keeps those of QoS 1")
        .await;
    let waiting = setup.metric(WAITING).await;
    assert!(
        waiting < MESSAGES / 2,
        "expected the broker to keep most of {MESSAGES} events, and {waiting} wait here"
    );
    setup.receiver.set(Behaviour::Status(200));
    wait_for_accepted(&setup, MESSAGES).await;
    assert_eq!(dropped(&setup).await, 0);
}

#[tokio::test]
async fn the_oldest_are_dropped_and_counted() {
    let setup = start_full("drop_oldest").await;
    wait_until_most_are_dropped(&setup).await;
    let missing = missing_as_counted(&setup).await;
    let last = missing.last().copied().unwrap_or_default();
    assert!(
        last < MESSAGES - SAFE,
        "expected the newest {SAFE} to arrive, and {last} did not"
    );
}

#[tokio::test]
async fn the_newest_are_dropped_and_counted() {
    let setup = start_full("drop_newest").await;
    wait_until_most_are_dropped(&setup).await;
    let missing = missing_as_counted(&setup).await;
    let first = missing.first().copied().unwrap_or_default();
    assert!(
        first > SAFE,
        "expected the oldest {SAFE} to arrive, and {first} did not"
    );
}

#[tokio::test]
async fn what_is_too_old_is_dropped_and_counted() {
    const OLD: u64 = 100;
    let setup = start("spool.max_age = \"2s\"\n").await;
    setup.receiver.set(Behaviour::Status(503));
    publish(&setup, OLD, 64).await;
    let expected = "every event to grow too old";
    support::wait::until(super::PATIENCE, expected, async || {
        (dropped(&setup).await == OLD).then_some(())
    })
    .await;
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    setup.receiver.set(Behaviour::Status(200));
    setup.publish("t", "after").await;
    let expected = "the event that came after";
    let accepted = support::wait::until(super::PATIENCE, expected, async || {
        let mut arrivals = setup.receiver.arrivals(0);
        arrivals.retain(support::receiver::Arrival::is_accepted);
        let is_after = |body: &[u8]| body.ends_with(b"\"payload\":\"after\"}");
        let is_there = arrivals.iter().any(|arrival| is_after(&arrival.body));
        is_there.then_some(arrivals)
    })
    .await;
    assert_eq!(accepted.len(), 1, "expected no old event, got {accepted:?}");
}

#[tokio::test]
async fn what_is_young_enough_is_kept() {
    const YOUNG: u64 = 100;
    let setup = start("spool.max_age = \"1h\"\n").await;
    setup.receiver.set(Behaviour::Status(503));
    publish(&setup, YOUNG, 64).await;
    // Long enough for several looks at what is too old.
    tokio::time::sleep(Duration::from_secs(3)).await;
    setup.receiver.set(Behaviour::Status(200));
    wait_for_accepted(&setup, YOUNG).await;
    assert_eq!(dropped(&setup).await, 0);
}
