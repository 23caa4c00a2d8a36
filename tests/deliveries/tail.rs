//! Live streams of events and attempts.

use serde_json::Value;
use support::client::Publish;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DELIVERED, MQHOOK, PATIENCE, WEBHOOK, start};
use support::mosquitto::Mosquitto;
use support::receiver::Behaviour;
use support::setup::Setup;

/// A stream that is open.
struct Tail(Lines<BufReader<TcpStream>>);

impl Tail {
    /// Opens a stream; it has begun when this returns.
    async fn open(setup: &Setup, target: &str) -> Self {
        Self::open_with(setup, target, "").await
    }

    /// The same with a further field.
    async fn open_with(setup: &Setup, target: &str, field: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", setup.admin))
            .await
            .expect("it listens");
        let host = setup.admin;
        let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{host}\r\n{field}\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut tail = Self(BufReader::new(stream).lines());
        tail.until(|line| line.starts_with(": listening")).await;
        tail
    }

    /// Waits until it has ended, which a chunk of no bytes says.
    async fn end(mut self) {
        self.until(|line| line == "0").await;
    }

    async fn until(&mut self, is_meant: impl Fn(&str) -> bool) -> String {
        let reading = async {
            loop {
                let line = self.0.next_line().await.expect("it is UTF-8");
                let line = line.expect("expected the stream to go on");
                if is_meant(&line) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("a line in time")
    }

    /// Returns the next event: its name and its data.
    async fn next(&mut self) -> (String, Value) {
        let name = self.until(|line| line.starts_with("event: ")).await;
        let data = self.until(|line| line.starts_with("data: ")).await;
        let data = serde_json::from_str(&data["data: ".len()..]).expect("JSON");
        (name["event: ".len()..].to_owned(), data)
    }
}

#[tokio::test]
async fn events_and_attempts_are_told_as_they_come() {
    let setup = start(WEBHOOK).await;
    setup
        .receiver
        .answer_in_turn([Behaviour::Status(503), Behaviour::Status(200)]);
    setup.publish("t/0", "before").await;
    setup.wait_for_metric(DELIVERED, |count| count == 1).await;
    let mut events = Tail::open(&setup, "/events/stream?topic=t/%2B").await;
    let mut payloads = Tail::open(&setup, "/events/stream?payload=1").await;
    let mut attempts = Tail::open(&setup, "/deliveries/stream?outcome=delivered").await;
    setup.publish("other", "x").await;
    setup.publish("t/1", "hello").await;
    let (name, event) = events.next().await;
    assert_eq!(name, "event");
    assert_eq!(
        (&event["topic"], &event["bytes"]),
        (&"t/1".into(), &5.into())
    );
    assert_eq!(event["webhooks"], serde_json::json!(["a"]));
    assert!(event.get("payload").is_none(), "{event}");
    payloads.next().await;
    assert_eq!(payloads.next().await.1["payload"], "hello");
    let (name, attempt) = attempts.next().await;
    assert_eq!((&*name, &attempt["topic"]), ("attempt", &"other".into()));
    assert_eq!(attempts.next().await.1["event_id"], event["id"]);
}

#[tokio::test]
async fn a_slow_listener_is_told_what_it_missed_and_holds_up_nobody() {
    const MESSAGES: u64 = 4_000;
    let broker = Mosquitto::builder().line("max_queued_messages 0");
    let setup = Setup::start(MQHOOK, broker, WEBHOOK).await;
    let mut slow = Tail::open(&setup, "/events/stream?payload=1").await;
    let mut client = setup.client("dev").await;
    let payload = "x".repeat(4_000);
    for number in 0..MESSAGES {
        let message = Publish::new(&format!("t/{number}"), payload.clone()).qos(1);
        assert!(client.publish(&message).await < 0x80);
    }
    setup
        .wait_for_metric(DELIVERED, |count| count == MESSAGES)
        .await;
    let (mut told, mut missed) = (0, 0);
    while told + missed < MESSAGES {
        let (name, data) = slow.next().await;
        if name == "lagged" {
            missed += data["missed"].as_u64().expect("a number");
        } else {
            told += 1;
        }
    }
    assert!(
        missed > 0,
        "expected it to be too slow for some of {MESSAGES}"
    );
    assert_eq!(told + missed, MESSAGES);
}

#[tokio::test]
async fn a_stream_ends_when_who_listens_may_no_more() {
    let setup = start(WEBHOOK).await;
    let anybody = Tail::open(&setup, "/events/stream?payload=1").await;
    let make = |name: &str, role: &str| {
        let output = setup
            .sidecar
            .command(&["tokens", "create", name, "--role", role]);
        assert!(output.status.success(), "{output:?}");
        let token = String::from_utf8(output.stdout).expect("it is text");
        format!("Authorization: Bearer {}\r\n", token.trim())
    };
    let (gone, stays) = (make("gone", "operator"), make("stays", "viewer"));
    anybody.end().await;
    let leaked = Tail::open_with(&setup, "/events/stream?payload=1", &gone).await;
    let attempts = Tail::open_with(&setup, "/deliveries/stream", &gone).await;
    let mut other = Tail::open_with(&setup, "/events/stream", &stays).await;
    let output = setup.sidecar.command(&["tokens", "remove", "gone"]);
    assert!(output.status.success(), "{output:?}");
    leaked.end().await;
    attempts.end().await;
    setup.publish("t", "x").await;
    assert_eq!(other.next().await.1["topic"], "t");
}

#[tokio::test]
async fn only_so_many_may_listen() {
    let setup = start(WEBHOOK).await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(Tail::open(&setup, "/events/stream").await);
    }
    let (status, _) = support::http::get(setup.admin, "/events/stream").await;
    assert_eq!(status, 503);
    drop(open);
    super::wait::until(PATIENCE, "a place", async || {
        // A message shows the server that the listeners have gone.
        setup.publish("t", "x").await;
        let tail = timeout(
            std::time::Duration::from_millis(300),
            Tail::open(&setup, "/events/stream"),
        );
        tail.await.ok()
    })
    .await;
}
