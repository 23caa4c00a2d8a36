//! Webhooks are listed, disabled and enabled.

use support::mosquitto::Mosquitto;
use support::receiver::Behaviour;
use support::setup::Setup;
use support::wait;

use super::{MQHOOK, PATIENCE, WEBHOOK, done, fails, number, objects, stop, text};

const LIST: [&str; 2] = ["webhooks", "list"];
const ENABLED: &str = "mqhook_webhook_enabled{webhook=\"a\"}";

fn state(setup: &Setup) -> serde_json::Value {
    objects(&setup.sidecar, &LIST).remove(0)
}

async fn wait_for_fresh(setup: &Setup, count: u64) {
    wait::until(PATIENCE, "events that wait", async || {
        let status = objects(&setup.sidecar, &["spool", "status"]).remove(0);
        (number(&status["webhooks"][0], "fresh") == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_published_while_a_webhook_is_disabled_arrives_when_it_is_enabled() {
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    setup.publish("t", "before").await;
    setup.receiver.wait_for(1).await;
    let disable = ["webhooks", "disable", "a", "--reason", "maintenance"];
    let out = done(&setup.sidecar, &disable);
    assert_eq!(
        out,
        "webhook a is disabled; the running mqhook follows within a second\n"
    );
    assert_eq!(
        done(&setup.sidecar, &disable),
        "webhook a is disabled already\n"
    );
    setup.wait_for_metric(ENABLED, |enabled| enabled == 0).await;
    setup.publish("t", "one").await;
    wait_for_fresh(&setup, 1).await;
    assert_eq!(setup.receiver.requests().len(), 1);
    let webhook = state(&setup);
    assert_eq!(text(&webhook, "state"), "disabled");
    assert_eq!(text(&webhook, "reason"), "maintenance");
    let out = done(&setup.sidecar, &LIST);
    assert!(
        out.contains("\na        disabled  20") && out.ends_with("Z  maintenance\n"),
        "{out}"
    );
    done(&setup.sidecar, &["webhooks", "enable", "a"]);
    let requests = setup.receiver.wait_for(2).await;
    assert!(requests[1].text().contains("one"), "got {requests:?}");
    assert_eq!(text(&state(&setup), "state"), "enabled");
    assert_eq!(text(&state(&setup), "reason"), "");
}

#[tokio::test]
async fn a_webhook_stays_disabled_over_restarts() {
    let mut setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    stop(&mut setup).await;
    let out = done(&setup.sidecar, &["webhooks", "disable", "a"]);
    assert_eq!(
        out,
        "webhook a is disabled; it counts from the next start of mqhook\n"
    );
    setup.sidecar.start_again();
    setup.wait_ready().await;
    setup.publish("t", "one").await;
    wait_for_fresh(&setup, 1).await;
    stop(&mut setup).await;
    assert_eq!(setup.receiver.requests().len(), 0);
    done(&setup.sidecar, &["webhooks", "enable", "a"]);
    setup.sidecar.start_again();
    let requests = setup.receiver.wait_for(1).await;
    assert!(requests[0].text().contains("one"), "got {requests:?}");
}

#[tokio::test]
async fn one_that_answered_410_says_so_and_can_be_enabled() {
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    setup.receiver.set(Behaviour::Status(410));
    setup.publish("t", "one").await;
    let webhook = wait::until(PATIENCE, "a webhook that is disabled", async || {
        Some(state(&setup)).filter(|webhook| text(webhook, "state") == "disabled_due_to_errors")
    })
    .await;
    assert!(text(&webhook, "reason").contains("410"), "got {webhook}");
    let hint = setup.sidecar.wait_for_log("webhook is disabled").await;
    assert!(hint.contains("mqhook webhooks enable"), "got {hint}");
    setup.receiver.set(Behaviour::Status(200));
    done(&setup.sidecar, &["webhooks", "enable", "a"]);
    setup.receiver.wait_for(2).await;
}

#[tokio::test]
async fn a_webhook_that_the_spool_does_not_have_is_status_1() {
    let setup = Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOK).await;
    for verb in ["enable", "disable"] {
        let parts = ["cannot find the webhook `b`", "there is a"];
        fails(&setup.sidecar, &["webhooks", verb, "b"], 1, &parts);
        fails(&setup.sidecar, &["webhooks", verb], 2, &["<NAME>"]);
    }
}
