//! What has something in common comes one after the other, and nothing else waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use support::receiver::{Behaviour, Gate, Request};
use support::setup::Setup;
use support::wait;

use super::{PATIENCE, WAITING, by_topic, first_times, publish, start, told, topic_of};

const TOPICS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Has the receiver refuse a topic as long as the flag is set.
fn refuse(setup: &Setup, topic: &'static str) -> Arc<AtomicBool> {
    let refuses = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&refuses);
    setup.receiver.set_script(move |request| {
        let is_refused = flag.load(Ordering::SeqCst) && topic_of(request) == topic;
        Behaviour::Status(if is_refused { 503 } else { 200 })
    });
    refuses
}

async fn publish_all(setup: &Setup, numbers: std::ops::Range<u64>) {
    let mut client = setup.client("publisher").await;
    for number in numbers {
        for topic in TOPICS {
            publish(&mut client, topic, number).await;
        }
    }
    client.disconnect().await;
}

fn count(requests: &[Request], topic: &str) -> usize {
    by_topic(requests)
        .get(topic)
        .map_or(0, |numbers| first_times(numbers).len())
}

async fn wait_for_topics(setup: &Setup, topics: &[&str], expected: usize) {
    let has_all = |requests: &[Request]| {
        topics
            .iter()
            .all(|topic| count(requests, topic) >= expected)
    };
    setup.receiver.wait_until(has_all).await;
}

fn assert_in_order(requests: &[Request], expected: u64) {
    let by_topic = by_topic(requests);
    for topic in TOPICS {
        let wanted: Vec<u64> = (0..expected).collect();
        assert_eq!(first_times(&by_topic[topic]), wanted, "{topic}");
    }
}

#[tokio::test]
async fn a_topic_that_fails_holds_up_no_other_and_comes_in_order_after_a_crash() {
    let mut setup = start("", "order_by = \"topic\"\n").await;
    let refuses = refuse(&setup, "a");
    publish_all(&setup, 0..30).await;
    wait_for_topics(&setup, &TOPICS[1..], 30).await;
    setup
        .wait_for_metric(WAITING, |waiting| waiting == 30)
        .await;
    let requests = setup.receiver.requests();
    assert_eq!(count(&requests, "a"), 1, "expected one number to be tried");

    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    publish_all(&setup, 30..40).await;
    wait_for_topics(&setup, &TOPICS[1..], 40).await;
    let requests = setup.receiver.requests();
    assert_eq!(
        count(&requests, "a"),
        1,
        "expected the first to be tried still"
    );

    refuses.store(false, Ordering::SeqCst);
    wait_for_topics(&setup, &TOPICS, 40).await;
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    assert_in_order(&setup.receiver.requests(), 40);
}

#[tokio::test]
async fn a_topic_that_fails_may_have_any_backlog() {
    const BACKLOG: u64 = 6_000;
    let setup = start("spool.max_memory = \"1MiB\"", "order_by = \"topic\"\n").await;
    let refuses = refuse(&setup, "a");
    let mut client = setup.client("publisher").await;
    for number in 0..BACKLOG {
        publish(&mut client, "a", number).await;
    }
    publish(&mut client, "b", 0).await;
    wait_for_topics(&setup, &["b"], 1).await;
    assert_eq!(count(&setup.receiver.requests(), "a"), 1);

    refuses.store(false, Ordering::SeqCst);
    wait::while_growing(PATIENCE, "deliveries", BACKLOG, async || {
        BACKLOG.saturating_sub(setup.metric(WAITING).await)
    })
    .await;
    let requests = setup.receiver.requests();
    let numbers = &by_topic(&requests)["a"];
    assert!(
        first_times(numbers).into_iter().eq(0..BACKLOG),
        "expected all in order"
    );
}

#[tokio::test]
async fn requests_of_one_topic_never_overlap_and_those_of_many_do() {
    let setup = start("", "order_by = \"topic\"\npool_size = 6\n").await;
    setup
        .receiver
        .set(Behaviour::Status(200).after(Duration::from_millis(20)));
    let began = Instant::now();
    publish_all(&setup, 0..20).await;
    wait_for_topics(&setup, &TOPICS, 20).await;
    assert_in_order(&setup.receiver.requests(), 20);
    // One after the other they would take 2.4 s, and six at a time 0.4 s.
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(setup.receiver.counts().requests, 120);
}

#[tokio::test]
async fn what_has_failed_for_long_gives_way() {
    let setup = start("", "order_by = \"topic\"\norder_skip_after = \"700ms\"\n").await;
    setup.receiver.set_script(|request| {
        let is_first = told(&request.body)[0].1 == 0;
        Behaviour::Status(if is_first { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    let began = Instant::now();
    for number in 0..20 {
        publish(&mut client, "a", number).await;
    }
    let is_there = |requests: &[Request]| count(requests, "a") == 20;
    let requests = setup.receiver.wait_until(is_there).await;
    assert!(
        began.elapsed() >= Duration::from_millis(700),
        "{:?}",
        began.elapsed()
    );
    let all: Vec<u64> = (0..20).collect();
    assert_eq!(first_times(&by_topic(&requests)["a"]), all);
    setup.receiver.set(Behaviour::Status(200));
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}

#[tokio::test]
async fn what_waits_in_memory_only_is_in_order_as_well() {
    let setup = start("spool.backend = \"memory\"", "order_by = \"topic\"\n").await;
    let refuses = refuse(&setup, "a");
    publish_all(&setup, 0..20).await;
    wait_for_topics(&setup, &TOPICS[1..], 20).await;
    assert_eq!(count(&setup.receiver.requests(), "a"), 1);
    refuses.store(false, Ordering::SeqCst);
    wait_for_topics(&setup, &TOPICS, 20).await;
    assert_in_order(&setup.receiver.requests(), 20);
}

#[tokio::test]
async fn a_batch_that_fails_is_not_overtaken_by_what_came_meanwhile() {
    const EVENTS: u64 = 60;
    let keys = "order_by = \"topic\"\nbatch = { max_events = 40, max_wait = \"2s\" }\n";
    let setup = start("", keys).await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(503).behind(&gate));
    let mut client = setup.client("publisher").await;
    for number in 0..EVENTS {
        publish(&mut client, "a", number).await;
    }
    setup.receiver.wait_for(1).await;
    let all_came = |events| events == EVENTS;
    setup
        .wait_for_metric("mqhook_events_total{kind=\"on_message_publish\"}", all_came)
        .await;
    setup.receiver.set(Behaviour::Status(200));
    gate.open();
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    let requests = setup.receiver.requests();
    let is_tried = told(&requests[0].body).len() == 40;
    assert!(is_tried, "expected a full batch to fail");
    let numbers: Vec<u64> = (0..EVENTS).collect();
    let after_the_first = by_topic(&requests[1..]);
    assert_eq!(after_the_first["a"], numbers);
}

#[tokio::test]
async fn a_backlog_of_one_topic_leaves_others_their_turn() {
    const BACKLOG: u64 = 200;
    let setup = start("", "order_by = \"topic\"\nrate_limit = \"50/s\"\n").await;
    let refuses = refuse(&setup, "a");
    let mut client = setup.client("publisher").await;
    for number in 0..BACKLOG {
        publish(&mut client, "a", number).await;
    }
    setup
        .wait_for_metric(WAITING, |waiting| waiting == BACKLOG)
        .await;
    refuses.store(false, Ordering::SeqCst);
    wait_for_topics(&setup, &["a"], 3).await;
    publish(&mut client, "b", 0).await;
    wait_for_topics(&setup, &["b"], 1).await;
    let before = count(&setup.receiver.requests(), "a");
    assert!(before < 100, "{before} of the backlog came before");
}
