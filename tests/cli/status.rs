//! The figures of `mqhook spool status`.

use serde_json::Value;
use support::receiver::Behaviour;
use support::setup::Setup;
use support::wait;

use super::{PATIENCE, done, number, objects, start_rejecting, stop, text};

const STATUS: [&str; 2] = ["spool", "status"];

fn status(setup: &Setup) -> Value {
    objects(&setup.sidecar, &STATUS).remove(0)
}

#[tokio::test]
async fn status_counts_what_waits_and_what_was_given_up() {
    let mut setup = start_rejecting(&["one", "two"]).await;
    setup.receiver.set(Behaviour::Status(503));
    setup.publish("t", "three").await;
    let seen = wait::until(PATIENCE, "an event that is tried again later", async || {
        Some(status(&setup)).filter(|status| number(&status["webhooks"][0], "retrying") == 1)
    })
    .await;
    assert_eq!(seen["running"], true);
    assert!(
        number(&seen, "disk_bytes") >= number(&seen, "used_bytes"),
        "got {seen}"
    );
    let webhook = &seen["webhooks"][0];
    assert_eq!(text(webhook, "webhook"), "a");
    assert_eq!(text(webhook, "state"), "enabled");
    assert_eq!(number(webhook, "fresh"), 0);
    assert_eq!(number(webhook, "dead_letters"), 2);
    assert!(number(webhook, "dead_letter_bytes") > 400, "got {webhook}");
    let oldest = text(webhook, "oldest").to_owned();
    let out = done(&setup.sidecar, &STATUS);
    assert!(out.contains("\nmqhook   running\n"), "{out}");
    let row = format!("\na        enabled  0      1         {oldest}  2\n");
    assert!(out.ends_with(&row), "expected {row:?} in\n{out}");
    stop(&mut setup).await;
    assert_eq!(status(&setup)["running"], false);
    assert_eq!(text(&status(&setup)["webhooks"][0], "oldest"), oldest);
    assert!(done(&setup.sidecar, &STATUS).contains("\nmqhook   not running\n"));
}
