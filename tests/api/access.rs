//! What a limited token has, what a viewer does not see, and secrets, which nobody sees.

use std::time::Duration;

use serde_json::Value;
use support::receiver::Behaviour;
use support::setup::Setup;
use support::wait;

use super::client::Client;
use super::{anonymous, start, text, token};

const PATIENCE: Duration = Duration::from_secs(10);

/// Has a message of each of these topics be given up.
async fn give_up(setup: &Setup, topics: &[&str]) {
    setup.receiver.set(Behaviour::Status(400));
    for topic in topics {
        setup.publish(topic, "p4yload").await;
    }
    let admin = anonymous(setup);
    wait::until(PATIENCE, "the dead letters", async || {
        let letters = admin.get("/dead-letters").await;
        (letters["items"].as_array().map(Vec::len) == Some(topics.len())).then_some(())
    })
    .await;
}

async fn counts(client: &Client) {
    wait::until(PATIENCE, "the token to count", async || {
        (client.send("GET", "/whoami", &[], "").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_limited_token_has_what_concerns_its_webhook() {
    let setup = start().await;
    give_up(&setup, &["a/1", "b/1", "b/2"]).await;
    let limited = token(&setup, "limited", &["--role", "operator", "--webhook", "a"]);
    let admin = token(&setup, "admin", &["--role", "admin"]);
    counts(&admin).await;
    let letters = limited.get("/dead-letters").await;
    let letters = letters["items"].as_array().expect("items");
    assert!(
        letters.len() == 1 && text(&letters[0], "webhook") == "a",
        "{letters:?}"
    );
    let all = admin.get("/dead-letters?webhook=b").await;
    let of_b = &all["items"][0];
    limited
        .call("GET", &format!("/dead-letters/{}", of_b["id"]), "", 404)
        .await;
    limited.get("/dead-letters?webhook=b").await["items"]
        .as_array()
        .filter(|it| it.is_empty())
        .expect("none");
    let dropped = limited
        .call("POST", "/dead-letters/drop", r#"{"all": true}"#, 200)
        .await;
    assert_eq!(dropped["count"], 1);
    let ids = format!(r#"{{"ids": [{}]}}"#, of_b["id"]);
    let dropped = limited.call("POST", "/dead-letters/drop", &ids, 200).await;
    assert_eq!(dropped["count"], 0);
    limited.call("POST", "/webhooks/a/disable", "", 200).await;
    limited.call("POST", "/webhooks/b/disable", "", 404).await;
    limited.call("POST", "/webhooks/nix/disable", "", 404).await;
    let status = limited.get("/status").await;
    assert_eq!(
        (
            &status["webhooks"]["total"],
            &status["dead_letters"]["total"]
        ),
        (&1.into(), &0.into())
    );
    assert!(
        status.get("devices").is_none() && status.get("events").is_none(),
        "{status}"
    );
    assert_eq!(
        admin.get("/dead-letters").await["items"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

#[tokio::test]
async fn payloads_are_for_operators() {
    let setup = start().await;
    give_up(&setup, &["a/1"]).await;
    let viewer = token(&setup, "viewer", &["--role", "viewer"]);
    let operator = token(&setup, "operator", &["--role", "operator"]);
    counts(&operator).await;
    let id = operator.get("/dead-letters").await["items"][0]["id"].clone();
    let path = format!("/dead-letters/{id}");
    let seen = operator.get(&path).await;
    assert_eq!(text(&seen["event"]["detail"], "payload"), "p4yload");
    let seen = viewer.get(&path).await;
    assert_eq!(seen["event"]["detail"]["payload_bytes"], 7);
    assert!(!seen.to_string().contains("p4yload"), "{seen}");
}

#[tokio::test]
async fn secrets_are_in_no_answer_and_in_no_log() {
    let setup = start().await;
    give_up(&setup, &["a/1", "b/1"]).await;
    let made = super::create(&setup.sidecar, "admin", &["--role", "admin"]);
    let admin = Client::new(setup.admin, Some(made.clone()));
    counts(&admin).await;
    let mut seen = String::new();
    for entry in mqhook::admin::routes() {
        if entry.path.ends_with("/stream") || entry.path.contains('{') && entry.method != "GET" {
            continue;
        }
        for id in ["a", "b", "1", "2", "admin"] {
            let path = entry.path.replace("{id}", id).replace("{client_id}", id);
            let body = if entry.method == "GET" {
                ""
            } else {
                r#"{"nix": "mqh_x"}"#
            };
            let answer = admin.send(entry.method.as_str(), &path, &[], body).await;
            seen += &format!("{answer:?}\n");
        }
    }
    seen += &setup.sidecar.log();
    for secret in ["s3cret", made.as_str(), "mqh_x"] {
        let at = seen
            .find(secret)
            .map(|at| &seen[at.saturating_sub(200)..at]);
        assert!(at.is_none(), "a secret is behind {at:?}");
    }
}

#[tokio::test]
async fn a_webhook_that_remembers_nothing_cannot_be_switched() {
    let setup = start().await;
    let admin = anonymous(&setup);
    let problem = admin.call("POST", "/webhooks/loose/disable", "", 409).await;
    assert_eq!(text(&problem, "type"), "/problems/conflict");
    let disabled = admin
        .call("POST", "/webhooks/a/disable", r#"{"reason": "why"}"#, 200)
        .await;
    assert_eq!(text(&disabled, "reason"), "why");
    // mqhook sees within a second that it is disabled.
    let status = wait::until(PATIENCE, "a message to wait", async || {
        setup.publish("a/1", "1").await;
        let status = admin.get("/status").await;
        (status["spool"]["oldest_age_seconds"].is_number()).then_some(status)
    })
    .await;
    assert_eq!(status["webhooks"]["disabled"], 1);
    admin.call("POST", "/webhooks/a/enable", "", 200).await;
    wait::until(PATIENCE, "the messages to be delivered", async || {
        (admin.get("/status").await["spool"]["waiting"] == Value::from(0)).then_some(())
    })
    .await;
}
