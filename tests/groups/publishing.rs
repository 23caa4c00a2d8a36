//! Publishing over HTTP.

use serde_json::json;
use support::receiver::Behaviour;

use super::api::Asker;
use super::{FILE, body, count, start, wait_for};

#[tokio::test]
async fn what_an_application_publishes_reaches_the_webhooks_of_the_group() {
    let config = format!(
        "{FILE}
        [webhooks.named]
        url = \"{{receiver}}/named\"
        group = \"plant\"
        body.format = \"json\"
        events = [{{ event = \"on_application_event\", topic = \"+/1/#\" }}]
        [webhooks.messages]
        url = \"{{receiver}}/messages\"
        group = \"plant\"
        body.format = \"json\"
        events = [{{ event = \"on_message_publish\" }}]
        [groups.other]
        [webhooks.other]
        url = \"{{receiver}}/other\"
        group = \"other\"
        body.format = \"json\"
        "
    );
    let setup = start(&config).await;
    let api = Asker::local(&setup);
    let event = json!({
        "topic": "plant/1/alarm",
        "payload": "fire",
        "content_type": "text/plain",
        "user_properties": {"floor": "2"},
    });
    let answer = api.post("/groups/plant/events", &event).await.expect(202);
    assert_eq!(answer["durable"], true);
    assert_eq!(answer["events"][0]["webhooks"], 2);
    wait_for(&setup, "/file", "fire").await;
    let requests = wait_for(&setup, "/named", "fire").await;
    let request = requests
        .iter()
        .find(|it| it.target() == "/named")
        .expect("one");
    let told = body(request);
    assert_eq!(told["kind"], "on_application_event");
    assert_eq!(told["topic"], "plant/1/alarm");
    assert_eq!(told["content_type"], "text/plain");
    assert_eq!(told["id"], answer["events"][0]["id"]);
    assert_eq!(request.header("webhook-id").as_deref(), told["id"].as_str());

    let events = json!([
        {"topic": "plant/2", "payload_base64": "//8="},
        {"topic": "plant", "payload": "last"},
    ]);
    let answer = api.post("/groups/plant/events", &events).await.expect(202);
    assert_eq!(answer["events"][1]["webhooks"], 1);
    let requests = wait_for(&setup, "/file", "last").await;
    assert_eq!(count(&requests, "/file", "//8="), 1);
    assert!(
        !requests
            .iter()
            .any(|it| ["/messages", "/other"].contains(&it.target()))
    );
    assert_eq!(count(&requests, "/file", "fire"), 1);
}

#[tokio::test]
async fn what_was_accepted_is_delivered_after_a_crash() {
    let mut setup = start(FILE).await;
    setup.receiver.set(Behaviour::Status(503));
    let api = Asker::local(&setup);
    let payloads: Vec<String> = (0..50).map(|number| format!("event {number}")).collect();
    let (alone, together) = payloads.split_at(10);
    for payload in alone {
        let event = json!({"topic": "plant/1", "payload": payload});
        api.post("/groups/plant/events", &event).await.expect(202);
    }
    let events: Vec<_> = together
        .iter()
        .map(|payload| json!({"topic": "plant/1", "payload": payload}))
        .collect();
    api.post("/groups/plant/events", &events.into())
        .await
        .expect(202);
    setup.sidecar.kill();
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let receiver = &setup.receiver;
    let has_all = |requests: &[support::receiver::Request]| {
        payloads
            .iter()
            .all(|payload| count(requests, "/file", payload) > 0)
    };
    receiver.wait_until(has_all).await;
}

#[tokio::test]
async fn what_is_not_in_the_group_is_refused_with_all_that_is_wrong() {
    let setup = start(&format!("{FILE}[groups.narrow]\ntopics = [\"a/+\"]\n")).await;
    let api = Asker::local(&setup);
    let check = async |event: serde_json::Value, pointer: &str| {
        let answer = api.post("/groups/plant/events", &event).await;
        answer.expect_problem(400, &format!("\"pointer\":\"{pointer}\""));
    };
    check(json!({"topic": "office/1", "payload": ""}), "/topic").await;
    check(json!({"topic": "plant/+", "payload": ""}), "/topic").await;
    check(json!({"topic": "plant/1"}), "/payload").await;
    check(json!({"topic": "plant/1", "payload": 7}), "/payload").await;
    check(
        json!({"topic": "plant/1", "payload": "", "payload_base64": ""}),
        "/payload",
    )
    .await;
    check(
        json!({"topic": "plant/1", "payload_base64": "%"}),
        "/payload_base64",
    )
    .await;
    check(
        json!({"topic": "plant/1", "payload": "", "retain": true}),
        "/retain",
    )
    .await;
    check(
        json!({"topic": "plant/1", "payload": "", "user_properties": {"a": 1}}),
        "/user_properties",
    )
    .await;
    check(
        json!([{"topic": "plant/1", "payload": ""}, {"topic": "x"}]),
        "/1/topic",
    )
    .await;
    check(json!([7]), "/0").await;
    api.post("/groups/plant/events", &json!([]))
        .await
        .expect_problem(400, "1 to 100");
    api.post("/groups/none/events", &json!({}))
        .await
        .expect_problem(404, "no such group");
    let topicless = json!({"payload": "good"});
    let answer = api.post("/groups/narrow/events", &topicless).await;
    answer.expect_problem(400, "the group's topics are a/+");
    api.post("/groups/plant/events", &topicless)
        .await
        .expect(202);
    let requests = wait_for(&setup, "/file", "good").await;
    assert_eq!(body(&requests[0])["topic"], "plant");
    assert_eq!(
        requests.len(),
        1,
        "nothing of a request that is refused is taken"
    );
}

#[tokio::test]
async fn with_a_spool_in_memory_it_is_said_that_nothing_is_durable() {
    let config = format!("spool.backend = \"memory\"\n{FILE}");
    let setup = start(&config).await;
    let api = Asker::local(&setup);
    let event = json!({"topic": "plant/1", "payload": "hello"});
    let answer = api.post("/groups/plant/events", &event).await.expect(202);
    assert_eq!(answer["durable"], false);
    wait_for(&setup, "/file", "hello").await;
    let made = json!({"name": "a", "definition": {"url": "http://127.0.0.1:1/"}});
    api.post("/webhooks", &made)
        .await
        .expect_problem(409, "spool on disk");
    api.get("/webhooks").await.expect(200);
}

#[tokio::test]
async fn what_a_webhook_keeps_in_memory_only_is_not_called_durable() {
    let config = format!("{FILE}durable = false\n");
    let setup = start(&config).await;
    let api = Asker::local(&setup);
    let event = json!({"topic": "plant/1", "payload": "hello"});
    let answer = api.post("/groups/plant/events", &event).await.expect(202);
    assert_eq!(answer["durable"], false);
    wait_for(&setup, "/file", "hello").await;
}

#[tokio::test]
async fn a_full_spool_takes_nothing_and_says_so() {
    let config = format!("[spool]\nmax_memory = \"64KiB\"\nmax_bytes = \"1MiB\"\n{FILE}");
    let setup = start(&config).await;
    setup.receiver.set(Behaviour::Status(503));
    let api = Asker::local(&setup);
    let payload = "x".repeat(100_000);
    let event = json!({"topic": "plant/1", "payload": payload});
    for _ in 0..200 {
        let answer = api.post("/groups/plant/events", &event).await;
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
            answer.expect_problem(503, "no room");
            return;
        }
        answer.expect(202);
    }
    panic!("expected a bound");
}

#[tokio::test]
async fn of_an_event_that_is_rejected_the_log_does_not_say_that_it_waits() {
    let setup = start(FILE).await;
    setup.receiver.set(Behaviour::Status(400));
    setup.publish("plant/1", "one").await;
    setup.sidecar.wait_for_log("gave up an event").await;
    let log = setup.sidecar.log();
    assert!(!log.contains("they wait and are tried again"), "{log}");
    // What waits after that is told of all the same.
    setup.receiver.set(Behaviour::Status(500));
    setup.publish("plant/1", "two").await;
    let waits = "they wait and are tried again";
    setup.sidecar.wait_for_log(waits).await;
}

#[tokio::test]
async fn who_makes_a_webhook_less_durable_is_told_from_when_on_it_is() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    let url = setup.receiver.url();
    let webhook = |durable: bool| json!({"name": "w", "group": "plant", "definition": {"url": url, "durable": durable}});
    let mut last = api.post("/webhooks", &webhook(true)).await;
    for durable in [false, false, true] {
        last = api.put("/webhooks/w", &last.tag(), &webhook(durable)).await;
        let shown = last.expect(200);
        let warnings = shown["warnings"].as_array().expect("a list");
        let told = warnings.iter().any(|it| {
            it["pointer"] == "/definition/durable"
                && it["detail"]
                    .as_str()
                    .is_some_and(|it| it.contains("starts anew"))
        });
        assert_eq!(told, !durable, "{warnings:?}");
    }
}
