//! The log's file: what is in it, what is not, and that nothing depends on it.

use std::fs;
use std::path::Path;

use support::disk::Disk;
use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Receiver};
use support::setup::Setup;

use super::{DELIVERED, MQHOOK, WEBHOOK, all, items, start};

const LOST: &str = "mqhook_delivery_log_dropped_total{reason=\"disk\"}";

#[tokio::test]
async fn a_restart_and_a_crash_keep_what_failed() {
    let mut setup = start(WEBHOOK).await;
    setup.receiver.set(Behaviour::Status(422));
    setup.publish("t/1", "x").await;
    items(&setup, "/deliveries", |items| items.len() == 1).await;
    setup.sidecar.terminate();
    assert_eq!(setup.sidecar.wait().await.code(), Some(0));
    setup.sidecar.start_again();
    setup.wait_ready().await;
    setup.publish("t/2", "x").await;
    let listed = || {
        let output = setup.sidecar.command(&["deliveries", "list", "--json"]);
        String::from_utf8_lossy(&output.stdout).lines().count()
    };
    super::wait::until(super::PATIENCE, "two on disk", async || {
        (listed() == 2).then_some(())
    })
    .await;
    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let told = items(&setup, "/deliveries", |_| true).await;
    assert_eq!(all(&told, "topic"), ["t/2", "t/1"]);
}

#[tokio::test]
async fn no_payload_and_no_secret_is_in_the_file() {
    let keys = "delivery_log.successes = \"disk\"\n";
    let secret = "headers = { authorization = \"Bearer ourSecret\" }\n";
    let setup = start(&format!("{keys}{WEBHOOK}{secret}")).await;
    setup.receiver.answer_in_turn([
        Behaviour::Status(503),
        Behaviour::Never,
        Behaviour::Garbage,
        Behaviour::Status(200),
    ]);
    setup.publish("t/topicOfThis", "thePayload").await;
    items(&setup, "/deliveries", |items| items.len() == 4).await;
    let file = setup.sidecar.directory().join("mqhook-spool");
    super::wait::until(super::PATIENCE, "all on disk", async || {
        let output = setup.sidecar.command(&["deliveries", "list", "--json"]);
        (String::from_utf8_lossy(&output.stdout).lines().count() == 4).then_some(())
    })
    .await;
    assert!(holds(&file, "topicOfThis"), "the file is searched");
    for hidden in ["thePayload", "ourSecret"] {
        assert!(!holds(&file, hidden), "{hidden} is in the delivery log");
    }
}

/// Returns whether a text is in the log of a directory.
fn holds(directory: &Path, text: &str) -> bool {
    ["deliveries.db", "deliveries.db-wal"].iter().any(|name| {
        let bytes = fs::read(directory.join(name)).unwrap_or_default();
        let mut windows = bytes.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    })
}

#[tokio::test]
async fn a_file_that_cannot_be_used_costs_no_delivery() {
    let setup = start(WEBHOOK).await;
    let file = setup.sidecar.directory().join("mqhook-spool/deliveries.db");
    fs::create_dir(&file).expect("nothing has failed yet");
    setup.receiver.answer_in_turn([
        Behaviour::Status(503),
        Behaviour::Status(503),
        Behaviour::Status(200),
    ]);
    setup.publish("t/1", "x").await;
    setup.wait_for_metric(DELIVERED, |count| count == 1).await;
    setup.wait_for_metric(LOST, |count| count == 2).await;
    setup.sidecar.wait_for_log("the delivery log").await;
    fs::remove_dir(&file).expect("it is empty");
    // It is used again as soon as it can be.
    setup.receiver.set(Behaviour::Status(422));
    super::wait::until(super::PATIENCE, "a line", async || {
        setup.publish("t/2", "x").await;
        let output = setup.sidecar.command(&["deliveries", "list"]);
        String::from_utf8_lossy(&output.stdout)
            .contains("t/2")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn on_a_full_disk_the_log_gives_way_to_the_spool() {
    let disk = match Disk::tmpfs(64 << 20) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("skipped, as no file system can be mounted: {why}");
            return;
        }
    };
    let dir = disk.path().display().to_string();
    let config = format!("spool.dir = \"{dir}\"\n{WEBHOOK}");
    let broker = Mosquitto::builder().start();
    let mut setup = Setup::launch(MQHOOK, broker, Receiver::start(), &config);
    setup.wait_ready().await;
    // Less than the log leaves to others, and more than the spool does.
    fs::write(disk.path().join("filler"), vec![0; 36 << 20]).expect("there is room");
    setup.receiver.set(Behaviour::Status(503));
    setup.publish("t/1", "x").await;
    setup.wait_for_metric(LOST, |count| count >= 2).await;
    setup.receiver.set(Behaviour::Status(200));
    setup.wait_for_metric(DELIVERED, |count| count == 1).await;
    let (status, _) = setup.readiness().await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_storm_of_failures_is_bounded_and_told() {
    let config = WEBHOOK.replace("50ms", "1ms");
    let setup = start(&config).await;
    setup.receiver.set(Behaviour::Status(503));
    for number in 0..20 {
        setup.publish(&format!("t/{number}"), "x").await;
    }
    let left_out = "mqhook_delivery_log_dropped_total{reason=\"rate\"}";
    setup.wait_for_metric(left_out, |count| count > 100).await;
    let told = items(&setup, "/deliveries?limit=1", |items| {
        items[0]["left_out"].as_u64() > Some(0)
    });
    told.await;
    setup.receiver.set(Behaviour::Status(200));
    setup.wait_for_metric(DELIVERED, |count| count == 20).await;
}
