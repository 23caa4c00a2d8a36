//! What was given up survives a crash, keeps to its bounds, and is delivered when it is replayed.

use std::collections::HashMap;

use support::publisher::number_in;
use support::receiver::Behaviour;
use support::setup::Setup;
use support::wait;

use super::{PATIENCE, accepted, publish, start, sum, wait_for_accepted};

const MESSAGES: u64 = 500;

/// Attempts that are under way together end in any order.
const POOL: u64 = 32;

const DELIVERIES: &str = "mqhook_deliveries_total";
const DROPPED: &str = "mqhook_dropped_dead_letters_total{webhook=\"a\"}";

/// Starts with a receiver that rejects everything, and waits until all was given up.
async fn give_up_all(keys: &str) -> Setup {
    let setup = start(keys).await;
    setup.receiver.set(Behaviour::Status(400));
    publish(&setup, MESSAGES, 1_024).await;
    wait::while_growing(PATIENCE, "rejections", MESSAGES, async || {
        sum(&setup, DELIVERIES).await
    })
    .await;
    setup
}

/// Returns how many dead letters there are, as the command line sees them.
fn letters(setup: &Setup) -> u64 {
    let output = setup
        .sidecar
        .command(&["dead-letters", "list", "--limit", "100000", "--json"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().count() as u64
}

async fn wait_for_letters(setup: &Setup, count: u64) {
    let expected = format!("{count} dead letters");
    wait::until(PATIENCE, &expected, async || {
        (letters(setup) == count).then_some(())
    })
    .await;
}

/// An event that was given up just before the crash may come again from the broker, as another one,
/// and be given up once more.
#[tokio::test]
async fn a_crash_loses_no_dead_letter() {
    let mut setup = give_up_all("").await;
    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    wait::while_growing(PATIENCE, "dead letters", MESSAGES, async || letters(&setup)).await;
    setup.receiver.set(Behaviour::Status(200));
    let output = setup.sidecar.command(&["dead-letters", "replay", "--all"]);
    assert!(output.status.success(), "{output:?}");
    wait_for_accepted(&setup, MESSAGES).await;
    wait_for_letters(&setup, 0).await;
    let mut rejected: HashMap<_, Vec<_>> = HashMap::new();
    for arrival in setup.receiver.arrivals(0) {
        let number = number_in(&arrival.body).expect("all are numbered");
        let ids = rejected.entry(number).or_default();
        if arrival.is_accepted() {
            assert!(
                ids.contains(&arrival.event_id),
                "expected {number} to be replayed under one of {ids:?}, got {}",
                arrival.event_id
            );
        } else {
            ids.push(arrival.event_id);
        }
    }
}

#[tokio::test]
async fn dead_letters_keep_to_their_bound_and_the_newest_stay() {
    let setup = give_up_all("spool.dead_letters.max_bytes = \"64KiB\"\n").await;
    // With its payload of 1 KiB each takes more than that, and at most twice as much.
    let expected = "the oldest dead letters to go";
    let kept = wait::until(PATIENCE, expected, async || {
        let count = letters(&setup);
        (count <= 64).then_some(count)
    })
    .await;
    assert!(kept >= 32, "expected as many to stay as fit, got {kept}");
    setup
        .wait_for_metric(DROPPED, |dropped| dropped + kept == MESSAGES)
        .await;
    setup.receiver.set(Behaviour::Status(200));
    let output = setup.sidecar.command(&["dead-letters", "replay", "--all"]);
    assert!(output.status.success(), "{output:?}");
    wait_for_accepted(&setup, kept).await;
    let first = accepted(&setup).first().copied().unwrap_or_default();
    assert!(
        first + POOL >= MESSAGES - kept,
        "expected the newest {kept} of {MESSAGES} to stay, and {first} did"
    );
}
