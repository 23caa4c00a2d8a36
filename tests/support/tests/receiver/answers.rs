//! Answers, whole and broken.

use std::time::{Duration, Instant};

use support::http;
use support::receiver::{Answer, Behaviour, Receiver, RetryAfter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{GET, SOON, connect, exchange, read_until, until_end, was_reset};

#[tokio::test]
async fn answers_come_in_turn_and_the_last_one_stays() {
    let receiver = Receiver::start();
    receiver.answer_in_turn([
        Behaviour::Status(500),
        Behaviour::Status(410),
        Behaviour::Status(204),
    ]);
    for expected in [500, 410, 204, 204] {
        assert_eq!(
            http::request(receiver.port(), "POST", "/", "{}").await.0,
            expected
        );
    }
}

#[tokio::test]
async fn a_script_sees_the_request() {
    let receiver = Receiver::start();
    receiver.set_script(|request| match request.target() {
        "/good" => Behaviour::Answer(Answer::new(200).header("X-A", "1").body("hello")),
        _ => Behaviour::Status(404),
    });
    assert_eq!(
        http::get(receiver.port(), "/good").await,
        (200, "hello".to_owned())
    );
    assert_eq!(
        http::get(receiver.port(), "/bad").await,
        (404, String::new())
    );
}

#[tokio::test]
async fn bodies_misbehave_as_told() {
    let receiver = Receiver::start();
    receiver.set(Behaviour::WrongLength {
        declared: 10,
        sent: 3,
    });
    assert!(
        until_end(&receiver)
            .await
            .0
            .ends_with("Content-Length: 10\r\n\r\n...")
    );
    receiver.set(Behaviour::WrongLength {
        declared: 1,
        sent: 3,
    });
    let mut stream = connect(&receiver).await;
    exchange(&mut stream).await;
    assert_eq!(read_until(&mut stream, b"...").await, b"...");
    receiver.set(Behaviour::Continue100ThenAnswer(Box::new(
        Behaviour::Status(202),
    )));
    let mut stream = connect(&receiver).await;
    assert!(exchange(&mut stream).await.starts_with("HTTP/1.1 100"));
    assert!(
        read_until(&mut stream, b"\r\n\r\n")
            .await
            .starts_with(b"HTTP/1.1 202")
    );
    receiver.set(Behaviour::NonUtf8Header);
    stream.write_all(GET).await.expect("sent");
    let answer = read_until(&mut stream, b"\r\n\r\n").await;
    assert!(std::str::from_utf8(&answer).is_err(), "{answer:?}");
}

#[tokio::test]
async fn a_body_drips_and_an_endless_one_stops_with_the_client() {
    let receiver = Receiver::start();
    receiver.set(Behaviour::DripBody {
        every: Duration::from_millis(5),
        length: Some(4),
    });
    let mut stream = connect(&receiver).await;
    let start = Instant::now();
    exchange(&mut stream).await;
    read_until(&mut stream, b"....").await;
    assert!(start.elapsed() >= Duration::from_millis(20));
    for endless in [
        Behaviour::EndlessBody,
        Behaviour::DripBody {
            every: Duration::from_millis(1),
            length: None,
        },
    ] {
        receiver.set(endless);
        let mut stream = connect(&receiver).await;
        assert!(exchange(&mut stream).await.contains("chunked"));
        read_until(&mut stream, b".").await;
        receiver
            .wait_for_counts(|counts| counts.in_flight == 1)
            .await;
        drop(stream);
        receiver
            .wait_for_counts(|counts| counts.in_flight == 0)
            .await;
    }
}

#[tokio::test]
async fn every_status_code_is_sent() {
    let receiver = Receiver::start();
    for status in 200..=999 {
        receiver.set(Behaviour::Status(status));
        assert_eq!(http::get(receiver.port(), "/").await.0, status);
    }
    receiver.set(Behaviour::Status(103));
    let mut stream = connect(&receiver).await;
    assert!(
        exchange(&mut stream).await.ends_with("103 Status\r\n\r\n"),
        "an interim answer has no body"
    );
}

#[tokio::test]
async fn every_shape_of_retry_after_is_sent_as_it_is() {
    let receiver = Receiver::start();
    for shape in RetryAfter::every_shape(Duration::from_secs(2)) {
        let answer = Answer::new(503).retry_after(shape);
        receiver.set(Behaviour::Answer(answer));
        let mut stream = connect(&receiver).await;
        stream.write_all(GET).await.expect("sent");
        let answer = read_until(&mut stream, b"\r\n\r\n").await;
        let line = [b"Retry-After: ", &shape.value()[..], b"\r\n"].concat();
        assert!(
            answer.windows(line.len()).any(|part| part == line),
            "expected {shape:?}, got {}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[tokio::test]
async fn headers_end_early_or_never() {
    let receiver = Receiver::start();
    receiver.set(Behaviour::ResetInHeaders);
    let (answer, end) = until_end(&receiver).await;
    assert!(
        answer.ends_with("Content-Le") && was_reset(&end),
        "{answer:?} {end:?}"
    );
    receiver.set(Behaviour::EndlessHeaders);
    let mut stream = connect(&receiver).await;
    stream.write_all(GET).await.expect("sent");
    let mut bytes = vec![0; 100_000];
    timeout(SOON, stream.read_exact(&mut bytes))
        .await
        .expect("they go on")
        .expect("they go on");
    assert!(!bytes.windows(4).any(|end| end == b"\r\n\r\n"));
}
