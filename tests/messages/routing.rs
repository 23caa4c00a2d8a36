//! Topic filters decide which webhooks get a message, and each gets it once.

use support::client::Publish;
use support::mosquitto::Mosquitto;
use support::setup::Setup;

use super::{FENCE, MQHOOK, bodies, body, listen, send, start, webhook};

/// Publishes each topic once and asserts which of them reach the webhook of a path, in order.
async fn check(setup: &Setup, topics: &[&str], path: &str, expected: &[&str]) {
    let mut client = setup.client("dev").await;
    for topic in topics {
        send(&mut client, Publish::new(topic, "x").qos(1)).await;
    }
    let expected: Vec<String> = expected
        .iter()
        .map(|topic| body(topic, 1, false, "\"x\""))
        .collect();
    assert_eq!(bodies(setup, path).await, expected, "{path}");
}

#[tokio::test]
async fn filters_match_by_the_standard() {
    let setup = listen(&["sport/+", "exact", "+/+/end", "tree/#", FENCE]).await;
    let matching = [
        "sport/", "sport/a", "exact", "a/b/end", "//end", "tree", "tree/a/b",
    ];
    let others = [
        "sport",
        "sport/a/b",
        "Exact",
        "exact/",
        "/exact",
        "a/end",
        "a/b/End",
    ];
    let topics = [&matching[..], &others[..]].concat();
    check(&setup, &topics, "/a", &matching).await;
}

#[tokio::test]
async fn overlapping_filters_of_a_webhook_make_one_request() {
    let setup = listen(&["a/#", "a/+", "a/b", "#", "+/b", "a/b"]).await;
    let topics = ["a/b", "a/c", "a", "x/b", "x"];
    check(&setup, &topics, "/a", &topics).await;
}

#[tokio::test]
async fn partly_overlapping_filters_make_one_request_and_nothing_else() {
    let setup = listen(&["a/+", "+/b", FENCE]).await;
    let topics = ["a/b", "a/c", "c/b", "c/d", "a/b/c", "a"];
    check(&setup, &topics, "/a", &["a/b", "a/c", "c/b"]).await;
}

#[tokio::test]
async fn every_webhook_gets_what_its_own_rules_name() {
    let config = webhook("one", &["a/#", FENCE])
        + &webhook("two", &["a/+", "b", FENCE])
        + &webhook("none", &["never", FENCE]);
    let setup = start(&config).await;
    let mut client = setup.client("dev").await;
    for topic in ["a/b", "a/b/c", "b"] {
        send(&mut client, Publish::new(topic, "x").qos(1)).await;
    }
    let expected = |topics: &[&str]| -> Vec<String> {
        topics
            .iter()
            .map(|topic| body(topic, 1, false, "\"x\""))
            .collect()
    };
    assert_eq!(bodies(&setup, "/one").await, expected(&["a/b", "a/b/c"]));
    let two = bodies(&setup, "/two").await;
    assert_eq!(two[..2], expected(&["a/b", "b"]));
    assert_eq!(bodies(&setup, "/none").await.len(), 0);
}

#[tokio::test]
async fn a_wildcard_does_not_match_what_the_broker_says_of_itself() {
    let config =
        webhook("user", &["#", "+/broker/uptime"]) + &webhook("system", &["$SYS/broker/uptime"]);
    let broker = Mosquitto::builder().line("sys_interval 1");
    let setup = Setup::start(MQHOOK, broker, &config).await;
    let uptime = "\"topic\":\"$SYS/broker/uptime\"";
    let requests = setup
        .receiver
        .wait_until(|requests| requests.iter().any(|request| request.target() == "/system"))
        .await;
    assert!(requests[0].text().contains(uptime), "got {requests:?}");
    assert_eq!(bodies(&setup, "/user").await, [""; 0]);
}
