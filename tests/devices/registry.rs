//! What becomes of devices is told once, and only what is known.

use support::client::{Connect, Property, Version};
use support::setup::Setup;

use super::{MQHOOK, broker, check, connect, restart, say, start, status, stop, wait_for_status};

const PROVISIONED: &str = "dev provisioned connected <- none: none";
const FIRST: &str = "dev status_changed connected <- none: none";
const GONE: &str = "dev status_changed disconnected <- connected: normal";
const BACK: &str = "dev status_changed connected <- disconnected: none";

#[tokio::test]
async fn a_device_is_provisioned_once_and_its_changes_are_told() {
    let setup = start("").await;
    connect(&setup, "dev").await.disconnect().await;
    let dev = connect(&setup, "dev").await;
    check(&setup, "fence", &[PROVISIONED, FIRST, GONE, BACK]).await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    dev.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    let (code, out) = say(&setup, &["devices", "show", "dev"]);
    assert_eq!(code, Some(0), "{out}");
    for part in ["disconnected", "normal", "alice", "127.0.0.1:"] {
        assert!(out.contains(part), "expected {part} in {out}");
    }
    assert_eq!(status(&setup, "mqhook-lifecycle"), None);
    assert_eq!(setup.metric("mqhook_devices").await, 2);
}

#[tokio::test]
async fn a_takeover_is_no_change() {
    let setup = start("").await;
    let mut old = connect(&setup, "dev").await;
    let new = connect(&setup, "dev").await;
    old.wait_closed().await;
    check(&setup, "fence", &[PROVISIONED, FIRST]).await;
    new.disconnect().await;
    check(&setup, "fence 2", &[PROVISIONED, FIRST, GONE]).await;
}

#[tokio::test]
async fn a_restart_invents_no_change_and_what_was_missed_is_unknown() {
    let mut setup = start("").await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    assert_eq!(status(&setup, "dev").as_deref(), Some("unknown"));
    setup.sidecar.start_again();
    setup.wait_ready().await;
    assert_eq!(status(&setup, "dev").as_deref(), Some("unknown"));
    check(&setup, "fence", &[PROVISIONED, FIRST]).await;
    dev.disconnect().await;
    check(&setup, "fence 2", &[PROVISIONED, FIRST, GONE]).await;
    restart(&mut setup).await;
    assert_eq!(status(&setup, "dev").as_deref(), Some("unknown"));
    connect(&setup, "dev").await.disconnect().await;
    check(&setup, "fence 3", &[PROVISIONED, FIRST, GONE, BACK, GONE]).await;
}

#[tokio::test]
async fn a_broker_that_was_away_changes_nothing_that_is_not_heard() {
    let mut setup = start("").await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    setup.broker.kill();
    drop(dev);
    wait_for_status(&setup, "dev", Some("unknown")).await;
    setup.broker.start_again();
    setup.wait_ready().await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    check(&setup, "fence", &[PROVISIONED, FIRST]).await;
    dev.disconnect().await;
}

#[tokio::test]
async fn a_session_that_expires_ends_its_device() {
    let setup = start("").await;
    let connect = Connect::new(Version::V5, "dev").username("alice");
    let connect = connect.persistent().property(Property::session_expiry(1));
    connect.open(setup.broker.port()).await.disconnect().await;
    setup.receiver.wait_for(4).await;
    assert_eq!(status(&setup, "dev"), None);
    let end = "dev decommissioned decommissioned <- disconnected: session_expired";
    check(&setup, "fence", &[PROVISIONED, FIRST, GONE, end]).await;
}

#[tokio::test]
async fn who_is_no_device_is_not_remembered() {
    let setup = start("devices.client_id = \"fence*\"\n").await;
    connect(&setup, "dev").await.disconnect().await;
    check(&setup, "fence", &[]).await;
    assert_eq!(status(&setup, "dev"), None);
}

#[tokio::test]
async fn there_are_no_more_devices_than_allowed() {
    let setup = start("devices.max_devices = 2\n").await;
    let dev = connect(&setup, "dev").await;
    check(&setup, "fence", &[PROVISIONED, FIRST]).await;
    connect(&setup, "surplus").await.disconnect().await;
    dev.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    assert_eq!(status(&setup, "surplus"), None);
    let series = "mqhook_unregistered_devices_total";
    setup.wait_for_metric(series, |count| count == 1).await;
    setup.sidecar.wait_for_log("devices.max_devices").await;
}

#[tokio::test]
async fn devices_are_remembered_without_a_rule_if_that_is_asked_for() {
    let webhook = "devices.enabled = true\n[webhooks.a]\nurl = \"{receiver}/a\"\nevents = [{ event = \"on_message_publish\", topic = \"a\" }]\n";
    let setup = Setup::start(MQHOOK, broker(), webhook).await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    dev.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    assert_eq!(setup.receiver.requests().len(), 0);
}

#[tokio::test]
async fn who_does_not_ask_for_devices_has_none() {
    let webhook =
        "[webhooks.a]\nurl = \"{receiver}/a\"\nevents = [{ event = \"on_client_connected\" }]\n";
    let setup = Setup::start(MQHOOK, broker(), webhook).await;
    connect(&setup, "dev").await.disconnect().await;
    setup.receiver.wait_for(1).await;
    assert_eq!(status(&setup, "dev"), None);
    let (_, out) = say(&setup, &["devices", "list"]);
    assert_eq!(out, "no devices\n");
}
