//! Tokens: making, using and removing them.

use std::time::Duration;

use serde_json::Value;
use support::http;
use support::wait;

use super::client::Client;
use super::{anonymous, create, start, text, token};

/// Longest time until a running mqhook sees what a command has done.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_first_token_closes_the_door() {
    let setup = start().await;
    let local = anonymous(&setup);
    let myself = local.get("/whoami").await;
    assert_eq!(
        (&myself["name"], text(&myself, "role")),
        (&Value::Null, "admin")
    );
    let made = local
        .call(
            "POST",
            "/tokens",
            r#"{"name": "first", "role": "admin"}"#,
            201,
        )
        .await;
    let first = Client::new(setup.admin, Some(text(&made, "token").to_owned()));
    local.call("GET", "/whoami", "", 401).await;
    local.call("GET", "/metrics", "", 401).await;
    local.call("GET", "/ready", "", 200).await;
    assert_eq!(text(&first.get("/whoami").await, "name"), "first");
    let listed = first.get("/tokens").await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    assert!(listed["items"][0].get("token").is_none(), "{listed}");
    first.call("DELETE", "/tokens/first", "", 204).await;
    first.call("GET", "/whoami", "", 401).await;
    local.get("/whoami").await;
}

#[tokio::test]
async fn tokens_of_the_command_line_count_within_a_second() {
    let setup = start().await;
    let local = anonymous(&setup);
    local.get("/whoami").await;
    let admin = token(&setup, "ops", &["--role", "admin"]);
    wait::until(PATIENCE, "the token to count", async || {
        (local.send("GET", "/whoami", &[], "").await.status == 401).then_some(())
    })
    .await;
    assert_eq!(text(&admin.get("/whoami").await, "name"), "ops");
    let gone = create(&setup.sidecar, "gone", &["--role", "viewer"]);
    let gone = Client::new(setup.admin, Some(gone));
    wait::until(PATIENCE, "the other to count", async || {
        (gone.send("GET", "/status", &[], "").await.status == 200).then_some(())
    })
    .await;
    assert!(
        setup
            .sidecar
            .command(&["tokens", "remove", "gone"])
            .status
            .success()
    );
    wait::until(PATIENCE, "it to count no more", async || {
        (gone.send("GET", "/status", &[], "").await.status == 401).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_token_is_taken_as_bearer_and_as_user_name_and_in_no_other_way() {
    let setup = start().await;
    let token = create(&setup.sidecar, "ops", &["--role", "admin"]);
    let base64 =
        |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let check = async |value: String, expected: u16| {
        let answer = http::send(
            setup.admin,
            "GET",
            "/whoami",
            &[("Authorization", &value)],
            "",
        )
        .await;
        assert_eq!(answer.status, expected, "{value}: {answer:?}");
    };
    wait::until(PATIENCE, "the token to count", async || {
        (http::get(setup.admin, "/whoami").await.0 == 401).then_some(())
    })
    .await;
    check(format!("Bearer {token}"), 200).await;
    check(format!("bearer  {token}"), 200).await;
    check(format!("Basic {}", base64(&format!("{token}:"))), 200).await;
    check(format!("Basic {}", base64(&format!(":{token}"))), 401).await;
    check(format!("Basic {}", base64(&format!("{token}:x"))), 401).await;
    check(token.clone(), 401).await;
    check(format!("Bearer {}", token.to_ascii_lowercase()), 401).await;
    check(format!("Bearer {}", &token[..token.len() - 1]), 401).await;
    check(format!("Bearer {token} {token}"), 401).await;
    check("Bearer".to_owned(), 401).await;
    let target = format!("/whoami?access_token={token}");
    assert_eq!(http::get(setup.admin, &target).await.0, 401);
}

#[tokio::test]
async fn what_is_wrong_with_a_new_token_is_said_at_once() {
    let setup = start().await;
    let local = anonymous(&setup);
    let body = r#"{"name": "x y", "role": "boss", "group": "", "colour": 1}"#;
    let problem = local.call("POST", "/tokens", body, 400).await;
    let places: Vec<&str> = problem["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|it| text(it, "pointer"))
        .collect();
    assert_eq!(places, ["/name", "/role", "/group", "/colour"]);
    for body in [
        r#"{"name": "loopback", "role": "viewer"}"#,
        r#"{"name": "17", "role": "viewer"}"#,
        r#"{"name": "x", "role": "viewer", "group": "g", "webhook": "a"}"#,
        r#"{"name": "x", "role": "publisher", "webhook": "a"}"#,
        r#"{"name": "x"}"#,
        r#"{"name": ["x"], "role": {"a": 1}}"#,
        r#"["x"]"#,
        "{",
        "null",
    ] {
        local.call("POST", "/tokens", body, 400).await;
    }
    let admin = local
        .call("POST", "/tokens", r#"{"name": "x", "role": "admin"}"#, 201)
        .await;
    let admin = Client::new(setup.admin, Some(text(&admin, "token").to_owned()));
    admin
        .call("POST", "/tokens", r#"{"name": "x", "role": "viewer"}"#, 409)
        .await;
    admin.call("DELETE", "/tokens/y", "", 404).await;
}

#[tokio::test]
async fn when_a_token_was_used_is_kept() {
    let setup = start().await;
    let admin = token(&setup, "ops", &["--role", "admin"]);
    wait::until(PATIENCE, "the use to be written", async || {
        admin.send("GET", "/whoami", &[], "").await;
        let output = setup.sidecar.command(&["tokens", "list", "--json"]);
        let row: Value = serde_json::from_slice(&output.stdout).expect("an object");
        row["last_used_at"].is_string().then_some(())
    })
    .await;
}

#[tokio::test]
async fn changes_are_in_the_log_with_who_made_them() {
    let setup = start().await;
    let admin = token(&setup, "ops", &["--role", "admin"]);
    wait::until(PATIENCE, "the token to count", async || {
        (admin.send("GET", "/whoami", &[], "").await.status == 200).then_some(())
    })
    .await;
    admin
        .call(
            "POST",
            "/webhooks/a/disable",
            r#"{"reason": "line\nbreak"}"#,
            200,
        )
        .await;
    let line = setup.sidecar.wait_for_log("disable a webhook").await;
    assert!(
        line.contains("who=\"ops\"") && line.contains("on=\"a\""),
        "{line}"
    );
    admin.call("DELETE", "/tokens/none%0A%1b[2J", "", 404).await;
    let line = setup.sidecar.wait_for_log("remove a token").await;
    assert!(
        line.contains("404") && !line.contains("\u{1b}[2J"),
        "{line}"
    );
}

#[tokio::test]
async fn the_command_line_makes_lists_and_removes_tokens() {
    let setup = start().await;
    let run = |arguments: &[&str]| {
        let output = setup.sidecar.command(&[&["tokens"], arguments].concat());
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (status, out, _) = run(&["list"]);
    assert!(status == Some(0) && out.contains("no tokens"), "{out}");
    let (status, out, _) = run(&["create", "a", "--role", "viewer", "--group", "g", "--json"]);
    let made: Value = serde_json::from_str(&out).expect("an object");
    assert_eq!((status, text(&made, "group")), (Some(0), "g"));
    let (_, out, _) = run(&["list"]);
    assert!(
        out.contains("group g") && !out.contains(text(&made, "token")),
        "{out}"
    );
    for wrong in [
        &["create", "a", "--role", "viewer"][..],
        &["create", "b c", "--role", "viewer"],
        &["create", "b", "--role", "boss"],
        &["create", "b", "--role", "publisher", "--webhook", "a"],
        &["create", "b"],
        &["remove", "nobody"],
    ] {
        let (status, _, err) = run(wrong);
        assert!(status != Some(0) && !err.is_empty(), "{wrong:?}: {err}");
    }
    assert_eq!(run(&["remove", "a"]).0, Some(0));
}
