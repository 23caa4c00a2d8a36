//! Bodies of every format, with what an MQTT 5 publisher adds.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::client::{Property, Publish};
use support::receiver::{Behaviour, Request};
use support::setup::Setup;

use super::{send, start, start_with};

/// A message with everything that MQTT 5 lets a publisher say.
fn told() -> Publish {
    Publish::new("plant/\"ü\" 1", b"{\"temp\": 21.50}".to_vec())
        .content_type("application/json")
        .property(Property::Byte(1, 1))
        .property(Property::Four(2, 3_600))
        .property(Property::Text(8, "answers/1".to_owned()))
        .property(Property::Binary(9, vec![0, 0xFF]))
        .user_property("region", "süd")
        .user_property("region", "")
}

async fn publish_told(setup: &Setup) {
    let mut client = setup.client("dev").await;
    send(&mut client, told()).await;
}

async fn request(keys: &str) -> Request {
    let setup = start(keys).await;
    publish_told(&setup).await;
    setup.receiver.next().await
}

/// Returns the headers whose names begin so, as they came.
fn headers(request: &Request, prefix: &str) -> Vec<String> {
    let lines = request.header_lines().into_iter();
    lines.filter(|line| line.starts_with(prefix)).collect()
}

/// Returns a body with its id and its time masked, once they are seen to be plausible.
fn masked(request: &Request) -> Value {
    let mut body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(
        body["id"],
        request.header("webhook-id").expect("an id").as_str()
    );
    body["id"] = "ID".into();
    let time = body["time"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
    body["time"] = "TIME".into();
    body
}

#[tokio::test]
async fn raw_is_the_payload_with_everything_else_in_headers() {
    let request = request("body.format = \"raw\"").await;
    assert_eq!(request.text(), "{\"temp\": 21.50}");
    assert_eq!(
        headers(&request, "content-type"),
        ["content-type: application/json"]
    );
    let expiry = request
        .header("mqhook-message-expiry")
        .expect("the time left");
    assert!(
        (3_590..=3_600).contains(&expiry.parse().expect("seconds")),
        "{expiry}"
    );
    let told = headers(&request, "mqhook-").into_iter();
    let told: Vec<String> = told
        .filter(|line| {
            !line.starts_with("mqhook-time") && !line.starts_with("mqhook-message-expiry")
        })
        .collect();
    assert_eq!(
        told,
        [
            "mqhook-event: on_message_publish",
            "mqhook-topic: plant/%22%C3%BC%22%201",
            "mqhook-qos: 1",
            "mqhook-retain: false",
            "mqhook-response-topic: answers/1",
            "mqhook-correlation-data: AP8=",
            "mqhook-payload-is-text: true",
            "mqhook-user-property: region=s%C3%BCd",
            "mqhook-user-property: region=",
        ]
    );
}

#[tokio::test]
async fn json_has_everything() {
    let request = request("body.format = \"json\"").await;
    let mut body = masked(&request);
    assert!(
        request.text().contains("{\"temp\": 21.50}"),
        "as it was published"
    );
    assert!(body["message_expiry_s"].take().as_u64() > Some(3_590));
    let expected = json!({
        "id": "ID", "kind": "on_message_publish", "time": "TIME",
        "client_id": null, "username": null, "address": null,
        "topic": "plant/\"ü\" 1", "qos": 1, "retain": false,
        "payload_is_text": true, "message_expiry_s": null, "content_type": "application/json",
        "response_topic": "answers/1", "correlation_data": "AP8=",
        "user_properties": [{"name": "region", "value": "süd"}, {"name": "region", "value": ""}],
        "payload": {"temp": 21.5}, "payload_encoding": "json",
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn cloudevents_come_in_the_mode_that_is_asked_for() {
    let structured = request("body = { format = \"cloudevents\", source = \"/plant\" }").await;
    assert_eq!(
        headers(&structured, "content-type"),
        ["content-type: application/cloudevents+json"]
    );
    let body = masked(&structured);
    assert_eq!(body["type"], "io.mqhook.message_publish");
    assert_eq!(body["source"], "/plant");
    assert_eq!(body["data"], json!({"temp": 21.5}));
    let binary = request("body = { format = \"cloudevents\", mode = \"binary\" }").await;
    assert_eq!(
        headers(&binary, "content-type"),
        ["content-type: application/json"]
    );
    assert_eq!(binary.text(), "{\"temp\": 21.50}");
    assert_eq!(binary.header("ce-id"), binary.header("webhook-id"));
    assert_eq!(
        headers(&binary, "ce-subject"),
        ["ce-subject: plant/%22%C3%BC%22%201"]
    );
    assert_eq!(headers(&binary, "ce-source"), ["ce-source: mqhook"]);
}

#[tokio::test]
async fn the_users_headers_replace_those_of_a_body() {
    let keys = "body.format = \"raw\"\nheaders.content-type = \"a/b\"\nheaders.mqhook-topic = \"{{ topic_levels[0] }}\"";
    let request = request(keys).await;
    assert_eq!(headers(&request, "content-type"), ["content-type: a/b"]);
    assert_eq!(headers(&request, "mqhook-topic"), ["mqhook-topic: plant"]);
}

#[tokio::test]
async fn a_3_1_1_broker_tells_no_properties() {
    let setup = start_with("broker.protocol = \"3.1.1\"", "body.format = \"raw\"").await;
    publish_told(&setup).await;
    let request = setup.receiver.next().await;
    assert_eq!(
        headers(&request, "content-type"),
        ["content-type: application/octet-stream"]
    );
    assert_eq!(headers(&request, "mqhook-user-property"), [""; 0]);
}

#[tokio::test]
async fn what_a_publisher_said_survives_a_restart() {
    let keys = "body.format = \"raw\"\nretry.exponential.initial = \"100ms\"";
    let mut setup = start(keys).await;
    setup.receiver.set(Behaviour::Status(503));
    publish_told(&setup).await;
    let before = setup.receiver.next().await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    let attempts = setup.receiver.requests().len();
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    let after = setup.receiver.wait_for(attempts + 1).await;
    let after = after.last().expect("one more");
    assert_eq!(after.header("webhook-id"), before.header("webhook-id"));
    assert_eq!(after.body, before.body);
    let told = |request| headers(request, "mqhook-user-property");
    assert_eq!(told(after), told(&before));
    assert_eq!(told(after).len(), 2);
    assert_eq!(
        headers(after, "content-type"),
        ["content-type: application/json"]
    );
}

#[tokio::test]
async fn a_mebibyte_arrives_whole_in_every_format() {
    for format in ["json", "raw", "mender", "cloudevents", "template"] {
        let template = match format {
            "template" => "body.template = '{\"p\": \"{{ payload }}\"}'",
            _ => "",
        };
        let setup = start(&format!("body.format = \"{format}\"\n{template}")).await;
        let payload: Vec<u8> = (b'a'..=b'z').cycle().take(1 << 20).collect();
        let mut client = setup.client("dev").await;
        send(&mut client, Publish::new("big", payload.clone())).await;
        let request = setup.receiver.next().await;
        let is_whole = request
            .body
            .windows(payload.len())
            .any(|part| part == payload);
        // Comparing with assert_eq would print two mebibytes.
        assert!(is_whole, "{format}: {} bytes", request.body.len());
    }
}

/// A client may call anything an event; in a batch with others it must not be why they are refused.
#[tokio::test]
async fn what_is_called_an_event_and_is_none_spoils_no_batch() {
    let keys = "body.format = \"cloudevents\"\nbatch = { format = \"cloudevents\", max_events = 9, max_wait = \"10s\" }";
    let setup = start(keys).await;
    let mut client = setup.client("dev").await;
    let good = r#"{"specversion":"1.0","id":"theirs","source":"/s","type":"t"}"#;
    let called: [&str; 8] = [
        "{}",
        r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":7,"source":"/s","type":"t"}"#,
        r#"{"specversion":"9","id":"1","source":"/s","type":"t"}"#,
        "[]",
        "no JSON",
        good,
    ];
    for payload in called {
        let message = Publish::new("t", payload).content_type("application/cloudevents+json");
        send(&mut client, message).await;
    }
    send(&mut client, Publish::new("t", "7")).await;
    let request = setup.receiver.next().await;
    let content_type = request.header("content-type");
    assert_eq!(
        content_type.as_deref(),
        Some("application/cloudevents-batch+json")
    );
    let batch: Vec<Value> = serde_json::from_slice(&request.body).expect("a list");
    assert_eq!(batch.len(), 9);
    for event in &batch {
        for key in ["specversion", "id", "source", "type"] {
            assert!(
                event[key].as_str().is_some_and(|text| !text.is_empty()),
                "{event}"
            );
        }
    }
    let theirs = batch.iter().filter(|event| event["id"] == "theirs");
    assert_eq!(theirs.count(), 1);
    assert_eq!(batch[0]["data"], json!({}));
    assert_eq!(batch[0]["type"], "io.mqhook.message_publish");
    read_by_the_sdk(&request.body);
}

/// Reads each event of a batch on standard input as a request of its own: the SDK knows no batches.
const SDK: &str = r#"
import json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
batch = json.load(sys.stdin)
for event in batch:
    headers = {"content-type": "application/cloudevents+json"}
    read = from_http_event(HTTPMessage(headers, json.dumps(event).encode()))
    assert read.get_attributes()["id"] == event["id"]
print(len(batch))
"#;

/// Asserts that the `CloudEvents` SDK for Python, if `./test` has installed it, reads a batch.
fn read_by_the_sdk(batch: &[u8]) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let python = target.expect("it has one").join("cloudevents/bin/python");
    if !python.exists() {
        println!("skipped: the CloudEvents SDK is not installed; ./test does that");
        return;
    }
    let mut child = Command::new(python)
        .args(["-c", SDK])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(batch).expect("Python reads");
    drop(input);
    let output = child.wait_with_output().expect("Python ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "9\n");
}
