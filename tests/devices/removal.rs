//! Devices that the operator removes, while mqhook runs and while it does not, or that were not seen for long.

use super::{check, connect, restart, say, start, status, stop, wait_for_status};

const PROVISIONED: &str = "dev provisioned connected <- none: none";
const FIRST: &str = "dev status_changed connected <- none: none";
const GONE: &str = "dev status_changed disconnected <- connected: normal";
const REMOVED: &str = "dev decommissioned decommissioned <- disconnected: removed";

#[tokio::test]
async fn a_running_mqhook_tells_what_is_removed() {
    let setup = start("").await;
    connect(&setup, "dev").await.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    let (code, out) = say(&setup, &["devices", "remove", "dev"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("removed 1 device; the running mqhook"),
        "{out}"
    );
    assert_eq!(status(&setup, "dev"), None);
    setup.receiver.wait_for(4).await;
    check(&setup, "fence", &[PROVISIONED, FIRST, GONE, REMOVED]).await;
    let (code, out) = say(&setup, &["devices", "remove", "dev"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("cannot find dev in the list of devices"),
        "{out}"
    );
    connect(&setup, "dev").await.disconnect().await;
    let again = [PROVISIONED, FIRST, GONE, REMOVED, PROVISIONED, FIRST, GONE];
    check(&setup, "fence 2", &again).await;
}

#[tokio::test]
async fn what_is_removed_while_mqhook_is_stopped_is_told_at_its_next_start() {
    let mut setup = start("").await;
    connect(&setup, "dev").await.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    stop(&mut setup).await;
    let (code, out) = say(&setup, &["devices", "remove", "dev"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("at its next start"), "{out}");
    setup.sidecar.start_again();
    setup.wait_ready().await;
    setup.receiver.wait_for(4).await;
    restart(&mut setup).await;
    check(&setup, "fence", &[PROVISIONED, FIRST, GONE, REMOVED]).await;
}
