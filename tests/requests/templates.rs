//! Method, URL, headers and body are made of each event.

use std::time::Duration;

use serde_json::Value;
use support::client::Publish;
use support::receiver::Receiver;
use support::setup::Setup;
use support::wait;

use super::{MQHOOK, send, start};

/// How long the keeper may take to write.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_part_of_a_request_can_be_made_of_its_event() {
    let setup = start(
        r#"
url = "{receiver}/devices/{topic_levels[1]}?at={{ time_ms }}&q={qos}"
method = "{{ 'DELETE' if payload == '' else 'PUT' }}"
headers.authorization = "Basic {{ ('mqhook:' ~ topic) | base64 }}"
headers.x-region = "{{ user_properties.region | default('none') }}"
body.template = '{"temp": {{ (payload_json | default({})).temp | default(none) }}, "topic": "{{ topic }}"}'
"#,
    )
    .await;
    let mut client = setup.client("dev").await;
    let message = Publish::new("plant/7", "{\"temp\": 21.5}").user_property("region", "süd");
    send(&mut client, message).await;
    send(&mut client, Publish::new("plant/8", "")).await;
    let requests = setup.receiver.wait_for(2).await;
    let [first, second] = requests.as_slice() else {
        panic!("expected two requests, got {requests:?}")
    };
    assert_eq!(first.method(), "PUT");
    let at = first
        .target()
        .strip_prefix("/devices/7?at=")
        .expect("the path");
    let at = at.strip_suffix("&q=1").expect("the query");
    assert!(at.parse::<u64>().is_ok(), "{at}");
    let authorization = first.header("authorization");
    assert_eq!(authorization.as_deref(), Some("Basic bXFob29rOnBsYW50Lzc="));
    assert_eq!(first.header("x-region").as_deref(), Some("s%C3%BCd"));
    assert_eq!(first.text(), r#"{"temp": 21.5, "topic": "plant/7"}"#);
    assert_eq!(
        first.header("content-type").as_deref(),
        Some("application/json")
    );
    assert_eq!(second.method(), "DELETE");
    assert_eq!(second.header("x-region").as_deref(), Some("none"));
    assert_eq!(second.text(), r#"{"temp": null, "topic": "plant/8"}"#);
}

#[tokio::test]
async fn forms_and_fixed_methods_are_sent() {
    let setup = start(
        r#"
method = "PATCH"
body = { template = "topic={{ topic }}&value={{ payload }}", content_type = "application/x-www-form-urlencoded" }
"#,
    )
    .await;
    let mut client = setup.client("dev").await;
    send(&mut client, Publish::new("a/b", "1&x=2 ü")).await;
    let request = setup.receiver.next().await;
    assert_eq!((request.method(), request.target()), ("PATCH", "/a"));
    assert_eq!(request.text(), "topic=a%2Fb&value=1%26x%3D2%20%C3%BC");
    let content_type = request.header("content-type");
    assert_eq!(
        content_type.as_deref(),
        Some("application/x-www-form-urlencoded")
    );
}

fn dead_letters(setup: &Setup) -> Vec<Value> {
    let output = setup.sidecar.command(&["dead-letters", "list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[tokio::test]
async fn what_lacks_a_value_is_given_up_and_says_why() {
    let setup = start(
        r#"
url = "{receiver}/{{ payload_json.id }}/{topic | urlpath}"
body.template = '{"v": {% if payload_json is defined %}{{ payload_json }}{% else %}{{ payload }}{% endif %}}'
"#,
    )
    .await;
    let mut client = setup.client("dev").await;
    for (topic, payload) in [
        ("a", "no JSON, and secret"),
        ("a", "{}"),
        ("a/../b", "{\"id\": 1}"),
        ("a", "{\"id\": null}"),
        ("a", "{\"id\": \"x/y\"}"),
        ("a", "7"),
    ] {
        send(&mut client, Publish::new(topic, payload)).await;
    }
    let request = setup.receiver.next().await;
    assert_eq!(request.target(), "/x%2Fy/a");
    let series = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";
    setup.wait_for_metric(series, |count| count == 5).await;
    assert_eq!(setup.receiver.requests().len(), 1);
    let letters = wait::until(PATIENCE, "5 dead letters", async || {
        Some(dead_letters(&setup)).filter(|letters| letters.len() == 5)
    });
    let outcomes = letters.await.into_iter();
    let mut outcomes: Vec<String> = outcomes
        .map(|letter| letter["outcome"].as_str().expect("a text").to_owned())
        .collect();
    outcomes.sort();
    let missing = "request: url: line 1 needs `payload_json.id`, which this event does not have";
    assert_eq!(
        outcomes,
        [
            "request: body.template: the body would not be JSON",
            missing,
            missing,
            "request: url: line 1: a value is null, and only JSON can say that",
            "request: url: the path would have a segment `.` or `..`",
        ]
    );
}

#[tokio::test]
async fn however_many_urls_there_are_the_pool_is_one() {
    let setup = start("url = \"{receiver}/{topic}\"").await;
    let mut client = setup.client("dev").await;
    for number in 0..50 {
        send(&mut client, Publish::new(&format!("device/{number}"), "x")).await;
    }
    let requests = setup.receiver.wait_for(50).await;
    for (number, request) in requests.iter().enumerate() {
        assert_eq!(request.target(), format!("/device%2F{number}"));
        assert_eq!(request.connection, 1);
    }
}

/// What the README shows runs.
#[tokio::test]
async fn the_example_is_good() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/templates.toml");
    let text = std::fs::read_to_string(path).expect("the example");
    let receiver = Receiver::start();
    let broker = super::Mosquitto::builder().log_topics().start();
    let config = text
        .replace("http://127.0.0.1:8080", "{receiver}")
        .replace("mqtt://127.0.0.1:1883", &broker.url());
    let mut setup = Setup::launch(MQHOOK, broker, receiver, &config);
    setup.wait_ready().await;
    let mut client = setup.client("dev").await;
    let message = Publish::new("plant/north/temperature", "{\"value\": 21.5}");
    send(&mut client, message.user_property("unit", "C")).await;
    let requests = setup.receiver.wait_for(3).await;
    let mut targets: Vec<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method(), request.target()))
        .collect();
    targets.sort();
    assert_eq!(
        targets,
        [
            "POST /events",
            "POST /hooks/north",
            "PUT /shadow/plant/north/temperature"
        ]
    );
}

/// Waits for so many deliveries that were given up, and returns why.
async fn reasons(setup: &Setup, count: u64) -> Vec<String> {
    let series = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";
    setup
        .wait_for_metric(series, |rejected| rejected == count)
        .await;
    let letters = wait::until(PATIENCE, "dead letters", async || {
        Some(dead_letters(setup)).filter(|letters| letters.len() as u64 == count)
    });
    let letters = letters.await.into_iter();
    letters
        .map(|letter| letter["outcome"].as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn no_empty_value_changes_which_resource_is_meant() {
    let keys = "url = \"{receiver}/devices/{topic_levels[1]}\"\nmethod = \"DELETE\"";
    let setup = start(keys).await;
    let mut client = setup.client("dev").await;
    for topic in ["plant//x", "plant/", "plant/7/x"] {
        send(&mut client, Publish::new(topic, "x")).await;
    }
    let request = setup.receiver.next().await;
    assert_eq!(
        (request.method(), request.target()),
        ("DELETE", "/devices/7")
    );
    let expected = "request: url: the path would have an empty segment where a value stands";
    assert_eq!(reasons(&setup, 2).await, [expected, expected]);
    assert_eq!(setup.receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_header_that_is_made_replaces_our_own() {
    let keys = "headers = { content-type = \"a/{{ topic }}\", user-agent = \"{{ topic }}\" }";
    let setup = start(keys).await;
    let mut client = setup.client("dev").await;
    send(&mut client, Publish::new("t", "x")).await;
    let request = setup.receiver.next().await;
    let of = |name: &str| -> Vec<String> {
        let lines = request.header_lines().into_iter();
        lines.filter(|line| line.starts_with(name)).collect()
    };
    assert_eq!(of("content-type"), ["content-type: a/t"]);
    assert_eq!(of("user-agent"), ["user-agent: t"]);
}

#[tokio::test]
async fn what_a_template_makes_on_the_way_neither_ends_nor_stalls_mqhook() {
    let setup = start(
        r#"
headers.x-indented = "{{ [topic] | tojson(payload_json.n) | length }}"
headers.x-encoded = "{{ payload | base62 | length }}"
headers.x-replaced = "{{ payload | replace('a', payload) | length }}"
"#,
    )
    .await;
    let mut client = setup.client("dev").await;
    let mebibyte = format!("{{\"n\": 1, \"a\": \"{}\"}}", "a".repeat(1 << 20));
    for payload in ["{\"n\": 9223372036854775807}", &mebibyte, "{\"n\": 1}"] {
        send(&mut client, Publish::new("t", payload.to_owned())).await;
    }
    let request = setup.receiver.next().await;
    assert_eq!(request.header("x-replaced").as_deref(), Some("8"));
    let reasons = reasons(&setup, 2).await;
    let too_large = "line 1: a value on the way gets too large";
    assert!(
        reasons
            .iter()
            .all(|reason| reason.contains(too_large) || reason.contains("needs `payload_json.n`")),
        "{reasons:?}"
    );
}

#[tokio::test]
async fn requests_of_large_events_are_made_elsewhere_and_arrive() {
    let keys = "headers.x-length = \"{{ payload | upper | length }}\"\nbody.format = \"raw\"";
    let setup = start(keys).await;
    let mut client = setup.client("dev").await;
    for bytes in [1, 16 * 1024 + 1, 1 << 20] {
        send(&mut client, Publish::new("t", vec![b'a'; bytes])).await;
        let request = setup.receiver.next().await;
        assert_eq!(request.header("x-length"), Some(bytes.to_string()));
        assert_eq!(request.body.len(), bytes);
    }
}
