//! What the API withstands: slow clients, many of them, large requests, wrong tokens without end.

use std::time::{Duration, Instant};

use support::http;
use support::wait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{anonymous, create, start};

/// More connections than the API has at a time.
const MANY: usize = 200;

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens")
}

/// Reads until the other side closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // What is not read may make the other side reset the connection.
    let _ = timeout(Duration::from_secs(30), stream.read_to_end(&mut bytes))
        .await
        .expect("an end");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn slow_clients_do_not_hurt() {
    let setup = start().await;
    let mut slow = Vec::new();
    for number in 0..MANY {
        let mut stream = connect(setup.admin).await;
        let begun = if number % 2 == 0 { "GET /li" } else { "" };
        stream.write_all(begun.as_bytes()).await.expect("it reads");
        slow.push(stream);
    }
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(http::get(setup.admin, "/live").await.0, 200);
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "took {:?}",
            asked.elapsed()
        );
    }
    // Those that came first had to go.
    assert_eq!(rest(&mut slow[0]).await, "");
}

#[tokio::test]
async fn a_client_that_asks_and_does_not_read_does_not_hurt() {
    let setup = start().await;
    let mut deaf = Vec::new();
    for _ in 0..MANY {
        let mut stream = connect(setup.admin).await;
        let request = format!(
            "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
            setup.admin
        );
        let _ = stream.write_all(request.repeat(50).as_bytes()).await;
        deaf.push(stream);
    }
    let asked = Instant::now();
    wait::until(
        Duration::from_secs(25),
        "room for one who reads",
        async || {
            let answer = timeout(
                Duration::from_secs(2),
                http::try_request(setup.admin, "GET", "/live", ""),
            )
            .await;
            matches!(answer, Ok(Some((200, _)))).then_some(())
        },
    )
    .await;
    assert!(asked.elapsed() < Duration::from_secs(25));
    let peak = setup.sidecar.memory().peak_bytes;
    assert!(peak < 80 << 20, "{} MiB", peak >> 20);
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_the_rest_goes_on() {
    let setup = start().await;
    let mut stream = connect(setup.admin).await;
    let head = format!(
        "POST /tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        1 << 30
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413"));

    let mut stream = connect(setup.admin).await;
    let head = "POST /tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    for _ in 0..32 {
        // It closes before all is sent.
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let answer = rest(&mut stream).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );

    for head in [
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(64 << 10)),
        format!(
            "GET /live HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "x".repeat(64 << 10)
        ),
        format!(
            "GET /live HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X: x\r\n".repeat(200)
        ),
    ] {
        let mut stream = connect(setup.admin).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    let deep = "[".repeat(100_000);
    anonymous(&setup).call("POST", "/tokens", &deep, 400).await;
    assert_eq!(http::get(setup.admin, "/live").await.0, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_long() {
    let setup = start().await;
    let mut stream = connect(setup.admin).await;
    let head = "POST /tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// Begins requests whose bodies do not come, on connections that stay open.
async fn slow_bodies(port: u16, path: &str, token: &str, count: usize) -> Vec<TcpStream> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n{{"
    );
    let mut slow = Vec::new();
    for _ in 0..count {
        let mut stream = connect(port).await;
        stream.write_all(head.as_bytes()).await.expect("it reads");
        slow.push(stream);
    }
    slow
}

#[tokio::test]
async fn bodies_that_do_not_come_keep_nobody_from_changes_nor_from_the_api() {
    let setup = start().await;
    let publisher = create(&setup.sidecar, "slow", &["--role", "publisher"]);
    let admin = create(&setup.sidecar, "admin", &["--role", "admin"]);
    let admin = super::Client::new(setup.admin, Some(admin));
    for count in [100, MANY] {
        let slow = slow_bodies(setup.admin, "/groups/any/events", &publisher, count).await;
        let new = format!(r#"{{"name": "made-{count}", "role": "viewer"}}"#);
        for _ in 0..3 {
            assert_eq!(http::get(setup.admin, "/live").await.0, 200);
        }
        admin.call("POST", "/tokens", &new, 201).await;
        drop(slow);
    }
}

#[tokio::test]
async fn one_token_cannot_take_all_streams() {
    let setup = start().await;
    let viewer = create(&setup.sidecar, "viewer", &["--role", "viewer"]);
    let other = create(&setup.sidecar, "other", &["--role", "viewer"]);
    let ask = async |path: &str, token: &str| {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        let mut stream = connect(setup.admin).await;
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut begun = [0; 12];
        stream.read_exact(&mut begun).await.expect("an answer");
        (stream, String::from_utf8_lossy(&begun).into_owned())
    };
    for path in ["/events/stream", "/deliveries/stream"] {
        let (mut open, mut refused) = (Vec::new(), 0);
        for _ in 0..32 {
            let (stream, begun) = ask(path, &viewer).await;
            match begun.as_str() {
                "HTTP/1.1 200" => open.push(stream),
                "HTTP/1.1 429" => refused += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((open.len(), refused), (8, 24), "{path}");
        assert_eq!(ask(path, &other).await.1, "HTTP/1.1 200", "{path}");
        // Who has closed one may open another.
        drop(open);
        wait::until(Duration::from_secs(10), "room for another", async || {
            (ask(path, &viewer).await.1 == "HTTP/1.1 200").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn wrong_tokens_are_answered_less_and_less_and_the_right_one_always() {
    let setup = start().await;
    let right = create(&setup.sidecar, "right", &["--role", "viewer"]);
    let right = super::Client::new(setup.admin, Some(right));
    wait::until(Duration::from_secs(10), "the token to count", async || {
        (http::get(setup.admin, "/status").await.0 == 401).then_some(())
    })
    .await;
    let wrong = super::Client::new(setup.admin, Some("mqh_wrong".to_owned()));
    let mut refused = 0;
    for _ in 0..40 {
        let answer = wrong.send("GET", "/status", &[], "").await;
        if answer.status == 429 {
            refused += 1;
            let wait: u64 = answer
                .header("retry-after")
                .and_then(|it| it.parse().ok())
                .expect("seconds");
            assert!((1..=60).contains(&wait), "{wait}");
        }
        right.get("/status").await;
    }
    assert!(refused >= 25, "only {refused} were put off");
    setup.sidecar.wait_for_log("many wrong tokens").await;
}

#[tokio::test]
async fn what_is_no_http_is_no_harm() {
    let setup = start().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x10\x16\x00\x04MQTT\x05",
        b"GET /status HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://evil/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /status HTTP/1.0\r\n\r\n",
        b"POST /tokens HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /devices/%ff%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /devices?q=%ff HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = connect(setup.admin).await;
        stream.write_all(bytes).await.expect("it reads");
        stream.shutdown().await.expect("it is open");
        let answer = rest(&mut stream).await;
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(is_refused || bytes.starts_with(b"GET http://evil"), "{bytes:?}: {answer}");
    }
    assert_eq!(http::get(setup.admin, "/live").await.0, 200);
}
