//! Dead letters over the API, in pages, filtered, replayed and dropped.

use std::time::Duration;

use serde_json::Value;
use support::receiver::Behaviour;
use support::wait;

use super::{anonymous, start, text};

const PATIENCE: Duration = Duration::from_secs(20);

fn ids(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .filter_map(|item| item["id"].as_u64())
        .collect()
}

#[tokio::test]
async fn they_are_listed_in_pages_and_replayed_and_dropped() {
    let setup = start().await;
    let admin = anonymous(&setup);
    setup.receiver.set(Behaviour::Status(400));
    for number in 0..7 {
        setup.publish(&format!("a/{number}"), "x").await;
    }
    setup.publish("b/1", "x").await;
    let all = wait::until(PATIENCE, "eight dead letters", async || {
        let all = ids(&admin.get("/dead-letters").await);
        (all.len() == 8).then_some(all)
    })
    .await;
    assert!(all.is_sorted_by(|a, b| a > b), "the last is first: {all:?}");
    let (mut seen, mut next) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = admin.get(&format!("/dead-letters?limit=3{next}")).await;
        seen.extend(ids(&page));
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert_eq!(ids(&admin.get("/dead-letters?webhook=b").await).len(), 1);
    assert_eq!(
        ids(&admin.get("/dead-letters?kind=on_client_connected").await).len(),
        0
    );
    assert_eq!(
        ids(&admin.get("/dead-letters?until=2020-01-01T00:00:00Z").await).len(),
        0
    );
    let first = admin.get(&format!("/dead-letters/{}", all[0])).await;
    let event = text(&first, "event_id");
    assert_eq!(
        ids(&admin.get(&format!("/dead-letters?event={event}")).await).len(),
        1
    );
    for wrong in [
        "cursor=x",
        "cursor=%F0",
        "event=x",
        "kind=on_nothing",
        "since=yesterday",
        "limit=0",
        "webook=a",
    ] {
        admin
            .call("GET", &format!("/dead-letters?{wrong}"), "", 400)
            .await;
    }
    for wrong in [
        "{}",
        r#"{"all": false}"#,
        r#"{"all": true, "webhook": "b"}"#,
        r#"{"ids": [-1]}"#,
        r#"{"ids": "1"}"#,
        r#"{"al": true}"#,
    ] {
        admin.call("POST", "/dead-letters/drop", wrong, 400).await;
    }
    assert_eq!(ids(&admin.get("/dead-letters").await), all);
    let dropped = admin
        .call("POST", "/dead-letters/drop", r#"{"webhook": "b"}"#, 200)
        .await;
    assert_eq!(
        (&dropped["count"], &dropped["complete"]),
        (&1.into(), &true.into())
    );
    setup.receiver.set(Behaviour::Status(200));
    let of_a = ids(&admin.get("/dead-letters?webhook=a").await);
    let body = format!(r#"{{"ids": [{}, 999999]}}"#, of_a[1]);
    let replayed = admin.call("POST", "/dead-letters/replay", &body, 200).await;
    assert_eq!(replayed["count"], 1);
    let replayed = admin
        .call("POST", "/dead-letters/replay", r#"{"all": true}"#, 200)
        .await;
    assert_eq!(replayed["count"], 6);
    wait::until(PATIENCE, "all to be delivered", async || {
        let status = admin.get("/status").await;
        (status["spool"]["waiting"] == 0 && status["dead_letters"]["total"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn devices_are_listed_shown_and_removed() {
    use support::mosquitto::Mosquitto;
    use support::setup::Setup;
    let config = format!("devices.enabled = true\n{}", super::WEBHOOKS);
    let setup = Setup::start(super::MQHOOK, Mosquitto::builder().log_topics(), &config).await;
    let admin = anonymous(&setup);
    let _clients = [setup.client("one/two").await, setup.client("THREE").await];
    let listed = wait::until(PATIENCE, "two devices", async || {
        let listed = admin.get("/devices?status=connected").await;
        (listed["items"].as_array().map(Vec::len) == Some(2)).then_some(listed)
    })
    .await;
    assert_eq!(text(&listed["items"][0], "status"), "connected");
    let found = admin.get("/devices?q=three").await;
    assert_eq!(text(&found["items"][0], "client_id"), "THREE");
    assert_eq!(
        text(&admin.get("/devices/one%2Ftwo").await, "client_id"),
        "one/two"
    );
    admin.call("GET", "/devices/one", "", 404).await;
    admin.call("DELETE", "/devices/one%2Ftwo", "", 204).await;
    admin.call("GET", "/devices/one%2Ftwo", "", 404).await;
    admin.call("DELETE", "/devices/one%2Ftwo", "", 404).await;
    let first = admin.get("/devices?limit=1").await;
    assert_eq!(first["items"].as_array().map(Vec::len), Some(1));
}
