//! Requests are kept as they came.

use support::receiver::{Behaviour, Gate, Given, Receiver};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{GET, connect, read_until};

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
async fn an_arrival_says_what_the_client_was_told() {
    let receiver = Receiver::start_recording();
    let gate = Gate::shut();
    let request = b"POST /x HTTP/1.1\r\nwebhook-id: one\r\nContent-Length: 2\r\n\r\nab";
    let tell = async |behaviour: Behaviour| {
        receiver.set(behaviour);
        let mut stream = connect(&receiver).await;
        stream.write_all(request).await.expect("sent");
        stream
    };
    let waiting = tell(Behaviour::Status(200).behind(&gate)).await;
    receiver
        .wait_for_counts(|counts| counts.requests == 1)
        .await;
    assert_eq!(receiver.arrivals(0)[0].answer, Given::Pending);
    drop(waiting);
    for (behaviour, expected) in [
        (Behaviour::Status(204), Given::Status(204)),
        (Behaviour::Status(503), Given::Status(503)),
        (Behaviour::Http10(200), Given::Status(200)),
        (Behaviour::ResetBeforeAnswer, Given::Nothing),
        (Behaviour::ResetAfterHeaders, Given::Nothing),
        (
            Behaviour::WrongLength {
                declared: 3,
                sent: 1,
            },
            Given::Nothing,
        ),
    ] {
        let before = receiver.counts().requests;
        let stream = tell(behaviour.clone()).await;
        receiver
            .wait_for_counts(|counts| counts.requests > before && counts.in_flight == 0)
            .await;
        let arrivals = receiver.arrivals(usize::try_from(before).expect("few"));
        assert_eq!(arrivals.len(), 1);
        assert_eq!(arrivals[0].answer, expected, "{behaviour:?}");
        assert_eq!(
            arrivals[0].is_accepted(),
            matches!(expected, Given::Status(200..300))
        );
        drop(stream);
    }
    let first = &receiver.arrivals(0)[0];
    assert_eq!((&*first.event_id, &*first.target), ("one", "/x"));
    assert_eq!(
        (&first.body[..], first.answer),
        (&b"ab"[..], Given::Nothing)
    );
}
