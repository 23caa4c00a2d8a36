//! One webhook never delays another.

use std::time::{Duration, Instant};

use support::port::refusing_port;
use support::receiver::{Behaviour, Receiver};

use super::{IMPATIENT, WEBHOOK, burst, start, wait_for_deliveries};

const EVENTS: u64 = 200;

/// Runs a healthy webhook `a` beside one at `url`, and asserts that `a` gets everything soon.
async fn check(url: &str) {
    let bad = WEBHOOK
        .replace("webhooks.a", "webhooks.bad")
        .replace("{receiver}", url);
    let setup = start(&format!("{bad}{IMPATIENT}{WEBHOOK}")).await;
    let started = Instant::now();
    burst(&setup, EVENTS).await;
    wait_for_deliveries(&setup, EVENTS).await;
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(4),
        "expected no delay, it took {took:?}"
    );
    let waiting = setup
        .metric("mqhook_waiting_deliveries{webhook=\"bad\"}")
        .await;
    assert_eq!(waiting, EVENTS, "expected the other's events to wait");
}

#[tokio::test]
async fn a_dead_receiver_delays_no_other() {
    let port = refusing_port();
    check(&format!("http://127.0.0.1:{}", port.port())).await;
}

#[tokio::test]
async fn a_silent_receiver_delays_no_other() {
    let silent = Receiver::start();
    silent.set(Behaviour::Never);
    check(&silent.url()).await;
}

#[tokio::test]
async fn a_failing_receiver_delays_no_other() {
    let failing = Receiver::start();
    failing.set(Behaviour::Status(500));
    check(&failing.url()).await;
}

#[tokio::test]
async fn fresh_events_go_before_retries() {
    let setup = start(&format!("{WEBHOOK}pool_size = 1\n")).await;
    setup.receiver.set_script(|request| {
        let is_poison = request.text().contains("poison");
        Behaviour::Status(if is_poison { 503 } else { 200 })
    });
    for _ in 0..5 {
        setup.publish("t", "poison").await;
    }
    burst(&setup, 50).await;
    wait_for_deliveries(&setup, 50).await;
    let waiting = "mqhook_waiting_deliveries{webhook=\"a\"}";
    setup.wait_for_metric(waiting, |count| count == 5).await;
}
