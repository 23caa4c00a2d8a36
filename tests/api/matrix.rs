//! Every route with every kind of token.

use mqhook::admin::{Entry, routes};
use support::http;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{create, start};

/// What a route asks for, said once more, so that a change is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Least {
    Nobody,
    Anybody,
    Viewer,
    Operator,
    Admin,
    Publisher,
}

use Least::{Admin, Anybody, Nobody, Operator, Publisher, Viewer};

/// What a limited token may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Also,
    Not,
}

use Part::{Also, Not};

/// A route that is not here fails the test.
const EXPECTED: &[(&str, &str, Least, Part)] = &[
    ("GET", "/", Nobody, Also),
    ("GET", "/ui/{file}", Nobody, Also),
    ("GET", "/live", Nobody, Also),
    ("GET", "/ready", Nobody, Also),
    ("GET", "/metrics", Viewer, Not),
    ("GET", "/openapi.json", Nobody, Also),
    ("GET", "/status", Viewer, Also),
    ("GET", "/whoami", Anybody, Also),
    ("GET", "/tokens", Admin, Not),
    ("POST", "/tokens", Admin, Not),
    ("DELETE", "/tokens/{id}", Admin, Not),
    ("GET", "/webhooks", Viewer, Also),
    ("POST", "/webhooks", Admin, Also),
    ("GET", "/webhooks/{id}", Viewer, Also),
    ("PUT", "/webhooks/{id}", Admin, Also),
    ("DELETE", "/webhooks/{id}", Admin, Also),
    ("POST", "/webhooks/{id}/test", Operator, Also),
    ("POST", "/webhooks/{id}/rotate-secret", Admin, Also),
    ("GET", "/groups", Viewer, Also),
    ("POST", "/groups", Admin, Not),
    ("GET", "/groups/{id}", Viewer, Also),
    ("PUT", "/groups/{id}", Admin, Not),
    ("DELETE", "/groups/{id}", Admin, Not),
    ("POST", "/groups/{id}/events", Publisher, Also),
    ("GET", "/clients/{client_id}/webhooks", Viewer, Also),
    ("POST", "/webhooks/{id}/enable", Operator, Also),
    ("POST", "/webhooks/{id}/disable", Operator, Also),
    ("GET", "/metrics/summary", Viewer, Also),
    ("GET", "/deliveries", Viewer, Also),
    ("GET", "/deliveries/stream", Viewer, Also),
    ("GET", "/events/stream", Viewer, Also),
    ("GET", "/events/{id}", Viewer, Also),
    ("POST", "/replay", Operator, Also),
    ("GET", "/devices", Viewer, Not),
    ("GET", "/devices/{client_id}", Viewer, Not),
    ("DELETE", "/devices/{client_id}", Operator, Not),
    ("GET", "/dead-letters", Viewer, Also),
    ("GET", "/dead-letters/{id}", Viewer, Also),
    ("POST", "/dead-letters/replay", Operator, Also),
    ("POST", "/dead-letters/drop", Operator, Also),
    ("POST", "/reload", Admin, Not),
];

/// The tokens, and how each is made.
const TOKENS: [(&str, &[&str]); 8] = [
    ("viewer", &["--role", "viewer"]),
    ("operator", &["--role", "operator"]),
    ("admin", &["--role", "admin"]),
    ("publisher", &["--role", "publisher"]),
    ("viewer-of-group", &["--role", "viewer", "--group", "g"]),
    ("admin-of-group", &["--role", "admin", "--group", "g"]),
    (
        "operator-of-webhook",
        &["--role", "operator", "--webhook", "a"],
    ),
    (
        "publisher-of-group",
        &["--role", "publisher", "--group", "g"],
    ),
];

/// Returns what is to be answered: let through, or refused with a status.
fn expected(least: Least, part: Part, token: &str) -> Result<(), u16> {
    let (role, limit) = token
        .split_once("-of-")
        .map_or((token, None), |(role, of)| (role, Some(of)));
    let has_role = match (role, least) {
        (_, Nobody) => return Ok(()),
        ("none" | "wrong", _) => return Err(401),
        (_, Anybody) => true,
        ("admin", _) => true,
        ("operator", Viewer | Operator | Publisher) => true,
        ("viewer", Viewer) => true,
        ("publisher", Publisher) => true,
        _ => false,
    };
    let has_part = limit.is_none() || part == Also;
    if has_role && has_part {
        Ok(())
    } else {
        Err(403)
    }
}

/// Returns the status of an answer, of which only the head is read: it may be a stream.
async fn status(port: u16, method: &str, path: &str, token: Option<&str>) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens");
    let token = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let body = if method == "GET" { "" } else { "{}" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{token}\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("it reads");
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.expect("it answers");
    let line = String::from_utf8_lossy(&line).into_owned();
    line["HTTP/1.1 ".len()..].parse().expect("a status")
}

#[tokio::test]
async fn every_route_is_for_those_whom_it_is_for() {
    let setup = start().await;
    let mut tokens = vec![("none", None), ("wrong", Some("mqh_wrong".to_owned()))];
    for (name, arguments) in TOKENS {
        tokens.push((name, Some(create(&setup.sidecar, name, arguments))));
    }
    // The first use of a token is known at once, that of the first of all within a second.
    support::wait::until(
        std::time::Duration::from_secs(10),
        "tokens that count",
        async || {
            let answer = http::get(setup.admin, "/whoami").await;
            (answer.0 == 401).then_some(())
        },
    )
    .await;
    let mut wrong = Vec::new();
    for Entry { method, path, .. } in routes() {
        let found = EXPECTED
            .iter()
            .find(|it| it.0 == method.as_str() && it.1 == path);
        let Some((_, _, least, part)) = found else {
            wrong.push(format!("{method} {path} is not in EXPECTED"));
            continue;
        };
        let target = path
            .replace("{id}", "none-such")
            .replace("{client_id}", "none-such");
        for (name, token) in &tokens {
            let status = status(setup.admin, method.as_str(), &target, token.as_deref()).await;
            let got = match status {
                // Many wrong tokens come here.
                401 | 429 => Err(401),
                403 => Err(403),
                500.. if path != "/ready" => Err(status),
                _ => Ok(()),
            };
            if got != expected(*least, *part, name) {
                wrong.push(format!(
                    "{method} {path} as {name}: {status}, expected {:?}",
                    expected(*least, *part, name)
                ));
            }
        }
    }
    let is_listed = |it: &&(&str, &str, Least, Part)| {
        routes()
            .iter()
            .any(|entry| entry.method.as_str() == it.0 && entry.path == it.1)
    };
    wrong.extend(
        EXPECTED
            .iter()
            .filter(|it| !is_listed(it))
            .map(|it| format!("{} {} is no route", it.0, it.1)),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
