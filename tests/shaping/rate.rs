//! A receiver gets no more requests than it may.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::receiver::Behaviour;

use super::{WAITING, publish, start};

/// How much later a request may arrive than it was made, beyond which the machine is to blame.
const JITTER: Duration = Duration::from_millis(40);

#[tokio::test]
async fn attempts_that_fail_count_and_none_is_lost() {
    let setup = start("", "rate_limit = \"50/s\"\n").await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&times);
    setup.receiver.set_script(move |_| {
        let mut arrived = arrived.lock().expect("pushing does not panic");
        arrived.push(Instant::now());
        Behaviour::Status(if arrived.len() % 2 == 0 { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    for number in 0..30 {
        publish(&mut client, "t", number).await;
    }
    let waits = |waiting| waiting == 0;
    setup
        .receiver
        .wait_for_counts(|counts| counts.requests >= 59)
        .await;
    setup.wait_for_metric(WAITING, waits).await;
    let times = times.lock().expect("pushing does not panic");
    let interval = Duration::from_millis(20);
    for (index, pair) in times.windows(11).enumerate() {
        let stretch = pair[10] - pair[0];
        assert!(stretch + JITTER >= 10 * interval, "{index}: {stretch:?}");
    }
}
