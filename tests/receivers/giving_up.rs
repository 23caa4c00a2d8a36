//! What cannot be delivered is given up in the open: dead letters, disabled webhooks, notices.

use std::time::Duration;

use support::receiver::{Behaviour, Receiver};

use super::{WEBHOOK, start, wait_for_deliveries};

const ENABLED: &str = "mqhook_webhook_enabled{webhook=\"bad\"}";

/// Keys of a webhook `bad` at `url`, which has few attempts.
fn bad(url: &str) -> String {
    let schedule = "retry.schedule = [\"10ms\"]\nevents";
    WEBHOOK
        .replace("webhooks.a", "webhooks.bad")
        .replace("{receiver}/a", url)
        .replace("retry.exponential.initial = \"20ms\"\n", "")
        .replace("retry.exponential.max = \"100ms\"\n", "")
        .replace("events", schedule)
}

/// A webhook `a` that gets notices only.
fn notices() -> String {
    let notices = "[{ event = \"on_delivery_failed\" }, { event = \"on_webhook_disabled\" }]";
    WEBHOOK.replace(
        "[{ event = \"on_message_publish\", topic = \"#\" }]",
        notices,
    )
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_webhook_and_loses_nothing() {
    let gone = Receiver::start();
    gone.set(Behaviour::Status(410));
    let setup = start(&format!("{}{}", bad(&gone.url()), notices())).await;
    setup.publish("t", "first").await;
    setup.wait_for_metric(ENABLED, |enabled| enabled == 0).await;
    wait_for_deliveries(&setup, 1).await;
    let notice = setup.receiver.requests()[0].text().to_owned();
    let begins = "{\"action\":\"webhook_disabled\",\"webhook\":\"bad\",\"reason\":\"";
    assert!(notice.starts_with(begins), "{notice}");

    setup.publish("t", "second").await;
    gone.set(Behaviour::Status(200));
    let webhooks = |arguments: &[&str]| {
        let arguments = [&["webhooks"], arguments, &["--dir", "mqhook-spool"]].concat();
        setup.sidecar.command(&arguments)
    };
    let expected = "the webhook to be disabled on disk";
    support::wait::until(Duration::from_secs(30), expected, async || {
        let list = String::from_utf8(webhooks(&["list"]).stdout).expect("text");
        list.contains("disabled_due_to_errors").then_some(())
    })
    .await;
    let enabled = webhooks(&["enable", "bad"]);
    assert!(enabled.status.success(), "{enabled:?}");
    gone.wait_for(3).await;
    let mut texts: Vec<String> = gone.requests()[1..]
        .iter()
        .map(|request| request.text().to_owned())
        .collect();
    texts.sort_by_key(|text| text.contains("second"));
    assert!(texts[0].contains("first") && texts[1].contains("second"));
}

#[tokio::test]
async fn an_event_that_is_given_up_makes_a_notice_under_its_id() {
    let failing = Receiver::start();
    failing.set(Behaviour::Status(500));
    let setup = start(&format!("{}{}", bad(&failing.url()), notices())).await;
    setup.publish("t", "lost").await;
    wait_for_deliveries(&setup, 1).await;
    assert_eq!(failing.requests().len(), 2, "an attempt and one more");
    let id = failing.requests()[0].header("webhook-id").expect("an id");
    let notice = setup.receiver.requests()[0].text().to_owned();
    let begins = format!(
        "{{\"action\":\"delivery_failed\",\"webhook\":\"bad\",\"event_id\":\"{id}\",\
         \"event\":\"on_message_publish\",\"attempts\":2,\"reason\":\"answered 500\",\"ts\":"
    );
    assert!(notice.starts_with(&begins), "{notice}");
}

#[tokio::test]
async fn notices_are_published_and_are_no_events() {
    let failing = Receiver::start();
    failing.set(Behaviour::Status(400));
    let config = format!("notify.topic = \"mqhook/notices\"\n{}", bad(&failing.url()));
    let setup = start(&config).await;
    let mut listener = setup.client("listener").await;
    assert_eq!(listener.subscribe("mqhook/#", 1).await, 1);
    setup.publish("t", "lost").await;
    let notice = listener.next().await;
    let text = String::from_utf8_lossy(&notice.payload).into_owned();
    assert!(
        text.starts_with("{\"action\":\"delivery_failed\""),
        "{text}"
    );
    listener.acknowledge(&notice).await;
    // Were the notice an event, it would be posted and rejected, and that would make another one.
    setup.publish("t", "lost as well").await;
    let second = listener.next().await;
    let id = failing.requests()[1].header("webhook-id").expect("an id");
    let text = String::from_utf8_lossy(&second.payload).into_owned();
    assert!(text.contains(&id), "{text}");
    assert_eq!(failing.requests().len(), 2);
}

#[tokio::test]
async fn too_many_failures_disable_a_webhook() {
    let failing = Receiver::start();
    failing.set(Behaviour::Status(400));
    let limit = "failure_limit.deliveries = 3\nevents";
    let bad = bad(&failing.url()).replace("events", limit);
    let setup = start(&format!("{bad}{}", notices())).await;
    for _ in 0..3 {
        setup.publish("t", "x").await;
    }
    setup.wait_for_metric(ENABLED, |enabled| enabled == 0).await;
    // Three that failed and one that is disabled.
    wait_for_deliveries(&setup, 4).await;
}
