//! OAuth 2.0: tokens are got from a real endpoint, kept, replaced, and never cost an event.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::certificates::Certificates;
use support::proxy::{Manner, Proxy};
use support::receiver::{Answer, Behaviour, Gate, Receiver, Request};
use support::setup::Setup;
use support::wait;

use super::{deliveries, next, replace, start, start_impatient, start_with};

const AUTH_METRIC: &str = "mqhook_attempts_total{webhook=\"a\",outcome=\"auth\"}";

/// An answer with a token that lives so long.
fn grant(token: &str, seconds: u64) -> Behaviour {
    let body = format!(
        "{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\",\"expires_in\":{seconds}}}"
    );
    let answer = Answer::new(200).header("content-type", "application/json");
    Behaviour::Answer(answer.body(body))
}

/// Gives out `token-1`, `token-2` and so on.
fn give_tokens(endpoint: &Receiver, seconds: u64) {
    let given = AtomicUsize::new(0);
    endpoint.set_script(move |_| {
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        grant(&format!("token-{number}"), seconds)
    });
}

/// Returns an `auth` table for an endpoint, with more keys.
fn auth(endpoint: &Receiver, more: &str) -> String {
    let secret = if more.contains("client_secret") {
        ""
    } else {
        "client_secret = \"s3cret: %\"\n"
    };
    format!(
        "type = \"oauth2\"\ntoken_url = \"{}/token?x=1\"\nclient_id = \"the client\"\n{secret}{more}",
        endpoint.url()
    )
}

fn bearer(request: &Request) -> String {
    request.header("authorization").unwrap_or_default()
}

/// Answers 401 to these tokens, and 200 to all others.
fn refuse(receiver: &Receiver, tokens: &'static [&'static str]) {
    receiver.set_script(move |request| {
        let bearer = bearer(request);
        let is_refused = tokens
            .iter()
            .any(|token| bearer == format!("Bearer {token}"));
        Behaviour::Status(if is_refused { 401 } else { 200 })
    });
}

async fn burst(setup: &Setup, count: usize) {
    for _ in 0..count {
        setup.publish("t", "x").await;
    }
}

#[tokio::test]
async fn one_token_is_asked_for_and_serves_all() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let keys = "scope = \"events:write a\"\naudience = \"https://api/\"";
    let setup = start(&auth(&endpoint, keys)).await;
    burst(&setup, 20).await;
    for request in setup.receiver.wait_for(20).await {
        assert_eq!(bearer(&request), "Bearer token-1");
    }
    let requests = endpoint.requests();
    let [request] = requests.as_slice() else {
        panic!("expected one request, got {requests:?}");
    };
    assert_eq!((request.method(), request.target()), ("POST", "/token?x=1"));
    let expected =
        "grant_type=client_credentials&scope=events%3Awrite+a&audience=https%3A%2F%2Fapi%2F";
    assert_eq!(request.text(), expected);
    let form = Some("application/x-www-form-urlencoded".to_owned());
    assert_eq!(request.header("content-type"), form);
    // `the+client:s3cret%3A+%25`, as RFC 6749 (2.3.1) wants it.
    let expected = Some("Basic dGhlK2NsaWVudDpzM2NyZXQlM0ErJTI1".to_owned());
    assert_eq!(request.header("authorization"), expected);
}

#[tokio::test]
async fn the_credentials_may_stand_in_the_body() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let setup = start(&auth(&endpoint, "in = \"body\"")).await;
    next(&setup).await;
    let request = endpoint.next().await;
    let expected = "grant_type=client_credentials&client_id=the+client&client_secret=s3cret%3A+%25";
    assert_eq!(request.text(), expected);
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn all_wait_for_the_one_who_asks() {
    let endpoint = Receiver::start();
    let gate = Gate::shut();
    endpoint.set(grant("token", 3_600).behind(&gate));
    let setup = start(&auth(&endpoint, "")).await;
    burst(&setup, 10).await;
    let in_flight = "mqhook_attempts_in_flight{webhook=\"a\"}";
    setup.wait_for_metric(in_flight, |count| count == 10).await;
    assert_eq!(setup.receiver.counts().requests, 0);
    gate.open();
    setup.receiver.wait_for(10).await;
    deliveries(&setup, "delivered", 10).await;
    assert_eq!(endpoint.counts().requests, 1);
    assert_eq!(setup.receiver.counts().requests, 10);
}

#[tokio::test]
async fn a_token_is_replaced_before_its_life_ends() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 6);
    let setup = start(&auth(&endpoint, "")).await;
    next(&setup).await;
    let got = Instant::now();
    wait::until(Duration::from_secs(10), "another token", async || {
        let is_it = bearer(&next(&setup).await) == "Bearer token-2";
        is_it.then_some(())
    })
    .await;
    let age = got.elapsed();
    let expected = Duration::from_secs(4)..Duration::from_secs(6);
    assert!(
        expected.contains(&age),
        "expected three quarters of 6 s, got {age:?}"
    );
}

#[tokio::test]
async fn a_token_is_used_while_it_cannot_be_replaced() {
    let endpoint = Receiver::start();
    endpoint.answer_in_turn([grant("token", 8), Behaviour::Status(500)]);
    let setup = start(&auth(&endpoint, "")).await;
    next(&setup).await;
    wait::until(
        Duration::from_secs(15),
        "a failed replacement",
        async || {
            assert_eq!(bearer(&next(&setup).await), "Bearer token");
            (endpoint.counts().requests >= 2).then_some(())
        },
    )
    .await;
    assert_eq!(bearer(&next(&setup).await), "Bearer token");
    setup
        .sidecar
        .wait_for_log("cannot replace a token yet")
        .await;
    let metrics = setup.sidecar.metrics(setup.admin).await;
    assert!(!metrics.contains(AUTH_METRIC), "{metrics}");
}

#[tokio::test]
async fn an_endpoint_that_fails_costs_no_event() {
    let endpoint = Receiver::start();
    let refusal = Answer::new(401).body("{\"error\":\"invalid_client\"}");
    let failures = [
        Behaviour::Status(500),
        Behaviour::Answer(refusal),
        Behaviour::Status(410),
        Behaviour::Answer(Answer::new(302).header("location", "/elsewhere")),
        Behaviour::Status(200),
        Behaviour::Garbage,
        Behaviour::ResetBeforeAnswer,
        Behaviour::ResetAfterHeaders,
        Behaviour::EndlessBody,
        Behaviour::EndlessHeaders,
        grant("a b", 60),
    ];
    let count = failures.len();
    endpoint.answer_in_turn(failures.into_iter().chain([grant("token", 60)]));
    let setup = start(&auth(&endpoint, "")).await;
    assert_eq!(bearer(&next(&setup).await), "Bearer token");
    deliveries(&setup, "delivered", 1).await;
    assert_eq!(setup.metric(AUTH_METRIC).await, count as u64);
    assert_eq!(endpoint.counts().requests, count as u64 + 1);
    let rejected = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";
    assert_eq!(setup.metric(rejected).await, 0);
    setup
        .sidecar
        .wait_for_log("auth: the token endpoint: it answered 500")
        .await;
}

#[tokio::test]
async fn an_endpoint_that_is_silent_takes_no_longer_than_an_attempt_may() {
    let endpoint = Receiver::start();
    endpoint.answer_in_turn([Behaviour::Never, grant("token", 60)]);
    let setup = start_impatient(&auth(&endpoint, "")).await;
    burst(&setup, 3).await;
    deliveries(&setup, "delivered", 3).await;
    let failed = setup.metric(AUTH_METRIC).await;
    assert!((1..=3).contains(&failed), "got {failed}");
    setup.sidecar.wait_for_log("no token in time").await;
}

#[tokio::test]
async fn a_refused_token_is_thrown_away() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let setup = start(&auth(&endpoint, "")).await;
    refuse(&setup.receiver, &["token-1"]);
    burst(&setup, 10).await;
    deliveries(&setup, "delivered", 10).await;
    assert_eq!(endpoint.counts().requests, 2);
    // It was taken, so that a refusal means again that it is no longer good.
    refuse(&setup.receiver, &["token-1", "token-2"]);
    burst(&setup, 5).await;
    deliveries(&setup, "delivered", 15).await;
    assert_eq!(endpoint.counts().requests, 3);
}

#[tokio::test]
async fn a_receiver_that_refuses_every_token_rejects() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let setup = start(&auth(&endpoint, "")).await;
    setup.receiver.set(Behaviour::Status(401));
    burst(&setup, 5).await;
    deliveries(&setup, "rejected", 5).await;
    // The first, and the one in its place.
    assert_eq!(endpoint.counts().requests, 2);
}

#[tokio::test]
async fn tokens_are_got_by_the_rules_for_tls() {
    let certificates = Certificates::new();
    let endpoint = Receiver::start_tls(certificates.mutual_server_config());
    give_tokens(&endpoint, 3_600);
    let tls = format!(
        "[webhooks.a.tls]\ncacertfile = \"{}\"\ncertfile = \"{}\"\nkeyfile = \"{}\"\nserver_name = \"elsewhere.invalid\"",
        certificates.ca().display(),
        certificates.client_certificate().display(),
        certificates.client_key().display()
    );
    let receiver = Receiver::start_tls(certificates.other_host_server_config());
    let setup = start_with(receiver, &auth(&endpoint, &tls)).await;
    assert_eq!(bearer(&next(&setup).await), "Bearer token-1");
}

#[tokio::test]
async fn an_endpoint_that_is_not_trusted_gets_no_secret() {
    let certificates = Certificates::new();
    let endpoint = Receiver::start_tls(certificates.server_config());
    let setup = start(&auth(&endpoint, "")).await;
    setup.publish("t", "x").await;
    setup.wait_for_metric(AUTH_METRIC, |count| count >= 2).await;
    assert_eq!(endpoint.counts().requests, 0);
    assert_eq!(setup.receiver.counts().requests, 0);
}

#[tokio::test]
async fn a_replaced_client_secret_takes_effect() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("client-secret");
    replace(&path, "old\n");
    let endpoint = Receiver::start();
    endpoint.set_script(|request| {
        let is_new = request.text().contains("client_secret=new");
        if is_new {
            grant("token", 60)
        } else {
            Behaviour::Status(401)
        }
    });
    let mut keys = String::from("in = \"body\"\n");
    writeln!(keys, "client_secret_file = \"{}\"", path.display()).expect("it is a string");
    let setup = start(&auth(&endpoint, &keys)).await;
    setup.publish("t", "x").await;
    setup.wait_for_metric(AUTH_METRIC, |count| count >= 2).await;
    replace(&path, "new\n");
    assert_eq!(bearer(&setup.receiver.next().await), "Bearer token");
}

/// What is said of proxies is said of the host that is connected to.
#[tokio::test]
async fn the_endpoint_has_a_proxy_of_its_own_or_none() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let proxy = Proxy::start(Manner::Connect(None)).await;
    let by_name = format!("http://localhost:{}/token", endpoint.port());
    let network = |no_proxy: &str| {
        format!(
            "[network]\nproxy = \"http://127.0.0.1:{}\"\nno_proxy = [\"{no_proxy}\"]\n",
            proxy.port()
        )
    };
    for (no_proxy, expected) in [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")] {
        let before = proxy.asked().len();
        let auth = auth(&endpoint, &network(no_proxy))
            .replace(&format!("{}/token?x=1", endpoint.url()), &by_name);
        let setup = start(&auth).await;
        assert!(bearer(&next(&setup).await).starts_with("Bearer token-"));
        let asked = proxy.asked().split_off(before);
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert!(asked[0].target.starts_with(expected), "{asked:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_must_not_be_connected_to_is_not() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let by_name = format!("http://localhost:{}/token", endpoint.port());
    let deny = "[webhooks.a.network]\nallow = [\"127.0.0.1\"]\ndeny = [\"localhost\", \"::1\"]\n";
    let auth = auth(&endpoint, deny).replace(&format!("{}/token?x=1", endpoint.url()), &by_name);
    // By its name it is denied, and by its address it is allowed, which counts first.
    let setup = start(&auth).await;
    assert!(bearer(&next(&setup).await).starts_with("Bearer token-"));
    let denied = auth.replace("allow = [\"127.0.0.1\"]", "allow = [\"10.0.0.0/8\"]");
    let setup = start(&denied).await;
    setup.publish("t", "x").await;
    setup.wait_for_metric(AUTH_METRIC, |count| count >= 2).await;
    setup
        .sidecar
        .wait_for_log("the token endpoint: address: ")
        .await;
    assert_eq!(endpoint.counts().requests, 1);
    assert_eq!(setup.receiver.counts().requests, 0);
}

/// Both have a reason of their own to send a request twice.
#[tokio::test]
async fn a_request_with_a_token_is_signed_again_with_the_next_token() {
    let endpoint = Receiver::start();
    give_tokens(&endpoint, 3_600);
    let sign = "[webhooks.a.sign]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let setup = start(&auth(&endpoint, sign)).await;
    refuse(&setup.receiver, &["token-1"]);
    setup.publish("t", "x").await;
    deliveries(&setup, "delivered", 1).await;
    let requests = setup.receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        requests[0].header("webhook-id"),
        requests[1].header("webhook-id")
    );
    for request in &requests {
        let signature = request.header("webhook-signature").expect("a signature");
        assert!(signature.starts_with("v1,"), "{signature}");
    }
}
