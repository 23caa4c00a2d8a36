//! The `CloudEvents` SDK for Python reads what mqhook makes. `./test` installs it below the target
//! directory; without it there is nothing to compare with.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mqhook::envelope::{Config, Format};
use mqhook::event::{Detail, Event};
use serde_json::{Value, json};

use crate::{body, content_type, events, formats};

/// Returns the Python that has the SDK.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let python = target.join("cloudevents/bin/python");
    python.exists().then_some(python)
}

/// Returns a request with what the SDK must find in it.
fn request(name: &str, config: &Config, event: &Arc<Event>) -> Value {
    let body = body(config, event);
    let content_type = content_type(config, &body);
    let text = |value: &http::HeaderValue| value.to_str().expect("visible ASCII").to_owned();
    let headers = body.headers.iter();
    let mut headers: serde_json::Map<String, Value> = headers
        .map(|(name, value)| (name.to_string(), text(value).into()))
        .collect();
    headers.insert("content-type".to_owned(), text(&content_type).into());
    json!({
        "name": name,
        "headers": headers,
        "body": STANDARD.encode(&body.bytes),
        "expected": expected(event),
    })
}

fn expected(event: &Event) -> Value {
    let mut attributes = json!({
        "specversion": "1.0",
        "id": event.id.to_string(),
        "source": "/plant/broker",
        "type": format!("io.mqhook.{}", event.kind.action()),
        "time": "2026-11-20T23:08:41.685000+00:00",
    });
    let subject = match &event.detail {
        Detail::Message(message) => Some(message.topic.as_str()),
        Detail::Notice(notice) => Some(&*notice.webhook),
        _ => event.client.id.as_deref(),
    };
    if let Some(subject) = subject {
        attributes["subject"] = subject.into();
    }
    if let Some(id) = event.client.id.as_deref() {
        attributes["clientid"] = id.into();
    }
    let data = match &event.detail {
        Detail::Message(message) => {
            attributes["qos"] = message.qos.to_string().into();
            message.payload.clone()
        }
        _ => data_of(event),
    };
    json!({ "attributes": attributes, "data": STANDARD.encode(&data) })
}

/// Returns the data of an event without a payload: the JSON format without its first three keys.
fn data_of(event: &Event) -> bytes::Bytes {
    let config = Config {
        format: Format::Json,
        ..Config::default()
    };
    let body = body(&config, &Arc::new(event.clone()));
    let mut value: Value = serde_json::from_slice(&body.bytes).expect("JSON");
    let object = value.as_object_mut().expect("an object");
    for key in ["id", "kind", "time"] {
        object.remove(key);
    }
    value.to_string().into()
}

#[test]
fn the_cloudevents_sdk_reads_every_event() {
    let Some(python) = python() else {
        println!("skipped: the CloudEvents SDK is not installed; ./test does that");
        return;
    };
    let mut requests = String::new();
    for (format, config) in formats() {
        if !format.starts_with("cloudevents") {
            continue;
        }
        for (name, event) in events::all() {
            // What somebody else made, or declared wrongly, is not ours to be compared.
            if name.contains("CloudEvent") || name.contains("but it is not") {
                continue;
            }
            let request = request(&format!("{format}, {name}"), &config, &event);
            writeln!(requests, "{request}").expect("a string takes all");
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envelopes/cloudevents_sdk.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(requests.as_bytes()).expect("Python reads");
    drop(input);
    let output = child.wait_with_output().expect("Python ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
}
