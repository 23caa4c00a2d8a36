//! The request line and the headers.

use support::receiver::{Behaviour, Request};

use super::{start, webhook};

async fn request(keys: &str) -> Request {
    let setup = start(&(webhook("a", &["#"]) + keys)).await;
    setup.publish("t", "x").await;
    setup.receiver.next().await
}

/// Asserts the target that a URL's path and query, given behind the receiver's address, make.
async fn check_target(written: &str, expected: &str) {
    let config = webhook("a", &["#"]).replace("{receiver}/a", &format!("{{receiver}}{written}"));
    let setup = start(&config).await;
    setup.publish("t", "x").await;
    let request = setup.receiver.next().await;
    assert_eq!((request.method(), request.target()), ("POST", expected));
}

#[tokio::test]
async fn a_request_says_what_it_is() {
    let request = request("").await;
    let header = |name| request.header(name).unwrap_or_default();
    assert_eq!(header("content-type"), "application/json");
    let agent = concat!("mqhook/", env!("CARGO_PKG_VERSION"));
    assert_eq!(header("user-agent"), agent);
    assert_eq!(header("content-length"), request.body.len().to_string());
    assert!(header("host").starts_with("127.0.0.1:"));
    let id = header("webhook-id");
    assert!(
        id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "expected 22 digits of base 62, got {id}"
    );
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is past 1970");
    let sent: u64 = header("webhook-timestamp").parse().expect("seconds");
    assert!(now.as_secs().abs_diff(sent) < 60, "got {sent}");
}

#[tokio::test]
async fn a_retry_has_the_same_identifier_and_body() {
    let config = webhook("a", &["#"]) + "retry.exponential.initial = \"50ms\"\n";
    let setup = start(&config).await;
    let refusal = Behaviour::Status(503);
    setup
        .receiver
        .answer_in_turn([refusal.clone(), refusal, Behaviour::Status(200)]);
    setup.publish("t", "first").await;
    let requests = setup.receiver.wait_for(3).await;
    for request in &requests {
        assert_eq!(
            request.header("webhook-id"),
            requests[0].header("webhook-id")
        );
        assert_eq!(request.body, requests[0].body);
    }
    setup.publish("t", "second").await;
    let requests = setup.receiver.wait_for(4).await;
    assert_ne!(
        requests[3].header("webhook-id"),
        requests[0].header("webhook-id")
    );
}

#[tokio::test]
async fn configured_headers_are_sent_and_replace_ours() {
    let keys = "[webhooks.a.headers]\n\
        x-api-key = \"s3cret\"\n\
        X-Site = \"Zürich\"\n\
        Content-Type = \"application/vnd.nanomq+json\"\n\
        user-agent = \"other/1\"\n\
        authorization = \"Bearer abc\"\n";
    let request = request(keys).await;
    let lines = request.header_lines();
    for (name, value) in [
        ("x-api-key", "s3cret"),
        ("x-site", "Zürich"),
        ("content-type", "application/vnd.nanomq+json"),
        ("user-agent", "other/1"),
        ("authorization", "Bearer abc"),
    ] {
        assert_eq!(request.header(name).as_deref(), Some(value), "{lines:?}");
        let is_it = |line: &&String| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        assert_eq!(lines.iter().filter(is_it).count(), 1, "{name} in {lines:?}");
    }
}

#[tokio::test]
async fn the_target_is_the_path_and_the_query() {
    check_target("", "/").await;
    check_target("/", "/").await;
    check_target("?token=a%20b&x", "/?token=a%20b&x").await;
    check_target("/a/b%2Fc//d?x=1&y=/?z#fragment", "/a/b%2Fc//d?x=1&y=/?z").await;
}
