//! What an answer, or the lack of one, makes of an event.

use std::time::Duration;

use support::receiver::{Answer, Behaviour, Receiver};
use support::setup::Setup;

use super::{IMPATIENT, REJECTED, WEBHOOK, attempts, distinct, once, start, wait_for_deliveries};

/// What is to become of an event whose first request meets a behaviour.
#[derive(Clone, Copy)]
enum Becomes {
    /// Delivered by that request.
    Delivered,
    /// Tried again, after an attempt that is counted as this.
    Retried(&'static str),
    /// Given up after that request.
    Rejected(&'static str),
}

/// Publishes one event to a receiver that behaves like this once, and another one after it.
async fn check(behaviour: Behaviour, becomes: Becomes) {
    let name = format!("{behaviour:?}");
    let mut setup = start(WEBHOOK).await;
    once(&setup.receiver, behaviour);
    setup.publish("t", "first").await;
    let requests = match becomes {
        Becomes::Delivered => {
            wait_for_deliveries(&setup, 1).await;
            1
        }
        Becomes::Retried(outcome) => {
            wait_for_deliveries(&setup, 1).await;
            assert_eq!(setup.metric(&attempts(outcome)).await, 1, "{name}");
            2
        }
        Becomes::Rejected(outcome) => {
            setup
                .wait_for_metric(REJECTED, |rejected| rejected == 1)
                .await;
            assert_eq!(setup.metric(&attempts(outcome)).await, 1, "{name}");
            1
        }
    };
    let seen = setup.receiver.requests();
    assert_eq!(seen.len(), requests, "{name}: requests for one event");
    assert_eq!(distinct(&seen), 1, "{name}: {seen:?}");
    goes_on(&mut setup, &name).await;
}

/// Publishes to an impatient webhook whose receiver behaves like this once.
async fn check_timeout(behaviour: Behaviour) {
    let name = format!("{behaviour:?}");
    let mut setup = start(&format!("{WEBHOOK}{IMPATIENT}")).await;
    once(&setup.receiver, behaviour);
    setup.publish("t", "first").await;
    wait_for_deliveries(&setup, 1).await;
    let seen = setup.receiver.requests();
    // On a busy machine the good answer may be late as well.
    assert!(seen.len() >= 2, "{name}: expected another try");
    assert_eq!(distinct(&seen), 1, "{name}: {seen:?}");
    assert!(
        setup.metric(&attempts("timeout")).await >= 1,
        "{name}: expected it to be counted"
    );
    goes_on(&mut setup, &name).await;
}

/// Publishes another event, which must arrive.
async fn goes_on(setup: &mut Setup, name: &str) {
    let before = setup.receiver.requests().len();
    setup.publish("t", "second").await;
    let requests = setup.receiver.wait_for(before + 1).await;
    let next = &requests[before];
    assert!(next.text().contains("second"), "{name}: got {next:?}");
    setup.wait_ready().await;
}

#[tokio::test]
async fn success_is_2xx() {
    for status in [200, 201, 202, 204, 299] {
        check(Behaviour::Status(status), Becomes::Delivered).await;
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for status in [408, 425, 429] {
        check(Behaviour::Status(status), Becomes::Retried("status_4xx")).await;
    }
    for status in [500, 502, 503, 504, 599] {
        check(Behaviour::Status(status), Becomes::Retried("status_5xx")).await;
    }
}

#[tokio::test]
async fn what_the_receiver_does_not_want_is_given_up() {
    for status in [400, 401, 403, 404, 413, 422] {
        check(Behaviour::Status(status), Becomes::Rejected("status_4xx")).await;
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 307, 308] {
        let elsewhere = Receiver::start();
        let redirect = Answer::new(status).header("Location", elsewhere.url());
        check(Behaviour::Answer(redirect), Becomes::Rejected("status_3xx")).await;
        assert_eq!(
            elsewhere.counts().connections,
            0,
            "expected {status} not to be followed"
        );
    }
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again() {
    check(Behaviour::ResetBeforeAnswer, Becomes::Retried("closed")).await;
    check(Behaviour::ResetAfterHeaders, Becomes::Retried("closed")).await;
    check(Behaviour::CloseBeforeAnswer, Becomes::Retried("closed")).await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_tried_again() {
    check_timeout(Behaviour::Never).await;
    let every = Duration::from_millis(20);
    let drip = |length| Behaviour::DripBody { every, length };
    check_timeout(drip(Some(1_000))).await;
    check_timeout(drip(None)).await;
    check(drip(Some(3)), Becomes::Delivered).await;
    let slow = Behaviour::Status(200).after(Duration::from_millis(100));
    check(slow, Becomes::Delivered).await;
}

#[tokio::test]
async fn a_body_without_end_is_read_up_to_a_limit() {
    check(Behaviour::EndlessBody, Becomes::Delivered).await;
    let long = Answer::new(200).body(vec![b'x'; 10_000_000]);
    check(Behaviour::Answer(long), Becomes::Delivered).await;
}

#[tokio::test]
async fn a_body_of_the_wrong_length_harms_no_other_event() {
    let wrong = |declared, sent| Behaviour::WrongLength { declared, sent };
    check(wrong(100, 10), Becomes::Retried("closed")).await;
    check(wrong(10, 100), Becomes::Delivered).await;
}

#[tokio::test]
async fn odd_but_legal_answers_deliver() {
    let ok = Box::new(Behaviour::Status(200));
    check(Behaviour::Continue100ThenAnswer(ok), Becomes::Delivered).await;
    check(Behaviour::NonUtf8Header, Becomes::Delivered).await;
    check(Behaviour::Http10(200), Becomes::Delivered).await;
    let body = Answer::new(200)
        .header("Content-Type", "image/png")
        .body(&b"\xff\0"[..]);
    check(Behaviour::Answer(body), Becomes::Delivered).await;
}

#[tokio::test]
async fn old_http_is_understood_when_it_refuses() {
    check(Behaviour::Http10(503), Becomes::Retried("status_5xx")).await;
    check(Behaviour::Http10(404), Becomes::Rejected("status_4xx")).await;
}

#[tokio::test]
async fn what_is_not_http_is_tried_again() {
    check(Behaviour::Garbage, Becomes::Retried("protocol")).await;
}
