//! Bodies and names that nobody in their right mind would send.

use serde_json::{Value, json};

use super::api::Asker;
use super::{FILE, start, wait_for};

#[tokio::test]
async fn hostile_bodies_are_problems_and_change_nothing() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    let before = api.get("/webhooks").await.text;
    let url = "http://127.0.0.1:1/";
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    let long = "x".repeat(70_000);
    let bodies = [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        deep,
        json!({"name": "a"}).to_string(),
        json!({"name": "a", "definition": []}).to_string(),
        json!({"name": "a", "definition": {"url": 7}}).to_string(),
        json!({"name": "", "definition": {"url": url}}).to_string(),
        json!({"name": "..", "definition": {"url": url}}).to_string(),
        json!({"name": "a/b", "definition": {"url": url}}).to_string(),
        json!({"name": "a\u{1b}[31m", "definition": {"url": url}}).to_string(),
        json!({"name": "a", "definitoin": {"url": url}}).to_string(),
        json!({"name": "a", "group": "nobody", "definition": {"url": url}}).to_string(),
        json!({"name": "a", "definition": {"url": url, "headers": {"x": "a\r\nb: c"}}}).to_string(),
        json!({"name": "a", "definition": {"url": "file:///etc/passwd"}}).to_string(),
        json!({"name": "a", "definition": {"url": url, "auth": {"type": "bearer", "token_file": "/etc/passwd"}}}).to_string(),
        json!({"name": "a", "definition": {"url": url, "network": {"allow": ["169.254.169.254"]}}}).to_string(),
        json!({"name": "a", "definition": {"url": "http://169.254.169.254/", "events": []}}).to_string(),
        json!({"name": "a", "definition": {"url": url, "body": {"format": "template", "template": "{{"}}}).to_string(),
        json!({"name": "a", "definition": {"url": url, "x": long}}).to_string(),
        json!({"name": "a", "definition": {"url": "${HOME}"}}).to_string(),
    ];
    for body in &bodies {
        let answer = api.ask("POST", "/webhooks", &[], body).await;
        let shown: String = body.chars().take(200).collect();
        assert!((400..500).contains(&answer.status), "{shown}: {answer:?}");
        assert!(!answer.text.contains("root:"), "{answer:?}");
    }
    assert_eq!(api.get("/webhooks").await.text, before);
    for group in [
        json!({"name": "g", "topics": []}),
        json!({"name": "g", "topics": ["a/#/b"]}),
        json!({"name": "g", "events": ["x"]}),
    ] {
        let answer = api.post("/groups", &group).await;
        assert_eq!(answer.status, 422, "{group}: {answer:?}");
    }
    setup.publish("plant/1", "still here").await;
    wait_for(&setup, "/file", "still here").await;
}

#[tokio::test]
async fn names_in_paths_lead_nowhere_else() {
    let setup = start(FILE).await;
    let api = Asker::local(&setup);
    for name in [
        "..",
        "%2e%2e",
        "of_file%00",
        "%ff",
        "of_file%2F..",
        "x".repeat(4_000).as_str(),
    ] {
        let answer = api.get(&format!("/webhooks/{name}")).await;
        assert!((400..500).contains(&answer.status), "{name}: {answer:?}");
    }
    for query in [
        "?limit=0",
        "?limit=501",
        "?status=odd",
        "?cursor=%25",
        "?grop=x",
    ] {
        let answer = api.get(&format!("/webhooks{query}")).await;
        answer.expect_problem(400, "errors");
    }
    let page = api.get("/webhooks?limit=1&q=FILE").await.expect(200);
    assert_eq!(page["next"], Value::Null);
}
