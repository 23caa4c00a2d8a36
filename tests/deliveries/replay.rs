//! Replay: once more, under the same id.

use support::http;
use support::receiver::Behaviour;

use super::{WEBHOOK, all, items, start};

const KEEPING: &str = "delivery_log = { successes = \"disk\", keep_events = true }\n";

#[tokio::test]
async fn what_was_delivered_is_delivered_again_under_its_id() {
    let setup = start(&format!("{KEEPING}{WEBHOOK}")).await;
    setup.publish("t/1", "one").await;
    setup.publish("t/2", "two").await;
    let first = setup.receiver.wait_for(2).await;
    let told = items(&setup, "/deliveries", |items| items.len() == 2).await;
    let id = all(&told, "event_id")[1].to_owned();
    assert_eq!(first[0].header("webhook-id"), Some(id.clone()));

    let only_dead = format!("{{\"event\": \"{id}\"}}");
    let (status, answer) = http::request(setup.admin, "POST", "/replay", &only_dead).await;
    assert_eq!((status, count(&answer)), (200, 0), "{answer}");
    let both = format!("{{\"event\": \"{id}\", \"include_delivered\": true}}");
    super::wait::until(super::PATIENCE, "it to be on disk", async || {
        let (status, answer) = http::request(setup.admin, "POST", "/replay", &both).await;
        assert_eq!(status, 200, "{answer}");
        (count(&answer) == 1).then_some(())
    })
    .await;
    let requests = setup.receiver.wait_for(3).await;
    assert_eq!(requests[2].header("webhook-id"), Some(id.clone()));
    assert_eq!(requests[2].body, first[0].body);

    // The command line does the same; each goes once, though one was delivered twice.
    items(&setup, "/deliveries", |items| items.len() == 3).await;
    let arguments = ["replay", "--webhook", "a", "--include-delivered"];
    let dry = [&arguments[..], &["--dry-run"]].concat();
    let said = super::wait::until(super::PATIENCE, "both to be counted", async || {
        let output = setup.sidecar.command(&dry);
        let said = String::from_utf8(output.stdout).expect("it writes UTF-8");
        said.contains("2 of what was delivered").then_some(said)
    })
    .await;
    assert!(said.starts_with("would replay"), "{said}");
    let output = setup.sidecar.command(&arguments);
    assert!(output.status.success(), "{output:?}");
    let requests = setup.receiver.wait_for(5).await;
    let mut topics: Vec<_> = requests[3..].iter().map(|it| it.body.clone()).collect();
    topics.sort_unstable();
    assert_eq!(topics.len(), 2);
    assert_ne!(topics[0], topics[1]);
}

#[tokio::test]
async fn dead_letters_are_replayed_by_time() {
    let setup = start(WEBHOOK).await;
    setup.receiver.set(Behaviour::Status(422));
    setup.publish("t/1", "x").await;
    items(&setup, "/deliveries?outcome=rejected", |items| {
        items.len() == 1
    })
    .await;
    setup.receiver.set(Behaviour::Status(200));
    super::wait::until(super::PATIENCE, "a dead letter", async || {
        let since = "{\"since\": \"2026-01-01T00:00:00Z\"}";
        let (status, answer) = http::request(setup.admin, "POST", "/replay", since).await;
        assert_eq!(status, 200, "{answer}");
        (count(&answer) == 1).then_some(())
    })
    .await;
    let requests = setup.receiver.wait_for(2).await;
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    for wrong in ["{}", "{\"event\": 7}", "{\"since\": \"yesterday\"}", "[]"] {
        let (status, answer) = http::request(setup.admin, "POST", "/replay", wrong).await;
        assert_eq!(status, 400, "{wrong}: {answer}");
    }
}

fn count(answer: &str) -> u64 {
    let answer: serde_json::Value = serde_json::from_str(answer).expect("JSON");
    answer["count"].as_u64().expect("a number")
}
