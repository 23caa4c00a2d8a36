//! Connections, opened, kept and ended.

use std::process::Command;
use std::time::Duration;

use support::certificates::Certificates;
use support::http;
use support::port::{black_hole, refusing_port};
use support::receiver::{Behaviour, Door, Gate, Receiver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{GET, SOON, connect, exchange, read_until, until_end, was_reset};

#[tokio::test]
async fn connections_end_as_told() {
    let receiver = Receiver::start();
    receiver.set(Behaviour::ResetBeforeAnswer);
    let (answer, end) = until_end(&receiver).await;
    assert!(answer.is_empty() && was_reset(&end), "{answer:?} {end:?}");
    receiver.set(Behaviour::ResetAfterHeaders);
    let (answer, end) = until_end(&receiver).await;
    assert!(
        answer.ends_with("Content-Length: 100\r\n\r\n") && was_reset(&end),
        "{answer:?} {end:?}"
    );
    receiver.set(Behaviour::CloseBeforeAnswer);
    let (answer, end) = until_end(&receiver).await;
    assert!(answer.is_empty() && end.is_ok(), "{answer:?} {end:?}");
    receiver.set(Behaviour::Http10(200));
    let (answer, end) = until_end(&receiver).await;
    assert!(end.is_ok());
    assert_eq!(answer, "HTTP/1.0 200 OK\r\n\r\nold");
    receiver.set(Behaviour::Garbage);
    assert!(!until_end(&receiver).await.0.starts_with("HTTP"));
}

#[tokio::test]
async fn a_kept_connection_is_closed_after_so_many_answers() {
    let receiver = Receiver::start();
    for (announced, expected) in [(true, true), (false, false)] {
        receiver.set(Behaviour::CloseAfterAnswer {
            answers: 2,
            announced,
        });
        let mut stream = connect(&receiver).await;
        assert!(!exchange(&mut stream).await.contains("Connection: close"));
        assert_eq!(
            exchange(&mut stream).await.contains("Connection: close"),
            expected
        );
        assert_eq!(stream.read(&mut [0]).await.expect("a FIN"), 0);
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_notice() {
    let receiver = Receiver::start();
    receiver.set(Behaviour::CloseWhenIdle(Duration::from_millis(50)));
    let mut stream = connect(&receiver).await;
    for _ in 0..2 {
        assert!(!exchange(&mut stream).await.contains("Connection: close"));
    }
    let closed = timeout(SOON, stream.read(&mut [0])).await;
    assert_eq!(closed.expect("it is closed").expect("a FIN"), 0);
}

#[tokio::test]
async fn a_shut_door_lets_nobody_in() {
    let receiver = Receiver::start();
    receiver.set_door(Door::Reset);
    assert!(was_reset(&connect(&receiver).await.read(&mut [0]).await));
    receiver.set_door(Door::Closed);
    let closed = connect(&receiver).await.read(&mut [0]).await;
    assert_eq!(closed.expect("a FIN"), 0);
    receiver.set_door(Door::Deaf);
    let mut stream = connect(&receiver).await;
    stream.write_all(GET).await.expect("the kernel takes it");
    receiver.wait_for_counts(|counts| counts.open == 1).await;
    let silent = timeout(Duration::from_millis(50), stream.read(&mut [0])).await;
    assert!(silent.is_err(), "expected silence, got {silent:?}");
    drop(stream);
    receiver.wait_for_counts(|counts| counts.open == 0).await;
    receiver.set_door(Door::Open);
    assert_eq!(http::get(receiver.port(), "/").await.0, 200);
    assert_eq!(receiver.counts().requests, 1);
}

#[tokio::test]
async fn held_requests_are_in_flight_until_the_gate_opens() {
    let receiver = Receiver::start();
    let gate = Gate::shut();
    receiver.set(
        Behaviour::Status(200)
            .after(Duration::from_millis(1))
            .behind(&gate),
    );
    let mut streams = [connect(&receiver).await, connect(&receiver).await];
    for stream in &mut streams {
        stream.write_all(GET).await.expect("sent");
    }
    let counts = receiver
        .wait_for_counts(|counts| counts.in_flight == 2)
        .await;
    assert_eq!((counts.open, counts.peak_in_flight), (2, 2));
    gate.open();
    for stream in &mut streams {
        read_until(stream, b"\r\n\r\n").await;
    }
    drop(streams);
    let counts = receiver.wait_for_counts(|counts| counts.open == 0).await;
    assert_eq!(
        (counts.in_flight, counts.peak_open, counts.requests),
        (0, 2, 2)
    );
}

#[tokio::test]
async fn an_unanswered_request_ends_when_the_client_gives_up() {
    let receiver = Receiver::start();
    receiver.set(Behaviour::Never);
    let mut stream = connect(&receiver).await;
    stream.write_all(GET).await.expect("sent");
    receiver.wait_for(1).await;
    assert_eq!(receiver.counts().in_flight, 1);
    drop(stream);
    receiver
        .wait_for_counts(|counts| counts.open == 0 && counts.in_flight == 0)
        .await;
}

#[tokio::test]
async fn a_receiver_goes_down_and_comes_back_on_its_port() {
    let mut receiver = Receiver::start();
    let mut stream = connect(&receiver).await;
    exchange(&mut stream).await;
    receiver.go_down().await;
    assert_eq!(
        stream.read(&mut [0]).await.unwrap_or(0),
        0,
        "the connection is gone"
    );
    assert_eq!(
        http::try_request(receiver.port(), "GET", "/", "").await,
        None
    );
    receiver.come_back().await;
    assert_eq!(http::get(receiver.port(), "/").await.0, 200);
    assert_eq!(
        receiver
            .wait_until(|requests| requests.len() == 2)
            .await
            .len(),
        2
    );
}

/// A child has a copy of every socket from its fork to its exec.
#[tokio::test]
async fn a_receiver_comes_back_while_children_are_started() {
    let children = tokio::task::spawn_blocking(|| {
        for _ in 0..300 {
            let status = Command::new("true").status().expect("a child");
            assert!(status.success());
        }
    });
    let mut receiver = Receiver::start();
    while !children.is_finished() {
        receiver.go_down().await;
        receiver.come_back().await;
    }
    children.await.expect("every child succeeds");
}

#[tokio::test]
async fn tls_is_spoken_and_bad_certificates_are_refused_by_the_client() {
    let certificates = Certificates::new();
    let cases = [
        (certificates.server_config(), true),
        (certificates.expired_server_config(), false),
        (certificates.other_host_server_config(), false),
    ];
    for (config, accepted) in cases {
        let receiver = Receiver::start_tls(config);
        let connector = tokio_rustls::TlsConnector::from(certificates.client_config());
        let name = "localhost".try_into().expect("a valid name");
        match connector.connect(name, connect(&receiver).await).await {
            Ok(mut stream) => {
                assert!(accepted);
                stream.write_all(GET).await.expect("sent");
                assert_eq!(receiver.next().await.target(), "/x");
            }
            Err(error) => {
                assert!(!accepted, "{error}");
                receiver
                    .wait_for_counts(|counts| counts.failed_handshakes == 1)
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn ports_refuse_or_swallow_connections() {
    let refusing = refusing_port();
    let refused = TcpStream::connect(("127.0.0.1", refusing.port())).await;
    assert_eq!(
        refused.map_err(|error| error.kind()).err(),
        Some(std::io::ErrorKind::ConnectionRefused)
    );
    let hole = black_hole().await;
    let attempt = timeout(
        Duration::from_millis(100),
        TcpStream::connect(("127.0.0.1", hole.port())),
    )
    .await;
    assert!(attempt.is_err(), "expected no answer, got {attempt:?}");
}
