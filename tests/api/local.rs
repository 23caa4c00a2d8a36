//! Who is let in without a token, and where mqhook does not listen without one.

use support::http;
use support::port::free_port;
use support::sidecar::Sidecar;

use super::{MQHOOK, create, start};

/// A configuration with these addresses, and a broker that is not there.
fn config(admin: &str) -> String {
    format!(
        "broker.url = \"mqtt://127.0.0.1:1\"\n{admin}\n[webhooks.a]\nurl = \"http://127.0.0.1:1/\"\nevents = [{{ event = \"on_message_publish\", topic = \"#\" }}]\n"
    )
}

#[tokio::test]
async fn pages_of_other_sites_and_proxies_are_not_let_in() {
    let setup = start().await;
    let own = format!("127.0.0.1:{}", setup.admin);
    let origin = format!("http://{own}");
    let check = async |method: &str, headers: &[(&str, &str)], expected: u16| {
        let answer = http::send(setup.admin, method, "/webhooks/a/enable", headers, "").await;
        assert_eq!(answer.status, expected, "{method} {headers:?}: {answer:?}");
    };
    check("POST", &[], 200).await;
    check("POST", &[("Host", "localhost")], 200).await;
    check("POST", &[("Host", "rebound.example")], 403).await;
    check(
        "POST",
        &[
            ("Host", "rebound.example"),
            ("Origin", "http://rebound.example"),
        ],
        403,
    )
    .await;
    check("POST", &[("Host", &own), ("Origin", &origin)], 200).await;
    check(
        "POST",
        &[("Host", &own), ("Origin", "http://evil.example")],
        403,
    )
    .await;
    check("POST", &[("Origin", "null")], 403).await;
    check("POST", &[("Sec-Fetch-Site", "cross-site")], 403).await;
    check("POST", &[("X-Forwarded-For", "192.0.2.1")], 403).await;
    let headers = [("Host", "rebound.example")];
    let answer = http::send(setup.admin, "GET", "/status", &headers, "").await;
    assert_eq!(answer.status, 403);
    // What a page may send without asking is not taken for JSON.
    let types = [("Content-Type", "text/plain")];
    let answer = http::send(
        setup.admin,
        "POST",
        "/tokens",
        &types,
        r#"{"name": "x", "role": "admin"}"#,
    )
    .await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_browser_that_knows_a_token_is_not_used_by_other_pages() {
    let setup = start().await;
    let token = create(&setup.sidecar, "ops", &["--role", "admin"]);
    let pair = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{token}:"),
    );
    let check = async |authorization: String, origin: &str, expected: u16| {
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Origin", origin),
        ];
        let answer = http::send(setup.admin, "POST", "/webhooks/a/enable", &headers, "").await;
        assert_eq!(answer.status, expected, "{headers:?}: {answer:?}");
    };
    support::wait::until(
        std::time::Duration::from_secs(10),
        "the token to count",
        async || (http::get(setup.admin, "/whoami").await.0 == 401).then_some(()),
    )
    .await;
    check(format!("Basic {pair}"), "http://evil.example", 403).await;
    // A page must have been told a bearer token, and a browser asks before it sends one elsewhere.
    check(format!("Bearer {token}"), "https://proxy.example", 200).await;
    let answer = http::send(
        setup.admin,
        "OPTIONS",
        "/webhooks/a/enable",
        &[("Origin", "http://evil.example")],
        "",
    )
    .await;
    assert_eq!(answer.status, 405);
    assert!(answer.header("access-control-allow-origin").is_none());
}

/// Waits until there is an answer.
async fn listens(port: u16) {
    support::wait::until(
        std::time::Duration::from_secs(10),
        "an answer",
        async || http::try_request(port, "GET", "/live", "").await,
    )
    .await;
}

#[tokio::test]
async fn mqhook_listens_elsewhere_only_with_a_token() {
    let port = free_port();
    let listen = format!("admin.listen = \"0.0.0.0:{port}\"");
    let mut sidecar = Sidecar::start(MQHOOK, &config(&listen), "toml");
    assert_eq!(sidecar.wait().await.code(), Some(78));
    let log = sidecar.log();
    assert!(
        log.contains("mqhook tokens create") && log.contains("metrics_listen"),
        "{log}"
    );
    let token = create(&sidecar, "ops", &["--role", "admin"]);
    sidecar.start_again();
    listens(port).await;
    let bearer = format!("Bearer {token}");
    let answer = http::send(port, "GET", "/status", &[("Authorization", &bearer)], "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(http::get(port, "/status").await.0, 401);
    // Without any token nobody is let in: who comes from loopback may have come over a proxy.
    let removed = http::send(
        port,
        "DELETE",
        "/tokens/ops",
        &[("Authorization", &bearer)],
        "",
    )
    .await;
    assert_eq!(removed.status, 204);
    assert_eq!(http::get(port, "/status").await.0, 401);
    assert_eq!(http::get(port, "/live").await.0, 200);
}

#[tokio::test]
async fn a_token_can_be_made_before_the_first_start() {
    let port = free_port();
    let mut sidecar = Sidecar::start(MQHOOK, "nonsense", "toml");
    sidecar.wait().await;
    sidecar.write_config(&config(&format!(
        "admin.listen = \"0.0.0.0:{port}\"\nspool.dir = \"spool\""
    )));
    create(&sidecar, "ops", &["--role", "admin", "-c", "mqhook.toml"]);
    sidecar.start_again();
    listens(port).await;
    assert_eq!(http::get(port, "/status").await.0, 401);
}

#[tokio::test]
async fn what_is_mistyped_for_a_new_token_is_told() {
    let mut sidecar = Sidecar::start(MQHOOK, "nonsense", "toml");
    sidecar.wait().await;
    sidecar.write_config(&config("spool.dir = \"spool\""));
    let said = |arguments: &[&str]| {
        let all = [&["tokens", "create", "--role", "viewer"], arguments].concat();
        let output = sidecar.command(&all);
        assert!(output.status.success() && output.stdout.starts_with(b"mqh_"));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let first = said(&["one", "-c", "mqhook.toml"]);
    assert!(first.contains("a new spool begins there"), "{first}");
    assert_eq!(said(&["two", "-c", "mqhook.toml"]), "");
    let elsewhere = said(&["three", "--dir", "mistyped"]);
    assert!(elsewhere.contains("mistyped"), "{elsewhere}");
    assert_eq!(said(&["four", "-c", "mqhook.toml", "--webhook", "a"]), "");
    for (name, limit) in [("five", "--webhook"), ("six", "--group")] {
        let said = said(&[name, "-c", "mqhook.toml", limit, "mistyped"]);
        assert!(said.contains("`mistyped` yet"), "{limit}: {said}");
    }
}

#[tokio::test]
async fn a_spool_in_memory_has_no_tokens() {
    let port = free_port();
    let memory = "spool.backend = \"memory\"\n";
    let elsewhere = format!("{memory}admin.listen = \"0.0.0.0:{port}\"");
    let mut sidecar = Sidecar::start(MQHOOK, &config(&elsewhere), "toml");
    assert_eq!(sidecar.wait().await.code(), Some(78));
    assert!(sidecar.log().contains("spool.backend"), "{}", sidecar.log());
    let here = format!("{memory}admin.listen = \"127.0.0.1:{port}\"");
    let sidecar = Sidecar::start(MQHOOK, &config(&here), "toml");
    sidecar.wait_for_log("admin API").await;
    let local = super::Client::new(port, None);
    assert_eq!(local.get("/status").await["spool"]["backend"], "memory");
    for (method, path, body) in [
        ("GET", "/devices", ""),
        ("GET", "/tokens", ""),
        ("POST", "/tokens", r#"{"name": "x", "role": "admin"}"#),
        ("GET", "/dead-letters", ""),
        ("POST", "/webhooks/a/disable", ""),
    ] {
        let problem = local.call(method, path, body, 409).await;
        assert_eq!(problem["type"], "/problems/not-on-disk", "{method} {path}");
    }
}

#[tokio::test]
async fn metrics_may_be_open_to_all_and_nothing_else_is() {
    let (admin, metrics) = (free_port(), free_port());
    let listen = format!(
        "admin.listen = \"127.0.0.1:{admin}\"\nadmin.metrics_listen = \"0.0.0.0:{metrics}\""
    );
    let sidecar = Sidecar::start(MQHOOK, &config(&listen), "toml");
    sidecar.wait_for_log("for everybody").await;
    let headers = [("Host", "mqhook.example"), ("X-Forwarded-For", "192.0.2.1")];
    for (path, expected) in [
        ("/metrics", 200),
        ("/live", 200),
        ("/ready", 503),
        ("/status", 404),
        ("/tokens", 404),
        ("/", 404),
        ("/openapi.json", 404),
    ] {
        let answer = http::send(metrics, "GET", path, &headers, "").await;
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
    }
}
