//! A disk that is full, grows, breaks down and is repaired, where mounting is allowed.

use std::time::Duration;

use support::disk::Disk;
use support::publisher::{Plan, Publisher};
use support::receiver::Behaviour;
use support::setup::Setup;

use super::{PATIENCE, dropped, launch, publish, start, wait_for_accepted};

const MIB: u64 = 1 << 20;

/// Together five times the disk.
const MESSAGES: u64 = 20_000;
const PAYLOAD_BYTES: usize = 1_024;

/// The keys of a spool on this disk, with bounds that are farther away than the disk's.
fn on(disk: &Disk) -> String {
    let directory = disk.path().join("spool");
    format!(
        "spool.dir = \"{}\"\nspool.max_memory = \"1MiB\"\nshutdown_grace = \"1s\"\n",
        directory.display()
    )
}

/// Mounts a small disk and fills it, while the receiver takes nothing; `None` where mounting is not
/// allowed, which is said. The disk outlives the one who uses it.
async fn fill() -> Option<(Setup, Disk)> {
    let disk = Disk::tmpfs(4 * MIB)
        .inspect_err(|why| println!("skipped: {why}"))
        .ok()?;
    let setup = start(&on(&disk)).await;
    setup.receiver.set(Behaviour::Status(503));
    let plan = Plan::burst(MESSAGES, PAYLOAD_BYTES);
    let publisher = Publisher::start(setup.broker.port(), plan);
    setup.wait_unready(&[]).await;
    // The broker takes the rest, and keeps it.
    publisher.wait_for(MESSAGES, PATIENCE).await;
    Some((setup, disk))
}

async fn assert_all_arrive(setup: &Setup) {
    setup.receiver.set(Behaviour::Status(200));
    wait_for_accepted(setup, MESSAGES).await;
    assert_eq!(dropped(setup).await, 0);
}

#[tokio::test]
async fn a_full_disk_that_grows_is_used_again() {
    let Some((mut setup, disk)) = fill().await else {
        return;
    };
    disk.resize(64 * MIB);
    setup.wait_ready().await;
    assert_all_arrive(&setup).await;
    assert_eq!(setup.sidecar.ended(), None);
}

#[tokio::test]
async fn a_full_disk_empties_when_the_receiver_comes_back() {
    let Some((mut setup, _disk)) = fill().await else {
        return;
    };
    assert_all_arrive(&setup).await;
    setup.wait_ready().await;
    assert_eq!(setup.sidecar.ended(), None);
}

/// What had been acknowledged is on the disk, and the broker has all the rest.
#[tokio::test]
async fn a_kill_on_a_full_disk_loses_nothing() {
    let Some((mut setup, disk)) = fill().await else {
        return;
    };
    setup.sidecar.kill();
    disk.resize(64 * MIB);
    setup.sidecar.start_again();
    setup.wait_ready().await;
    assert_all_arrive(&setup).await;
}

#[tokio::test]
async fn a_disk_that_becomes_read_only_stops_everything_and_loses_nothing() {
    const BEFORE: u64 = 1_000;
    let disk = match Disk::ext4(64 * MIB) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    let mut setup = start(&on(&disk)).await;
    setup.receiver.set(Behaviour::Status(503));
    publish(&setup, BEFORE, PAYLOAD_BYTES).await;
    setup
        .wait_for_metric(super::WAITING, |waiting| waiting == BEFORE)
        .await;
    if let Err(why) = disk.break_down() {
        return println!("skipped: {why}");
    }
    let plan = Plan::burst(2 * BEFORE, PAYLOAD_BYTES);
    let publisher = Publisher::start(setup.broker.port(), plan);
    setup.wait_unready(&[]).await;
    publisher.wait_for(2 * BEFORE, PATIENCE).await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    disk.repair();
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    setup.wait_ready().await;
    wait_for_accepted(&setup, 2 * BEFORE).await;
    // Unmounting needs its user to be gone.
    setup.sidecar.kill();
}

#[tokio::test]
async fn a_read_only_disk_is_refused_at_start() {
    let disk = match Disk::ext4(16 * MIB) {
        Ok(disk) => disk,
        Err(why) => return println!("skipped: {why}"),
    };
    if let Err(why) = disk.break_down() {
        return println!("skipped: {why}");
    }
    let mut setup = launch(&on(&disk));
    let ended = tokio::time::timeout(Duration::from_secs(5), setup.sidecar.wait()).await;
    assert_eq!(ended.expect("it ends soon").code(), Some(1));
    let (log, path) = (setup.sidecar.log(), disk.path().display().to_string());
    assert!(log.contains(&path), "expected {path} in\n{log}");
}
