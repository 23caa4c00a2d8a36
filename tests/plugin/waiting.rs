//! Who published stays with a message, however long it waits, and wherever.

use support::client::{Connect, Publish, Version};
use support::receiver::Receiver;
use support::setup::Setup;

use super::{MQHOOK, bodies, body, broker, config, listen, send};

fn by(client_id: &str, payload: &str) -> String {
    body(1, payload, "\"undefined\"", &format!("\"{client_id}\""))
}

#[tokio::test]
async fn what_waits_at_the_broker_says_who_published_it() {
    let broker = broker().persistent();
    let mut setup = Setup::start(MQHOOK, broker, &config("")).await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    let mut expected = Vec::new();
    for client_id in ["one", "two"] {
        let mut client = setup.client(client_id).await;
        send(&mut client, Publish::new("t", "x").qos(1)).await;
        client.disconnect().await;
        // Another start of the broker has another salt; its database keeps what was sealed before.
        setup.broker.stop();
        setup.broker.start_again();
        expected.push(by(client_id, "x"));
    }
    setup.sidecar.start_again();
    setup.wait_ready().await;
    assert_eq!(bodies(&setup).await, expected);
}

#[tokio::test]
async fn what_waits_on_disk_says_who_published_it() {
    let mut setup = listen().await;
    setup.receiver.go_down().await;
    let mut client = setup.client("dev").await;
    send(&mut client, Publish::new("t", "x").qos(1)).await;
    let waiting = "mqhook_waiting_deliveries{webhook=\"a\"}";
    setup.wait_for_metric(waiting, |waiting| waiting == 1).await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    setup.receiver.come_back().await;
    setup.sidecar.start_again();
    setup.wait_ready().await;
    let request = setup.receiver.next().await;
    assert!(
        request.text().contains("\"from_client_id\":\"dev\""),
        "{}",
        request.text()
    );
}

#[tokio::test]
async fn a_retained_message_says_who_published_it_and_when() {
    let broker = broker().start();
    let connect = Connect::new(Version::V311, "dev");
    let mut client = connect.open(broker.port()).await;
    send(&mut client, Publish::new("t", "x").qos(1).retain()).await;
    let keys = "broker.retained = true\n".to_owned() + &config("");
    let mut setup = Setup::launch(MQHOOK, broker, Receiver::start(), &keys);
    setup.wait_ready().await;
    let expected = by("dev", "x").replace("\"retain\":false", "\"retain\":true");
    assert_eq!(bodies(&setup).await, [expected]);
}
