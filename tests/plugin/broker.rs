//! What the plugin is to the broker.

use support::client::{Connect, Publish, Version, Will};
use support::setup::Setup;

use super::{MQHOOK, SEAL, broker, config, listen, observer, send};

const STATUS: &str = "$SYS/broker/mqhook/status";

#[tokio::test]
async fn only_topics_that_are_asked_for_are_sealed() {
    let broker = broker().line("plugin_opt_topics a/# b/+");
    let setup = Setup::start(MQHOOK, broker, &config("")).await;
    let mut subscriber = observer(&setup).await;
    let mut client = setup.client("dev").await;
    for (topic, seals) in [("a", 1), ("a/b/c", 1), ("b/c", 1), ("b/c/d", 0), ("c", 0)] {
        send(&mut client, Publish::new(topic, "x")).await;
        let message = subscriber.next().await;
        assert_eq!(message.user_property(SEAL).len(), seals, "{topic}");
    }
}

#[tokio::test]
async fn the_plugin_says_how_it_is_where_no_client_can() {
    let setup = listen().await;
    let mut client = setup.client("dev").await;
    client.subscribe(STATUS, 0).await;
    let status = client.next().await;
    let expected = format!(
        r#"{{"version":"{}","events":false,"sealed":0,"passed":0,"failed":0,"untold":0,"panics":0}}"#,
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(status.text(), expected);
    client
        .publish(&Publish::new(STATUS, "forged").retain().qos(1))
        .await;
    let connect = Connect::new(Version::V5, "will").will(Will::new(STATUS, "forged").retain());
    connect.open(setup.broker.port()).await.abort();
    setup.publish("t", "x").await;
    let mut late = setup.client("late").await;
    late.subscribe(STATUS, 0).await;
    assert_eq!(late.next().await.text(), expected);
}

#[tokio::test]
async fn a_new_key_counts_when_the_broker_reads_its_configuration_again() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let key = directory.path().join("key");
    std::fs::write(&key, "an old key of 20 bytes\n").expect("write the key");
    let library = support::plugin::library().display();
    let broker = support::mosquitto::Mosquitto::builder()
        .line(&format!("plugin {library}"))
        .line(&format!("plugin_opt_key_file {}", key.display()));
    let setup = Setup::start(MQHOOK, broker, &config("")).await;
    std::fs::copy(super::KEY, &key).expect("write the key");
    let pid = i32::try_from(setup.broker.pid()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("it is not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    setup.broker.wait_for_log("read its key again").await;
    setup.publish("t", "x").await;
    let request = setup.receiver.next().await;
    assert!(
        request.text().contains("\"from_client_id\":\"publisher\""),
        "{}",
        request.text()
    );
}

#[tokio::test]
async fn the_example_is_taken_as_it_is() {
    let example = include_str!("../../config/mosquitto-plugin.conf");
    let example = example
        .replace(
            "/usr/lib/mosquitto/libmqhook_mosquitto.so",
            &support::plugin::library().display().to_string(),
        )
        .replace("/etc/mosquitto/mqhook.key", super::KEY);
    let mut broker = support::mosquitto::Mosquitto::builder();
    for line in example.lines() {
        // What is commented out is taken, too.
        broker = broker.line(line.strip_prefix("#plugin").map_or(line, |_| &line[1..]));
    }
    let setup = Setup::start(MQHOOK, broker, &config("")).await;
    setup.publish("plant/1", "x").await;
    let request = setup.receiver.next().await;
    assert!(
        request.text().contains("\"from_client_id\":\"publisher\""),
        "{}",
        request.text()
    );
}
