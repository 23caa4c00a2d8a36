//! The spool on disk: its bounds, its memory, the disk below it, and what receivers do to it.
//!
//! | variable | default | |
//! |---|---|---|
//! | `MQHOOK_BACKLOG` | 200000 | how many events wait in the test of the memory they take |

mod backlog;
mod bounds;
mod dead_letters;
mod disk;
mod faults;
mod lag;
mod limit;

use std::collections::BTreeSet;
use std::time::Duration;

use support::http;
use support::mosquitto::Mosquitto;
use support::publisher::{Plan, Publisher, number_in};
use support::receiver::Receiver;
use support::setup::Setup;
use support::wait;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Longest time without any progress.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time for the broker to take a million messages, and some to spare.
const LONG: Duration = Duration::from_mins(5);

const WAITING: &str = "mqhook_waiting_deliveries{webhook=\"a\"}";
const EVENTS: &str = "mqhook_events_total{kind=\"on_message_publish\"}";

/// A webhook that never gives up, and that never waits for long.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}/a\"
timeout = \"5s\"
connect_timeout = \"1s\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
retry.exponential = { initial = \"50ms\", factor = 2, max = \"500ms\", for = \"1h\" }
breaker = { failures = 10, initial = \"50ms\", max = \"500ms\" }
";

/// Starts a broker without bounds, a receiver that records, and mqhook with these keys in front of
/// the webhook.
async fn start(keys: &str) -> Setup {
    let mut setup = launch(keys);
    setup.wait_ready().await;
    setup
}

/// Like [`start`], but does not wait for mqhook.
fn launch(keys: &str) -> Setup {
    let broker = Mosquitto::builder().line("max_queued_messages 0").start();
    let config = format!("{keys}{WEBHOOK}");
    Setup::launch(MQHOOK, broker, Receiver::start_recording(), &config)
}

/// Publishes numbers of so many bytes, and waits until the broker has them.
async fn publish(setup: &Setup, count: u64, payload_bytes: usize) {
    let plan = Plan::burst(count, payload_bytes);
    let publisher = Publisher::start(setup.broker.port(), plan);
    publisher.wait_for(count, LONG).await;
}

/// Returns the numbers that were answered 2xx.
fn accepted(setup: &Setup) -> BTreeSet<u64> {
    let arrivals = setup.receiver.arrivals(0);
    arrivals
        .iter()
        .filter(|arrival| arrival.is_accepted())
        .filter_map(|arrival| number_in(&arrival.body))
        .collect()
}

/// Waits until so many different numbers were answered 2xx.
async fn wait_for_accepted(setup: &Setup, count: u64) {
    wait::while_growing(PATIENCE, "numbers answered 2xx", count, async || {
        accepted(setup).len() as u64
    })
    .await;
}

/// Returns the sum of all series of a count of the webhook, such as of all reasons for a drop.
async fn sum(setup: &Setup, name: &str) -> u64 {
    let (status, text) = http::get(setup.admin, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    let series = format!("{name}{{webhook=\"a\"");
    let values = text.lines().filter(|line| line.starts_with(&series));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Returns how many events were dropped, for whatever reason.
async fn dropped(setup: &Setup) -> u64 {
    sum(setup, "mqhook_dropped_events_total").await
}
