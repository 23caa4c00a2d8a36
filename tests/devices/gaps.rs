//! What the broker says of itself, and who publishes, shows what has become of devices in a gap.

use support::client::{Client, Connect, Publish, Version};
use support::mosquitto::{Builder, Mosquitto};
use support::setup::Setup;

use super::{MQHOOK, WEBHOOK, broker, check, connect, status, stop, wait_for_status};

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/plugin/key");

const UPTIME: &str = "$SYS/broker/uptime";

const PROVISIONED: &str = "dev provisioned connected <- none: none";
const FIRST: &str = "dev status_changed connected <- none: none";
const LOST: &str = "dev status_changed disconnected <- connected: unknown";

/// Returns a broker that says every two seconds how it is.
fn frank() -> Builder {
    broker().line("sys_interval 1")
}

async fn start(broker: Builder, keys: &str) -> Setup {
    Setup::start(MQHOOK, broker, &format!("{keys}{WEBHOOK}")).await
}

async fn start_again(setup: &mut Setup) {
    setup.sidecar.start_again();
    setup.wait_ready().await;
}

/// Returns a client that hears what the broker says of itself.
async fn listen(broker: &Mosquitto) -> Client {
    let connect = Connect::new(Version::V5, "fence of uptimes");
    let mut client = connect.open(broker.port()).await;
    client.subscribe(UPTIME, 0).await;
    client
}

/// Waits until the broker has said four times how it is.
async fn wait_for_words(listener: &mut Client) {
    for _ in 0..4 {
        listener.next_where(|message| message.topic == UPTIME).await;
    }
}

#[tokio::test]
async fn a_broker_that_was_started_anew_with_no_clients_has_lost_those_that_it_had() {
    let mut setup = start(frank(), "").await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    setup.broker.kill();
    drop(dev);
    setup.broker.start_again();
    start_again(&mut setup).await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    check(&setup, "fence", &[PROVISIONED, FIRST, LOST]).await;
}

#[tokio::test]
async fn who_came_back_to_a_broker_that_was_started_anew_is_not_told_to_be_gone() {
    let mut setup = start(frank(), "").await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    setup.broker.kill();
    drop(dev);
    setup.broker.start_again();
    let dev = connect(&setup, "dev").await;
    start_again(&mut setup).await;
    let mut listener = listen(&setup.broker).await;
    wait_for_words(&mut listener).await;
    assert_eq!(status(&setup, "dev").as_deref(), Some("unknown"));
    check(&setup, "fence", &[PROVISIONED, FIRST]).await;
    dev.disconnect().await;
}

#[tokio::test]
async fn a_broker_with_no_clients_but_mqhook_has_lost_those_that_it_had() {
    let messages = "[webhooks.m]\nurl = \"{receiver}/m\"\nevents = [{ event = \"on_message_publish\", topic = \"a\" }]\n";
    // What the broker would have kept for mqhook, it forgets.
    let keys = format!("broker.clean_start = true\n{messages}");
    let mut setup = start(frank(), &keys).await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    dev.disconnect().await;
    start_again(&mut setup).await;
    // The broker did not tell it of this one, which is not certain before it has.
    let connect = Connect::new(Version::V5, "mqhook");
    let mut thief = connect.open(setup.broker.port()).await;
    thief.wait_closed().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
    check(&setup, "fence", &[PROVISIONED, FIRST, LOST]).await;
}

#[tokio::test]
async fn a_gap_in_which_nothing_happened_makes_nothing_known() {
    let mut setup = start(frank(), "").await;
    let dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    start_again(&mut setup).await;
    let mut listener = listen(&setup.broker).await;
    wait_for_words(&mut listener).await;
    assert_eq!(status(&setup, "dev").as_deref(), Some("unknown"));
    check(&setup, "fence", &[PROVISIONED, FIRST]).await;
    dev.disconnect().await;
}

#[tokio::test]
async fn a_broker_that_hides_how_it_is_tells_of_its_clients_all_the_same() {
    let broker = broker().deny_subscription(UPTIME);
    let setup = start(broker, "").await;
    let connect = Connect::new(Version::V5, "dev");
    let dev = connect.open(setup.broker.port()).await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    dev.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
}

/// Returns a broker with the plugin, and the keys of a sidecar that believes it.
fn sealing() -> (Builder, String) {
    let library = support::plugin::library().display();
    let broker = broker()
        .line(&format!("plugin {library}"))
        .line(&format!("plugin_opt_key_file {KEY}"));
    let keys = format!(
        "broker.plugin_key_file = \"{KEY}\"\n[webhooks.m]\nurl = \"{{receiver}}/m\"\nevents = [{{ event = \"on_message_publish\", topic = \"t\" }}]\n"
    );
    (broker, keys)
}

async fn publish(client: &mut Client) {
    let code = client.publish(&Publish::new("t", "on").qos(1)).await;
    assert!(code < 0x80, "expected the broker to take it, got {code}");
}

#[tokio::test]
async fn who_publishes_after_a_gap_is_connected() {
    let (broker, keys) = sealing();
    let mut setup = start(broker, &keys).await;
    let mut dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    start_again(&mut setup).await;
    assert_eq!(status(&setup, "dev").as_deref(), Some("unknown"));
    let what = "dev to be known to be connected";
    support::wait::until(super::PATIENCE, what, async || {
        publish(&mut dev).await;
        (status(&setup, "dev").as_deref() == Some("connected")).then_some(())
    })
    .await;
    dev.disconnect().await;
    wait_for_status(&setup, "dev", Some("disconnected")).await;
}

#[tokio::test]
async fn what_was_published_in_a_gap_shows_nothing() {
    let (broker, keys) = sealing();
    let mut setup = start(broker, &keys).await;
    let mut dev = connect(&setup, "dev").await;
    wait_for_status(&setup, "dev", Some("connected")).await;
    stop(&mut setup).await;
    publish(&mut dev).await;
    dev.disconnect().await;
    start_again(&mut setup).await;
    let is_it = |request: &support::receiver::Request| request.target() == "/m";
    setup
        .receiver
        .wait_until(|requests| requests.iter().any(is_it))
        .await;
    assert_ne!(status(&setup, "dev").as_deref(), Some("connected"));
}
