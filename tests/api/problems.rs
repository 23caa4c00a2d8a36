//! Problem details for each kind of error.

use serde_json::Value;
use support::http::{self, Answer};

use super::{anonymous, create, start, text};

/// Asserts that an answer is the problem of this status and type.
fn check(answer: &Answer, status: u16, kind: &str) -> Value {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let problem: Value = serde_json::from_str(&answer.body).expect("it is JSON");
    assert_eq!(
        (text(&problem, "type"), &problem["status"]),
        (kind, &status.into()),
        "{problem}"
    );
    assert!(
        !text(&problem, "title").is_empty() && !text(&problem, "detail").is_empty(),
        "{problem}"
    );
    problem
}

#[tokio::test]
async fn every_error_is_a_problem_that_says_what_it_is() {
    let setup = start().await;
    let local = anonymous(&setup);
    let send =
        async |method: &str, path: &str, body: &str| local.send(method, path, &[], body).await;
    check(&send("GET", "/nothing", "").await, 404, "about:blank");
    check(&send("GET", "/devices/none", "").await, 404, "about:blank");
    let answer = send("PATCH", "/devices/none", "").await;
    check(&answer, 405, "about:blank");
    let allowed = answer.header("allow").expect("it says what is allowed");
    assert!(
        allowed.contains("GET") && allowed.contains("DELETE"),
        "{allowed}"
    );
    let problem = check(
        &send("GET", "/devices?limit=x&lmit=1", "").await,
        400,
        "/problems/invalid-request",
    );
    assert_eq!(problem["errors"][0]["parameter"], "limit");
    assert_eq!(problem["errors"][1]["help"], "did you mean `limit`?");
    let problem = check(
        &send("POST", "/tokens", "{\"name\": 1}").await,
        400,
        "/problems/invalid-request",
    );
    assert_eq!(problem["errors"][0]["pointer"], "/name");
    let types = [("Content-Type", "application/xml")];
    check(
        &local.send("POST", "/tokens", &types, "<a/>").await,
        415,
        "about:blank",
    );
    check(
        &send("POST", "/tokens", &" ".repeat(300 << 10)).await,
        413,
        "about:blank",
    );
    check(
        &send("POST", "/webhooks/loose/enable", "").await,
        409,
        "/problems/conflict",
    );
    let foreign = [("Origin", "http://evil.example")];
    check(
        &local.send("POST", "/webhooks/a/enable", &foreign, "").await,
        403,
        "/problems/foreign-origin",
    );
    let rebound = [("Host", "evil.example")];
    check(
        &local.send("GET", "/status", &rebound, "").await,
        403,
        "/problems/not-local",
    );
    let token = create(&setup.sidecar, "viewer", &["--role", "viewer"]);
    let viewer = super::Client::new(setup.admin, Some(token));
    support::wait::until(
        std::time::Duration::from_secs(10),
        "the token to count",
        async || (http::get(setup.admin, "/whoami").await.0 == 401).then_some(()),
    )
    .await;
    let answer = send("GET", "/status", "").await;
    check(&answer, 401, "/problems/unauthorized");
    let asked = answer
        .header("www-authenticate")
        .expect("it says what it wants");
    assert!(
        asked.starts_with("Bearer") && !asked.contains("Basic"),
        "{asked}"
    );
    check(
        &viewer.send("GET", "/tokens", &[], "").await,
        403,
        "/problems/forbidden",
    );
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let setup = start().await;
    for path in ["/live", "/status", "/openapi.json", "/nothing"] {
        let local = anonymous(&setup);
        let (head, get) = (
            http::send(setup.admin, "HEAD", path, &[], "").await,
            local.send("GET", path, &[], "").await,
        );
        assert_eq!(
            (head.status, head.body.as_str()),
            (get.status, ""),
            "{path}"
        );
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
    }
}
