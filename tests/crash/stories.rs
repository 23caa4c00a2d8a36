//! Everything dies, alone and in company.

use std::time::Duration;

use super::judge::{Verdict, Victim};
use super::world::{World, crashes};

/// Longest time between two deaths.
const A_WHILE: Duration = Duration::from_millis(400);

/// Lets these die in turns, at random moments, while the receiver's mood changes.
async fn story(name: &'static str, keys: &str, victims: &[Victim]) -> Verdict {
    let mut world = World::start(name, keys).await;
    for _ in 0..crashes() {
        world.turn().await;
        world.a_while(A_WHILE).await;
        let victim = *world.random.pick(victims);
        world.strike(victim).await;
    }
    let verdict = world.end().await;
    verdict.assert();
    verdict
}

#[tokio::test]
async fn nothing_is_lost_when_mqhook_is_killed() {
    story("mqhook is killed", "", &[Victim::Sidecar]).await;
}

#[tokio::test]
async fn ids_survive_when_events_are_written_before_the_first_attempt() {
    let keys = "spool.elide = false\n";
    let verdict = story("mqhook is killed, no elision", keys, &[Victim::Sidecar]).await;
    assert_eq!(
        verdict.abandoned,
        [],
        "expected every id that was attempted to be delivered in the end"
    );
}

#[tokio::test]
async fn nothing_is_lost_when_the_broker_dies() {
    story("the broker dies", "", &[Victim::Broker]).await;
}

#[tokio::test]
async fn nothing_is_lost_when_the_receiver_dies() {
    story("the receiver dies", "", &[Victim::Receiver]).await;
}

#[tokio::test]
async fn nothing_is_lost_when_all_of_them_die() {
    let all = [Victim::Sidecar, Victim::Broker, Victim::Receiver];
    story("all of them die", "", &all).await;
}
