//! Of what waits, only the newest of a topic is posted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::client::Publish;
use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Gate, Receiver, Request};
use support::setup::Setup;

use super::{WAITING, by_topic, publish, start, told};

const DROPPED: &str = "mqhook_dropped_events_total{webhook=\"a\",reason=\"superseded\"}";

#[tokio::test]
async fn a_backlog_shrinks_to_the_newest_of_each_topic() {
    let setup = start("", "conflate = \"topic\"\npool_size = 1\n").await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    let mut client = setup.client("publisher").await;
    publish(&mut client, "s", 0).await;
    setup.receiver.wait_for(1).await;
    for number in 0..100 {
        publish(&mut client, "t", number).await;
        publish(&mut client, "u", number).await;
    }
    setup
        .wait_for_metric(DROPPED, |dropped| dropped == 198)
        .await;
    gate.open();
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    let by_topic = by_topic(&setup.receiver.requests());
    assert_eq!(by_topic["t"], [99]);
    assert_eq!(by_topic["u"], [99]);
}

#[tokio::test]
async fn an_older_one_is_not_tried_again_once_a_newer_one_has_come() {
    let keys = "conflate = \"topic\"\nretry.exponential.initial = \"500ms\"\n";
    let keys = format!("{keys}retry.exponential.max = \"500ms\"\n");
    let config = super::WEBHOOK.replace(
        "retry.exponential = { initial = \"50ms\", factor = 2, max = \"200ms\", for = \"1h\" }\n",
        "",
    );
    let broker = support::mosquitto::Mosquitto::builder().start();
    let receiver = support::receiver::Receiver::start();
    let config = format!("{config}{keys}");
    let mut setup = support::setup::Setup::launch(super::MQHOOK, broker, receiver, &config);
    setup.wait_ready().await;
    setup.receiver.set_script(|request| {
        let is_first = told(&request.body)[0].1 == 0;
        Behaviour::Status(if is_first { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    publish(&mut client, "t", 0).await;
    setup.receiver.wait_for(1).await;
    publish(&mut client, "t", 1).await;
    let is_there = |requests: &[Request]| by_topic(requests)["t"].contains(&1);
    setup.receiver.wait_until(is_there).await;
    setup.wait_for_metric(DROPPED, |dropped| dropped == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(by_topic(&setup.receiver.requests())["t"], [0, 1]);
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}

/// Waits longer than any test before it tries again.
const LATER: &str = "retry.exponential = { initial = \"10m\", max = \"10m\", for = \"1h\" }\n";

/// Starts everything with keys before and in the webhook, which does not try again soon.
async fn start_patient(keys: &str, of_webhook: &str) -> Setup {
    let retry = |line: &&str| !line.starts_with("retry.");
    let lines: Vec<_> = super::WEBHOOK.lines().filter(retry).collect();
    let config = format!("{keys}\n{}\n{LATER}{of_webhook}", lines.join("\n"));
    let broker = Mosquitto::builder().line("log_type debug").start();
    let mut setup = Setup::launch(super::MQHOOK, broker, Receiver::start(), &config);
    setup.wait_ready().await;
    setup
}

/// Has the first number be refused, and all others taken.
fn refuse_0(setup: &Setup) {
    setup.receiver.set_script(|request| {
        let is_first = told(&request.body)[0].1 == 0;
        Behaviour::Status(if is_first { 503 } else { 200 })
    });
}

#[tokio::test]
async fn what_was_put_off_is_gone_when_a_newer_one_has_come_also_after_a_restart() {
    for backend in ["sqlite", "memory"] {
        let keys = format!("spool.backend = \"{backend}\"");
        let mut setup = start_patient(&keys, "conflate = \"topic\"\n").await;
        refuse_0(&setup);
        let mut client = setup.client("publisher").await;
        publish(&mut client, "t", 0).await;
        setup.receiver.wait_for(1).await;
        publish(&mut client, "t", 1).await;
        setup.wait_for_metric(DROPPED, |dropped| dropped == 1).await;
        setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
        if backend == "sqlite" {
            // Otherwise the broker gives 1 again.
            setup.broker.wait_acknowledged("mqhook").await;
            setup.sidecar.kill();
            setup.sidecar.start_again();
            setup.wait_ready().await;
        }
        publish(&mut client, "t", 2).await;
        let is_there = |requests: &[Request]| by_topic(requests)["t"].contains(&2);
        let requests = setup.receiver.wait_until(is_there).await;
        assert_eq!(by_topic(&requests)["t"], [0, 1, 2], "{backend}");
    }
}

#[tokio::test]
async fn what_was_put_off_and_is_the_newest_comes_after_a_restart() {
    let mut setup = start_patient("", "conflate = \"topic\"\n").await;
    setup.receiver.set(Behaviour::Status(503));
    let mut client = setup.client("publisher").await;
    for topic in ["t", "u"] {
        publish(&mut client, topic, 7).await;
    }
    setup.receiver.wait_for(2).await;
    setup.wait_for_metric(WAITING, |waiting| waiting == 2).await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let requests = setup.receiver.wait_for(4).await;
    let expected = [("t", [7, 7]), ("u", [7, 7])];
    let expected = expected.map(|(topic, numbers)| (topic.to_owned(), numbers.to_vec()));
    assert!(by_topic(&requests).into_iter().eq(expected));
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}

#[tokio::test]
async fn retries_have_their_turn_while_there_is_more_than_the_limit() {
    let setup = start("", "conflate = \"topic\"\nrate_limit = \"20/s\"\n").await;
    let is_first = AtomicBool::new(true);
    setup.receiver.set_script(move |request| {
        let fails = told(&request.body)[0].0 == "x" && is_first.swap(false, Ordering::SeqCst);
        Behaviour::Status(if fails { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    publish(&mut client, "x", 0).await;
    setup.receiver.wait_for(1).await;
    let has_retried = |requests: &[Request]| by_topic(requests)["x"].len() == 2;
    let flood = async {
        for number in 0.. {
            publish(&mut client, &format!("t{}", number % 30), number).await;
        }
    };
    tokio::select! {
        () = flood => unreachable!("it has no end"),
        _ = setup.receiver.wait_until(has_retried) => {}
    }
}

#[tokio::test]
async fn what_has_no_topic_keeps_to_the_limit() {
    let webhook = super::WEBHOOK.replace(
        "event = \"on_message_publish\", topic = \"#\"",
        "event = \"on_client_connected\"",
    );
    let config = format!("{webhook}conflate = \"topic\"\nrate_limit = \"10/s\"\n");
    let broker = Mosquitto::builder().log_topics().start();
    let mut setup = Setup::launch(super::MQHOOK, broker, Receiver::start(), &config);
    setup.wait_ready().await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let arrived = Arc::clone(&times);
    setup.receiver.set_script(move |_| {
        let mut arrived = arrived.lock().expect("pushing does not panic");
        arrived.push(Instant::now());
        Behaviour::Status(200)
    });
    let mut clients = Vec::new();
    for number in 0..6 {
        clients.push(setup.client(&format!("client-{number}")).await);
    }
    setup.receiver.wait_for(6).await;
    let times = times.lock().expect("pushing does not panic");
    assert!(
        times[5] - times[0] >= Duration::from_millis(400),
        "{times:?}"
    );
}

#[tokio::test]
async fn the_newest_of_each_topic_comes_whatever_fails() {
    const TOPICS: u64 = 12;
    for batch in ["", "batch = { max_events = 5, max_wait = \"10ms\" }\n"] {
        let keys = format!("conflate = \"topic\"\npool_size = 2\n{batch}");
        let mut setup = start("", &keys).await;
        let requests = AtomicU64::new(0);
        setup.receiver.set_script(move |_| {
            let number = requests.fetch_add(1, Ordering::SeqCst);
            Behaviour::Status(if number.is_multiple_of(4) { 200 } else { 503 })
        });
        let mut client = setup.client("publisher").await;
        for number in 0..600 {
            let topic = format!("t{}", number % TOPICS);
            let qos = u8::from(number % 3 == 0);
            let message = Publish::new(&topic, number.to_string()).qos(qos);
            client.publish(&message).await;
            if number == 300 {
                setup.sidecar.kill();
                setup.sidecar.start_again();
                setup.wait_ready().await;
            }
        }
        for topic in 0..TOPICS {
            publish(&mut client, &format!("t{topic}"), 1_000).await;
        }
        let has_come = |requests: &[Request]| {
            let by_topic = by_topic(requests);
            by_topic.len() as u64 == TOPICS
                && by_topic.values().all(|numbers| numbers.contains(&1_000))
        };
        setup.receiver.wait_until(has_come).await;
        setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
        for (topic, numbers) in by_topic(&setup.receiver.requests()) {
            assert_eq!(numbers.last(), Some(&1_000), "{topic}: {numbers:?}");
        }
    }
}
