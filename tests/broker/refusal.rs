//! Brokers that refuse a connection or a subscription.

use std::time::{Duration, Instant};

use support::mosquitto::Mosquitto;
use support::setup::Setup;

use super::{FAILURES, MESSAGES, MQHOOK, is_not_ready, launch, logged, says};

fn with_password(password: &str) -> String {
    format!("broker.username = \"mqhook\"\nbroker.password = \"{password}\"\n{MESSAGES}")
}

#[tokio::test]
async fn a_wrong_password_is_said_once_and_tried_slowly() {
    let broker = Mosquitto::builder().password("mqhook", "right").start();
    let setup = launch(broker, &with_password("wrong"));
    let started = Instant::now();
    setup
        .wait_for_metric(FAILURES, |failures| failures >= 3)
        .await;
    let took = started.elapsed();
    assert!(
        took > Duration::from_millis(600),
        "expected delays between attempts, got {took:?}"
    );
    let refusal = "the broker refuses the connection: ";
    is_not_ready(
        &setup,
        &[refusal, "check broker.username and broker.password_file"],
    )
    .await;
    logged(&setup, refusal, 1);
    logged(&setup, "check broker.username and broker.password_file", 1);
    assert!(
        !setup.sidecar.log().contains("wrong"),
        "the password is in the log"
    );
}

#[tokio::test]
async fn the_right_password_is_accepted_from_a_file_or_the_environment() {
    let broker = Mosquitto::builder().password("mqhook", "right").start();
    let mut setup = launch(broker, &with_password("wrong"));
    setup.sidecar.wait_for_log("refuses the connection").await;
    setup.sidecar.terminate();
    assert!(
        setup.sidecar.wait().await.success(),
        "expected exit status 0"
    );
    let keys =
        format!("broker.url = \"{}\"\n", setup.broker.url()) + "broker.username = \"mqhook\"\n";
    let file = "broker.password_file = \"secret\"\n";
    std::fs::write(setup.sidecar.directory().join("secret"), "right\n").expect("write a file");
    let receiver = setup.receiver.url();
    let config = keys + file + MESSAGES;
    let config = support::setup::complete(&config, "", &receiver, setup.admin);
    setup.sidecar.write_config(&config);
    setup.sidecar.start_again();
    setup.wait_ready().await;
}

#[tokio::test]
async fn a_password_that_is_put_right_counts_for_the_next_attempt() {
    let broker = Mosquitto::builder().password("mqhook", "right").start();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "wrong\n").expect("write a file");
    let keys = format!("broker.password_file = \"{}\"\n", file.display());
    let config = format!("broker.username = \"mqhook\"\n{keys}{MESSAGES}");
    let mut setup = launch(broker, &config);
    setup.sidecar.wait_for_log("refuses the connection").await;
    std::fs::write(&file, "right\n").expect("write a file");
    setup.wait_ready().await;
}

#[tokio::test]
async fn a_refused_subscription_names_the_filter_and_stops_no_other() {
    let config = "[webhooks.a]
url = \"{receiver}/a\"
events = [
    { event = \"on_message_publish\", topic = \"forbidden/#\" },
    { event = \"on_message_publish\", topic = \"t\" },
]
";
    let broker = Mosquitto::builder()
        .deny_subscription("forbidden/#")
        .start();
    let setup = launch(broker, config);
    let line = setup
        .sidecar
        .wait_for_log("the broker refuses a subscription")
        .await;
    says(&line, &["WARN", "`forbidden/#`", "ACL"]);
    is_not_ready(
        &setup,
        &[
            "messages: the broker refuses a subscription",
            "`forbidden/#`",
            "ACL",
        ],
    )
    .await;
    super::passes(&setup, "hello").await;
    logged(&setup, "the broker refuses a subscription", 1);
}

#[tokio::test]
async fn a_message_that_is_too_large_stops_no_other() {
    let config = |protocol: &str| {
        format!("broker.max_packet_size = \"2KiB\"\nbroker.protocol = \"{protocol}\"\n{MESSAGES}")
    };
    for protocol in ["5", "3.1.1"] {
        let broker = Mosquitto::builder();
        let mut setup = Setup::start(MQHOOK, broker, &config(protocol)).await;
        let large = support::client::Publish::new("t", vec![b'x'; 10_000]);
        let mut client = setup.client("dev").await;
        client.publish(&large).await;
        client.ping().await;
        if protocol == "3.1.1" {
            let line = setup.sidecar.wait_for_log("too large a packet").await;
            says(&line, &["raise broker.max_packet_size"]);
            setup
                .wait_for_metric(super::CONNECTS, |connects| connects == 2)
                .await;
        }
        setup.wait_ready().await;
        super::passes(&setup, "small").await;
        let failures = u64::from(protocol == "3.1.1");
        assert_eq!(setup.metric(FAILURES).await, failures, "MQTT {protocol}");
    }
}
