//! mqhook is killed while devices come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::random::Random;
use support::receiver::{Behaviour, Request};
use support::setup::Setup;
use tokio::time::sleep;

use super::{MQHOOK, PATIENCE, WEBHOOK, broker, connect, start};

/// Devices that connect, and how often mqhook is killed meanwhile.
const DEVICES: usize = 120;
const KILLS: usize = 6;

/// An attempt that failed is repeated soon.
const RETRY: &str =
    "retry.schedule = [\"100ms\", \"100ms\", \"100ms\", \"100ms\", \"100ms\", \"100ms\"]\n";

/// Returns the ids of the events of a kind by device.
fn ids(requests: &[Request], kind: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in requests {
        let body: Value = serde_json::from_str(request.text()).expect("it is JSON");
        if body["kind"] == kind {
            let device = body["client_id"].as_str().expect("a text").to_owned();
            assert!(device.starts_with("dev "), "{device} is mqhook's own");
            let id = request.header("webhook-id").expect("every request has one");
            ids.entry(device).or_default().insert(id);
        }
    }
    ids
}

#[tokio::test]
async fn a_device_is_provisioned_under_one_id_whenever_mqhook_is_killed() {
    let mut setup = Setup::start(MQHOOK, broker(), &format!("{WEBHOOK}{RETRY}")).await;
    let mut random = Random::announced("devices and kills");
    // Some attempts fail, so that events wait on disk when the end comes.
    let asked = AtomicUsize::new(0);
    setup.receiver.set_script(move |_| {
        let is_fourth = asked.fetch_add(1, Ordering::Relaxed) % 4 == 3;
        Behaviour::Status(if is_fourth { 503 } else { 204 })
    });
    let mut online = Vec::new();
    for n in 0..DEVICES {
        online.push(connect(&setup, &format!("dev {n:03}")).await);
        if n % (DEVICES / KILLS) == 7 {
            sleep(random.duration(Duration::ZERO..Duration::from_millis(60))).await;
            setup.sidecar.kill();
            setup.sidecar.start_again();
        }
    }
    setup.wait_ready().await;
    let all = |requests: &[Request]| ids(requests, "on_device_provisioned").len() >= DEVICES;
    tokio::time::timeout(PATIENCE, setup.receiver.wait_until(all))
        .await
        .expect("every device to be provisioned");
    for client in online {
        client.disconnect().await;
    }
    let gone = |requests: &[Request]| {
        let changes = ids(requests, "on_device_status_changed");
        changes.values().filter(|ids| ids.len() >= 2).count() >= DEVICES
    };
    let requests = setup.receiver.wait_until(gone).await;
    for (device, ids) in ids(&requests, "on_device_provisioned") {
        assert_eq!(ids.len(), 1, "{device} was provisioned under {ids:?}");
    }
    for (device, ids) in ids(&requests, "on_device_status_changed") {
        assert_eq!(ids.len(), 2, "{device} changed under {ids:?}");
    }
}

#[tokio::test]
async fn while_the_disk_fails_nothing_is_told_and_nothing_is_lost() {
    let mut setup = start("").await;
    setup.sidecar.limit_file_size(Some(1_024));
    let mut online = Vec::new();
    for n in 0..50 {
        online.push(connect(&setup, &format!("dev {n}")).await);
    }
    setup.wait_unready(&["spool: "]).await;
    assert_eq!(setup.receiver.requests().len(), 0);
    setup.sidecar.limit_file_size(None);
    setup.wait_ready().await;
    let requests = setup.receiver.wait_for(100).await;
    for kind in ["on_device_provisioned", "on_device_status_changed"] {
        let ids = ids(&requests, kind);
        assert_eq!(ids.len(), 50);
        assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    }
    drop(online);
}
