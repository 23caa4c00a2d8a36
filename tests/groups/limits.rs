//! What tokens may see and do that are limited to a group or a webhook.

use serde_json::{Value, json};

use super::api::Asker;
use super::{start, token};

const TWO_GROUPS: &str = "
    [groups.one]
    topics = [\"one/#\"]
    [groups.two]
    topics = [\"two/#\"]
    [webhooks.a]
    url = \"{receiver}/a\"
    group = \"one\"
    [webhooks.b]
    url = \"{receiver}/b\"
    group = \"two\"
    [webhooks.c]
    url = \"{receiver}/c\"
    events = [{ event = \"on_message_publish\" }]
";

fn names(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().expect("a list");
    items
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect()
}

#[tokio::test]
async fn a_token_of_a_group_sees_that_group_only() {
    let setup = start(TWO_GROUPS).await;
    let of_one = token(&setup, &["of-one", "--role", "admin", "--group", "one"]);
    let api = Asker::with(&setup, &of_one);
    assert_eq!(names(&api.get("/webhooks").await.expect(200)), ["a"]);
    assert_eq!(names(&api.get("/groups").await.expect(200)), ["one"]);
    let clients = api.get("/clients/x/webhooks").await;
    assert_eq!(names(&clients.expect(200)), ["a"]);
    for path in ["/webhooks/b", "/webhooks/c", "/groups/two"] {
        assert_eq!(api.get(path).await.status, 404, "{path}");
    }
    for path in ["/webhooks/b/test", "/webhooks/c/disable"] {
        assert_eq!(api.ask("POST", path, &[], "").await.status, 404, "{path}");
    }
    let event = json!({"topic": "one/1", "payload": "x"});
    api.post("/groups/one/events", &event).await.expect(202);
    let event = json!({"topic": "two/1", "payload": "x"});
    assert_eq!(api.post("/groups/two/events", &event).await.status, 404);
    assert_eq!(
        api.post("/groups", &json!({"name": "three"})).await.status,
        403
    );
    let beyond = [json!(null), json!("two")];
    for group in beyond {
        let webhook =
            json!({"name": "d", "group": group, "definition": {"url": "http://127.0.0.1:1/"}});
        let answer = api.post("/webhooks", &webhook).await;
        assert_eq!(answer.status, 403, "{group}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_of_a_group_makes_nothing_that_has_what_is_of_others() {
    let setup = start(TWO_GROUPS).await;
    let [one, two] =
        ["one", "two"].map(|group| token(&setup, &[group, "--role", "admin", "--group", group]));
    let (one, two) = (Asker::with(&setup, &one), Asker::with(&setup, &two));
    let url = "http://127.0.0.1:1/";
    let made = json!({"name": "mine", "group": "one", "definition": {"url": url}});
    let made = one.post("/webhooks", &made).await;
    made.expect(201);
    // What waits for it, its dead letters and its log go by the name.
    let event = json!({"topic": "one/1", "payload": "x"});
    one.post("/groups/one/events", &event).await.expect(202);
    one.delete("/webhooks/mine", &made.tag()).await.expect(204);
    let again = json!({"name": "mine", "group": "two", "definition": {"url": url}});
    let again = two.post("/webhooks", &again).await;
    again.expect_problem(409, "left events behind");
    // Notices are about the webhooks of all groups.
    let events = json!([{"event": "on_delivery_failed"}]);
    let definition = json!({"url": url, "events": events});
    let notices = json!({"name": "new", "group": "two", "definition": definition});
    let notices = two.post("/webhooks", &notices).await;
    notices.expect_problem(403, "notices are about all webhooks");
}

#[tokio::test]
async fn a_token_of_a_webhook_sees_that_webhook_only() {
    let setup = start(TWO_GROUPS).await;
    let of_a = token(&setup, &["of-a", "--role", "admin", "--webhook", "a"]);
    let api = Asker::with(&setup, &of_a);
    assert_eq!(names(&api.get("/webhooks").await.expect(200)), ["a"]);
    assert_eq!(names(&api.get("/groups").await.expect(200)), [""; 0]);
    let webhook =
        json!({"name": "d", "group": "one", "definition": {"url": "http://127.0.0.1:1/"}});
    assert_eq!(api.post("/webhooks", &webhook).await.status, 403);
    let event = json!({"topic": "one/1", "payload": "x"});
    assert_eq!(api.post("/groups/one/events", &event).await.status, 404);
}

#[tokio::test]
async fn a_publisher_publishes_and_sees_nothing() {
    let setup = start(TWO_GROUPS).await;
    let publisher = token(&setup, &["p", "--role", "publisher", "--group", "one"]);
    let api = Asker::with(&setup, &publisher);
    let event = json!({"topic": "one/1", "payload": "x"});
    api.post("/groups/one/events", &event).await.expect(202);
    for path in [
        "/webhooks",
        "/webhooks/a",
        "/groups",
        "/groups/one",
        "/clients/x/webhooks",
    ] {
        assert_eq!(api.get(path).await.status, 403, "{path}");
    }
}
