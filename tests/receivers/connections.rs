//! How many connections there are, and how they are used again.

use std::time::Duration;

use support::port::black_hole;
use support::receiver::Behaviour;

use super::{IMPATIENT, WEBHOOK, attempts, burst, distinct, start, wait_for_deliveries};

/// Sends a burst to a slow receiver and asserts what it sees of the pool.
async fn check_pool(pool_size: u64, events: u64) {
    let setup = start(&format!("{WEBHOOK}pool_size = {pool_size}\n")).await;
    let slow = Behaviour::Status(200).after(Duration::from_millis(10));
    setup.receiver.set(slow);
    burst(&setup, events).await;
    wait_for_deliveries(&setup, events).await;
    let counts = setup.receiver.counts();
    let most = pool_size;
    assert_eq!(counts.requests, events);
    assert_eq!(
        counts.peak_in_flight, most,
        "expected the pool to be used: {counts:?}"
    );
    assert!(
        counts.peak_open <= most,
        "expected at most {most} at a time: {counts:?}"
    );
    assert!(
        counts.connections <= most,
        "expected connections to be used again: {counts:?}"
    );
}

#[tokio::test]
async fn a_pool_of_one_is_one_connection() {
    check_pool(1, 60).await;
}

#[tokio::test]
async fn a_pool_of_four_is_never_more() {
    check_pool(4, 200).await;
}

#[tokio::test]
async fn a_pool_of_32_is_never_more() {
    check_pool(32, 500).await;
}

/// The receiver closes all of these: where the client does, the receiver learns of it later, and
/// may count the next connection before.
#[tokio::test]
async fn failing_connections_do_not_exceed_the_pool() {
    let setup = start(&format!("{WEBHOOK}pool_size = 4\n")).await;
    let unruly = [
        Behaviour::ResetBeforeAnswer,
        Behaviour::CloseBeforeAnswer,
        Behaviour::Garbage,
        Behaviour::Http10(200),
        Behaviour::ResetAfterHeaders,
    ];
    setup.receiver.answer_in_turn(
        unruly
            .into_iter()
            .cycle()
            .take(60)
            .chain([Behaviour::Status(200)]),
    );
    burst(&setup, 100).await;
    wait_for_deliveries(&setup, 100).await;
    let counts = setup.receiver.counts();
    assert!(
        counts.peak_open <= 4,
        "expected at most 4 at a time: {counts:?}"
    );
    assert!(
        counts.peak_in_flight <= 4,
        "expected at most 4 at a time: {counts:?}"
    );
    assert_eq!(distinct(&setup.receiver.requests()), 100);
}

#[tokio::test]
async fn after_a_timeout_another_connection_is_used() {
    let setup = start(&format!("{WEBHOOK}{IMPATIENT}pool_size = 1\n")).await;
    super::once(&setup.receiver, Behaviour::Never);
    setup.publish("t", "x").await;
    let requests = setup.receiver.wait_for(2).await;
    assert_ne!(requests[0].connection, requests[1].connection);
    let gap = requests[1].arrived.duration_since(requests[0].arrived);
    assert!(
        gap >= Duration::from_millis(250),
        "expected the timeout to pass, got {gap:?}"
    );
}

#[tokio::test]
async fn a_closed_kept_alive_connection_loses_nothing() {
    for announced in [true, false] {
        let setup = start(&format!("{WEBHOOK}pool_size = 2\n")).await;
        setup.receiver.set(Behaviour::CloseAfterAnswer {
            answers: 3,
            announced,
        });
        burst(&setup, 100).await;
        wait_for_deliveries(&setup, 100).await;
        let distinct = distinct(&setup.receiver.requests());
        assert_eq!(distinct, 100, "announced: {announced}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_used_again_until_it_is_stale() {
    let setup = start(&format!("{WEBHOOK}idle_timeout = \"200ms\"\n")).await;
    setup.publish("t", "first").await;
    setup.publish("t", "second").await;
    wait_for_deliveries(&setup, 2).await;
    // The timeout is measured by the clock, there is nothing to await.
    tokio::time::sleep(Duration::from_millis(300)).await;
    setup.publish("t", "third").await;
    let requests = setup.receiver.wait_for(3).await;
    assert_ne!(requests[2].connection, requests[1].connection);
}

#[tokio::test]
async fn a_receiver_that_goes_down_gets_everything_when_it_is_back() {
    let mut setup = start(WEBHOOK).await;
    setup.publish("t", "before").await;
    wait_for_deliveries(&setup, 1).await;
    setup.receiver.go_down().await;
    burst(&setup, 50).await;
    setup
        .wait_for_metric(&attempts("connect"), |attempts| attempts >= 10)
        .await;
    setup.receiver.come_back().await;
    wait_for_deliveries(&setup, 51).await;
    assert_eq!(distinct(&setup.receiver.requests()), 51);
    setup
        .sidecar
        .wait_for_log("webhook does not take events")
        .await;
    setup
        .sidecar
        .wait_for_log("webhook takes events again")
        .await;
}

#[tokio::test]
async fn connecting_has_a_time_limit() {
    let hole = black_hole().await;
    let url = format!("http://127.0.0.1:{}", hole.port());
    let config = WEBHOOK.replace("{receiver}", &url) + "connect_timeout = \"100ms\"\n";
    let setup = start(&config).await;
    setup.publish("t", "x").await;
    setup
        .wait_for_metric(&attempts("timeout"), |attempts| attempts >= 2)
        .await;
}

#[tokio::test]
async fn a_name_without_address_is_tried_again() {
    let config = WEBHOOK.replace("{receiver}", "http://receiver.invalid");
    let setup = start(&config).await;
    setup.publish("t", "x").await;
    setup
        .wait_for_metric(&attempts("dns"), |attempts| attempts >= 2)
        .await;
    setup.sidecar.wait_for_log("dns").await;
}
