//! Basic, bearer, and any header: what is written, or what a file says.

use std::time::Duration;

use support::receiver::Behaviour;
use support::wait;

use super::{deliveries, next, replace, start};

/// Asserts the one value of a header that this `auth` table makes.
async fn check(auth: &str, name: &str, expected: &str) {
    let setup = start(auth).await;
    for _ in 0..2 {
        let request = next(&setup).await;
        let lines = request.header_lines();
        let written = format!("{name}: {expected}");
        let of_name = |line: &&String| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        let lines: Vec<&String> = lines.iter().filter(of_name).collect();
        assert_eq!(lines, [&written]);
    }
}

#[tokio::test]
async fn what_is_written_is_sent() {
    check(
        "type = \"basic\"\nusername = \"Aladdin\"\npassword = \"open sesame\"",
        "authorization",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    )
    .await;
    check(
        "type = \"bearer\"\ntoken = \"mF_9.B5f-4.1JqM\"",
        "authorization",
        "Bearer mF_9.B5f-4.1JqM",
    )
    .await;
    check(
        "type = \"header\"\nname = \"X-API-Key\"\nvalue = \"a b\"",
        "x-api-key",
        "a b",
    )
    .await;
}

#[tokio::test]
async fn without_auth_nothing_is_said() {
    let request = next(&start("type = \"none\"").await).await;
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test]
async fn what_a_file_says_is_sent_and_follows_the_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("hook-token");
    for (auth, name, prefix) in [
        ("type = \"bearer\"\ntoken_file", "authorization", "Bearer "),
        (
            "type = \"header\"\nname = \"x-key\"\nvalue_file",
            "x-key",
            "",
        ),
    ] {
        replace(&path, "one\n");
        let setup = start(&format!("{auth} = \"{}\"", path.display())).await;
        let first = next(&setup).await.header(name);
        assert_eq!(first, Some(format!("{prefix}one")));
        replace(&path, "two\n");
        let expected = Some(format!("{prefix}two"));
        wait::until(Duration::from_secs(10), "the other token", async || {
            let is_it = next(&setup).await.header(name) == expected;
            is_it.then_some(())
        })
        .await;
    }
}

/// A careful operator replaces the file, and then the receiver takes nothing but the new token.
#[tokio::test]
async fn a_token_that_is_replaced_as_the_receiver_goes_over_costs_no_event() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("hook-token");
    replace(&path, "0\n");
    let keys = format!("type = \"bearer\"\ntoken_file = \"{}\"", path.display());
    let setup = start(&keys).await;
    for generation in 1..=5_u64 {
        setup.publish("t", "x").await;
        deliveries(&setup, "delivered", generation * 4 - 3).await;
        replace(&path, &format!("{generation}\n"));
        let expected = format!("Bearer {generation}");
        setup.receiver.set_script(move |request| {
            let is_it = request.header("authorization").as_ref() == Some(&expected);
            Behaviour::Status(if is_it { 200 } else { 401 })
        });
        for _ in 0..3 {
            setup.publish("t", "x").await;
        }
        deliveries(&setup, "delivered", generation * 4).await;
    }
    let rejected = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";
    assert_eq!(setup.metric(rejected).await, 0);
}

#[tokio::test]
async fn a_receiver_that_refuses_what_did_not_change_is_asked_once() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("hook-token");
    replace(&path, "one\n");
    let keys = format!("type = \"bearer\"\ntoken_file = \"{}\"", path.display());
    let setup = start(&keys).await;
    for (status, count) in [(401, 1), (403, 2)] {
        setup.receiver.set(Behaviour::Status(status));
        setup.publish("t", "x").await;
        deliveries(&setup, "rejected", count).await;
    }
    assert_eq!(setup.receiver.requests().len(), 2);
}
