//! Whatever a receiver does to an attempt, the event is delivered by another one.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use support::client::{Client, Publish};
use support::publisher::number_in;
use support::receiver::{Answer, Behaviour, Door, Given, Request, RetryAfter};
use support::setup::Setup;

use super::{MQHOOK, WEBHOOK};

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";
const REJECTED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";

/// Starts with a webhook that has little patience with its receiver.
async fn start(keys: &str) -> Setup {
    let webhook = WEBHOOK
        .replace("timeout = \"5s\"", "timeout = \"300ms\"")
        .replace("failures = 10", "failures = 1000000");
    let config = format!("{webhook}{keys}");
    let broker = support::mosquitto::Mosquitto::builder().start();
    let receiver = support::receiver::Receiver::start_recording();
    let mut setup = Setup::launch(MQHOOK, broker, receiver, &config);
    setup.wait_ready().await;
    setup
}

/// Publishes a number at QoS 1.
async fn send(client: &mut Client, number: u64) {
    let message = Publish::new("t", format!("number={number:010};")).qos(1);
    assert!(client.publish(&message).await < 0x80);
}

/// Treats the first attempt of each event like this, and accepts every later one.
fn fail_once(setup: &Setup, fault: impl Fn(u64) -> Behaviour + Send + Sync + 'static) {
    let seen = Mutex::new(HashSet::new());
    setup.receiver.set_script(move |request: &Request| {
        let number = number_in(&request.body).expect("all are numbered");
        let is_first = seen.lock().expect("nothing here panics").insert(number);
        if is_first {
            fault(number)
        } else {
            Behaviour::Status(200)
        }
    });
}

fn faults() -> Vec<Behaviour> {
    let drip = |length| Behaviour::DripBody {
        every: Duration::from_millis(50),
        length,
    };
    let wrong = |declared, sent| Behaviour::WrongLength { declared, sent };
    let close = |announced| Behaviour::CloseAfterAnswer {
        answers: 1,
        announced,
    };
    vec![
        Behaviour::Status(103),
        Behaviour::Status(500),
        Behaviour::ResetBeforeAnswer,
        Behaviour::ResetInHeaders,
        Behaviour::ResetAfterHeaders,
        Behaviour::CloseBeforeAnswer,
        Behaviour::Never,
        drip(Some(100)),
        drip(None),
        Behaviour::EndlessBody,
        Behaviour::EndlessHeaders,
        wrong(10, 3),
        wrong(1, 3),
        Behaviour::Continue100ThenAnswer(Box::new(Behaviour::Status(503))),
        Behaviour::NonUtf8Header,
        close(true),
        close(false),
        Behaviour::CloseWhenIdle(Duration::from_millis(1)),
        Behaviour::Http10(503),
        Behaviour::Garbage,
    ]
}

#[tokio::test]
async fn every_fault_is_survived() {
    let setup = start("").await;
    let faults = faults();
    let count = faults.len() as u64;
    fail_once(&setup, move |number| {
        faults[usize::try_from(number).expect("few")].clone()
    });
    let mut client = setup.client("dev").await;
    for number in 0..count {
        send(&mut client, number).await;
    }
    setup
        .wait_for_metric(DELIVERED, |delivered| delivered == count)
        .await;
    assert_each_has_one_id_and_body(&setup, count);
}

#[tokio::test]
async fn every_way_not_to_be_let_in_is_survived() {
    let mut setup = start("").await;
    let mut client = setup.client("dev").await;
    for (number, door) in (0..).zip([Door::Reset, Door::Closed, Door::Deaf]) {
        // Connections that are open would be let in.
        setup.receiver.go_down().await;
        setup.receiver.come_back().await;
        setup.receiver.set_door(door);
        let before = setup.receiver.counts().connections;
        send(&mut client, number).await;
        setup
            .receiver
            .wait_for_counts(|counts| counts.connections > before)
            .await;
        setup.receiver.set_door(Door::Open);
        setup
            .wait_for_metric(DELIVERED, |delivered| delivered > number)
            .await;
    }
    assert_each_has_one_id_and_body(&setup, 3);
}

#[tokio::test]
async fn no_retry_after_holds_an_event_for_longer_than_may_be() {
    let setup = start("retry.retry_after_max = \"1s\"\n").await;
    let shapes = RetryAfter::every_shape(Duration::from_secs(1));
    let count = 2 * shapes.len() as u64;
    fail_once(&setup, move |number| {
        let shape = shapes[usize::try_from(number / 2).expect("few")];
        let status = if number.is_multiple_of(2) { 503 } else { 429 };
        Behaviour::Answer(Answer::new(status).retry_after(shape))
    });
    let mut client = setup.client("dev").await;
    for number in 0..count {
        send(&mut client, number).await;
    }
    setup
        .wait_for_metric(DELIVERED, |delivered| delivered == count)
        .await;
    assert_each_has_one_id_and_body(&setup, count);
}

/// 410 is treated like its neighbours here; that it disables a webhook is another promise.
#[tokio::test]
async fn every_status_code_has_its_outcome() {
    let setup = start("retry.on_gone = \"reject\"\n").await;
    fail_once(&setup, |number| {
        Behaviour::Status(u16::try_from(number).expect("a status code"))
    });
    let mut client = setup.client("dev").await;
    for status in 200..600 {
        send(&mut client, status).await;
    }
    let is_retried = |status: u64| matches!(status, 408 | 425 | 429 | 500..);
    let rejected = (300..600).filter(|status| !is_retried(*status)).count() as u64;
    setup
        .wait_for_metric(REJECTED, |count| count == rejected)
        .await;
    setup
        .wait_for_metric(DELIVERED, |count| count == 400 - rejected)
        .await;
    let mut attempts: BTreeMap<u64, usize> = BTreeMap::new();
    for arrival in setup.receiver.arrivals(0) {
        *attempts
            .entry(number_in(&arrival.body).expect("numbered"))
            .or_default() += 1;
    }
    for (status, attempts) in attempts {
        let expected = if is_retried(status) { 2 } else { 1 };
        assert_eq!(attempts, expected, "status code {status}");
    }
}

/// Asserts that all attempts of a number have the same id and body, and that the last one succeeded.
fn assert_each_has_one_id_and_body(setup: &Setup, count: u64) {
    let arrivals = setup.receiver.arrivals(0);
    for number in 0..count {
        let attempts: Vec<_> = arrivals
            .iter()
            .filter(|arrival| number_in(&arrival.body) == Some(number))
            .collect();
        let last = attempts.last().expect("an attempt");
        for attempt in &attempts {
            assert_eq!(
                (&attempt.event_id, &attempt.body),
                (&last.event_id, &last.body)
            );
        }
        let is_retried = attempts.len() > 1;
        assert!(
            !is_retried || last.answer == Given::Status(200),
            "number {number}: {attempts:?}"
        );
    }
}
