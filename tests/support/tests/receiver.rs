//! Every behaviour of the receiver, as seen by a client that reads raw bytes.

use std::time::{Duration, Instant};

use support::certificates::Certificates;
use support::http;
use support::port::{black_hole, refusing_port};
use support::receiver::{Answer, Behaviour, Gate, Receiver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
const SOON: Duration = Duration::from_secs(5);

async fn connect(receiver: &Receiver) -> TcpStream {
    TcpStream::connect(("127.0.0.1", receiver.port()))
        .await
        .expect("the receiver accepts")
}

/// Sends one request and reads until the receiver closes or resets.
async fn until_end(receiver: &Receiver) -> (String, std::io::Result<usize>) {
    let mut stream = connect(receiver).await;
    stream.write_all(GET).await.expect("the receiver reads");
    let mut answer = Vec::new();
    let end = timeout(SOON, stream.read_to_end(&mut answer))
        .await
        .expect("the receiver ends it");
    (String::from_utf8_lossy(&answer).into_owned(), end)
}

/// Reads until the bytes so far end with `end`.
async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(end) {
            answer.push(stream.read_u8().await.expect("more bytes"));
        }
    };
    timeout(SOON, reading)
        .await
        .expect("the expected bytes come soon");
    answer
}

async fn exchange(stream: &mut TcpStream) -> String {
    stream.write_all(GET).await.expect("the receiver reads");
    String::from_utf8_lossy(&read_until(stream, b"\r\n\r\n").await).into_owned()
}

fn was_reset(end: &std::io::Result<usize>) -> bool {
    end.as_ref()
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn a_request_is_captured_byte_by_byte() {
    let receiver = Receiver::start();
    let mut stream = connect(&receiver).await;
    let head = "POST /hook?a=b%20c HTTP/1.1\r\nX-One: 1\r\nx-ONE:2\r\ncontent-length: 3\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(b"\x00\xff\n").await.expect("sent");
    let request = receiver.next().await;
    assert_eq!(
        (request.method(), request.target()),
        ("POST", "/hook?a=b%20c")
    );
    assert_eq!(
        request.header_lines(),
        ["X-One: 1", "x-ONE:2", "content-length: 3"]
    );
    assert_eq!(request.header("x-one").as_deref(), Some("1"));
    assert_eq!(request.headers().nth(1), Some(("x-ONE", &b"2"[..])));
    assert_eq!(&request.body[..], b"\x00\xff\n");
    assert_eq!((request.connection, request.number), (1, 1));
}

#[tokio::test]
async fn chunked_bodies_and_pipelined_requests_are_read() {
    let receiver = Receiver::start();
    let mut stream = connect(&receiver).await;
    let chunked =
        b"PUT /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
    stream
        .write_all(&[chunked, GET].concat())
        .await
        .expect("sent");
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests[0].text(), "abcd");
    assert_eq!((requests[1].target(), requests[1].number), ("/x", 2));
    read_until(&mut stream, b"\r\n\r\n").await;
    read_until(&mut stream, b"\r\n\r\n").await;
}

#[tokio::test]
async fn an_expectation_is_met_before_the_body() {
    let receiver = Receiver::start();
    let mut stream = connect(&receiver).await;
    stream
        .write_all(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        .await
        .expect("sent");
    assert_eq!(
        read_until(&mut stream, b"\r\n\r\n").await,
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(b"x").await.expect("sent");
    assert_eq!(receiver.next().await.text(), "x");
}

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
    receiver.come_back();
    assert_eq!(http::get(receiver.port(), "/").await.0, 200);
    assert_eq!(
        receiver
            .wait_until(|requests| requests.len() == 2)
            .await
            .len(),
        2
    );
}

#[tokio::test]
async fn malformed_requests_are_counted() {
    let receiver = Receiver::start();
    for malformed in [
        &b"nonsense\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut stream = connect(&receiver).await;
        stream.write_all(malformed).await.expect("sent");
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    assert_eq!(
        receiver
            .wait_for_counts(|counts| counts.malformed == 2)
            .await
            .requests,
        0
    );
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
