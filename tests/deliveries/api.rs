//! `/deliveries` and `/events/{id}`.

use std::sync::atomic::{AtomicUsize, Ordering};

use support::http;
use support::receiver::{Answer, Behaviour};

use super::{DELIVERED, WEBHOOK, all, by_target, get, items, start};

#[tokio::test]
async fn every_attempt_is_told_with_what_the_receiver_answered() {
    let setup = start(WEBHOOK).await;
    setup.receiver.answer_in_turn([
        Behaviour::Answer(Answer::new(503).body("busy")),
        Behaviour::Never,
        Behaviour::CloseBeforeAnswer,
        Behaviour::Answer(Answer::new(200).body("fine \u{e9}")),
    ]);
    setup.publish("t/1", "payload").await;
    let attempts = items(&setup, "/deliveries", |items| items.len() == 4).await;
    assert_eq!(
        all(&attempts, "outcome"),
        ["delivered", "retry", "retry", "retry"]
    );
    assert_eq!(
        all(&attempts, "class"),
        ["null", "closed", "timeout", "status_5xx"]
    );
    assert_eq!(all(&attempts, "response"), ["fine \u{e9}", "", "", "busy"]);
    assert_eq!(all(&attempts, "topic"), ["t/1"; 4]);
    let numbers: Vec<_> = attempts.iter().map(|it| it["attempt"].as_u64()).collect();
    assert_eq!(numbers, [Some(4), Some(3), Some(2), Some(1)]);
    assert_eq!(attempts[0]["status"], 200);
    assert_eq!(attempts[3]["status"], 503);
    let waited = attempts[2]["latency_ms"].as_f64().expect("a number");
    assert!((500.0..2_000.0).contains(&waited), "{waited}");
    let ids = all(&attempts, "event_id");
    assert_eq!(ids, vec![ids[0]; 4]);

    let ended = |target| items(&setup, target, |_| true);
    assert_eq!(ended("/deliveries?outcome=retry").await.len(), 3);
    assert_eq!(ended("/deliveries?class=timeout&webhook=a").await.len(), 1);
    assert_eq!(ended("/deliveries?topic=t/%2B&limit=2").await.len(), 2);
    assert_eq!(ended("/deliveries?topic=x/%23").await.len(), 0);
    assert_eq!(
        ended("/deliveries?until=2026-01-01T00:00:00Z").await.len(),
        0
    );
    let (status, problem) = http::get(setup.admin, "/deliveries?outcome=lost&topc=a").await;
    assert_eq!(status, 400);
    assert!(
        problem.contains("given_up") && problem.contains("did you mean"),
        "{problem}"
    );

    let summary = get(&setup, "/metrics/summary").await;
    let minutes = summary["webhooks"][0]["minutes"]
        .as_array()
        .expect("a list");
    let sum = |key| {
        minutes
            .iter()
            .filter_map(|it| it[key].as_u64())
            .sum::<u64>()
    };
    assert_eq!((minutes.len(), sum("delivered"), sum("failed")), (60, 1, 3));
}

#[tokio::test]
async fn of_a_batch_every_event_has_its_attempts() {
    let batch = "batch = { max_events = 3, max_wait = \"10s\" }\n";
    let setup = start(&format!("{WEBHOOK}{batch}")).await;
    let calls = AtomicUsize::new(0);
    setup.receiver.set_script(move |_| {
        let is_first = calls.fetch_add(1, Ordering::Relaxed) == 0;
        Behaviour::Status(if is_first { 422 } else { 200 })
    });
    for topic in ["t/1", "t/2", "t/3"] {
        setup.publish(topic, "x").await;
    }
    let attempts = items(&setup, "/deliveries", |items| items.len() == 6).await;
    let mut outcomes = all(&attempts, "outcome");
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [
            "delivered",
            "delivered",
            "delivered",
            "retry",
            "retry",
            "retry"
        ]
    );
    let one = items(&setup, "/deliveries?topic=t/2", |_| true).await;
    assert_eq!(all(&one, "outcome"), ["delivered", "retry"]);
}

#[tokio::test]
async fn where_an_event_went_is_told_for_every_webhook() {
    let of = |name: &str| {
        let webhook = WEBHOOK.replace("webhooks.a", &format!("webhooks.{name}"));
        webhook.replace("{receiver}/a", &format!("{{receiver}}/{name}"))
    };
    let setup = start(&[of("yes"), of("no"), of("later")].concat()).await;
    setup.receiver.set_script(|request| {
        Behaviour::Status(match request.target() {
            "/yes" => 204,
            "/no" => 422,
            _ => 503,
        })
    });
    setup.publish("t/1", "x").await;
    let told = |items: &[serde_json::Value]| items.len() == 2;
    let first = items(&setup, "/deliveries?outcome=delivered", |items| {
        items.len() == 1
    })
    .await;
    items(&setup, "/deliveries?outcome=retry&limit=2", told).await;
    let id = first[0]["event_id"].as_str().expect("a text");
    let target = format!("/events/{id}");
    let trace = super::wait::until(super::PATIENCE, "a dead letter", async || {
        let trace = get(&setup, &target).await;
        let is_buried = trace["deliveries"][1]["state"] == "dead_letter";
        is_buried.then_some(trace)
    })
    .await;
    let deliveries = trace["deliveries"].as_array().expect("a list");
    assert_eq!(all(deliveries, "webhook"), ["later", "no", "yes"]);
    assert_eq!(
        all(deliveries, "state"),
        ["waiting", "dead_letter", "delivered"]
    );
    assert!(deliveries[1]["dead_letter"].is_u64(), "{trace}");
    let attempts = deliveries[0]["attempts"].as_array().expect("a list");
    assert!(
        attempts.len() >= 2 && attempts[0]["attempt"] == 1,
        "{trace}"
    );
    assert_eq!(
        (&trace["topic"], &trace["kind"]),
        (&"t/1".into(), &"on_message_publish".into())
    );
    for strange in ["0000000000000000000000", "nonsense"] {
        let (status, _) = http::get(setup.admin, &format!("/events/{strange}")).await;
        assert_eq!(status, 404, "{strange}");
    }
    // The command line sees what is on disk.
    let output = setup.sidecar.command(&["deliveries", "show", id]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text.contains("dead_letter") && text.contains("waiting"),
        "{text}"
    );
}

#[tokio::test]
async fn a_page_is_followed_by_the_next_while_attempts_come_in() {
    // One connection, so that attempts end in their order.
    let setup = start(&format!("{WEBHOOK}pool_size = 1\n")).await;
    setup.receiver.set_script(by_target);
    for number in 0..30 {
        setup.publish(&format!("ok/{number}"), "x").await;
    }
    setup.wait_for_metric(DELIVERED, |count| count == 30).await;
    // This one fails all the time.
    setup.publish("later", "x").await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&setup, &format!("/deliveries?topic=ok/%23&limit=4{cursor}")).await;
        let items = page["items"].as_array().expect("a list");
        found.extend(
            items
                .iter()
                .map(|item| item["topic"].as_str().expect("a text").to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..30).rev().map(|number| format!("ok/{number}")).collect();
    assert_eq!(found, expected);
    let (status, _) = http::get(setup.admin, "/deliveries?cursor=zzz").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_command_line_lists_what_failed_and_shows_no_control_character() {
    let setup = start(WEBHOOK).await;
    setup.receiver.set_script(by_target);
    setup.publish("no/1", "x").await;
    let lines = super::wait::until(super::PATIENCE, "a line", async || {
        let output = setup.sidecar.command(&["deliveries", "list", "--json"]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("it writes UTF-8");
        (!text.is_empty()).then_some(text)
    })
    .await;
    assert!(!lines.trim_end().chars().any(char::is_control), "{lines:?}");
    let line: serde_json::Value = serde_json::from_str(&lines).expect("one object");
    assert_eq!(line["outcome"], "rejected");
    assert_eq!(line["response"], "not\u{1b}[31m this");
    let output = setup
        .sidecar
        .command(&["deliveries", "list", "--outcome", "rejected"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("422") && text.contains("no/1"), "{text}");
    let output = setup
        .sidecar
        .command(&["deliveries", "list", "--class", "dns"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "no attempts\n");
}
