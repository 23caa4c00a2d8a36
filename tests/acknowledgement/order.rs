//! PUBACKs, packet by packet, at a broker that the test plays.

use std::time::Duration;

use support::client::Publish;
use support::mosquitto::Mosquitto;
use support::receiver::{Behaviour, Gate, Receiver};
use support::scripted::ScriptedBroker;
use support::setup::{Setup, complete};
use support::sidecar::Sidecar;

use super::{MQHOOK, WEBHOOK, hold_only, payload};

const DELIVERED: &str = "mqhook_deliveries_total{webhook=\"a\",outcome=\"delivered\"}";

/// A sidecar between a broker that the test plays and a receiver.
struct Play {
    broker: ScriptedBroker,
    receiver: Receiver,
    sidecar: Sidecar,
    admin: u16,
}

impl Play {
    async fn start() -> Self {
        let (broker, receiver) = (ScriptedBroker::bind().await, Receiver::start());
        let admin = support::port::free_port();
        let config = complete(WEBHOOK, &broker.url(), &receiver.url(), admin);
        let sidecar = Sidecar::start(MQHOOK, &config, "toml");
        Self {
            broker,
            receiver,
            sidecar,
            admin,
        }
    }

    async fn wait_for_deliveries(&self, count: f64) {
        self.sidecar
            .wait_for_metric(self.admin, DELIVERED, |delivered| delivered >= count)
            .await;
    }
}

fn message(payload: &'static str) -> Publish {
    Publish::new("t", payload).qos(1)
}

#[tokio::test]
async fn pubacks_wait_for_the_answer_and_go_in_order() {
    let play = Play::start().await;
    let gate = Gate::shut();
    hold_only(&play.receiver, &gate, "first");
    let mut peer = play.broker.serve(false).await;
    for (packet_id, payload) in [(7, "first"), (3, "second"), (9, "third")] {
        peer.publish(&message(payload), packet_id).await;
    }
    play.wait_for_deliveries(2.0).await;
    let early = peer.next_within(Duration::from_millis(100)).await;
    assert_eq!(early, None, "expected nothing before the first answer");
    gate.open();
    for packet_id in [7, 3, 9] {
        assert_eq!(peer.puback().await, packet_id);
    }
}

#[tokio::test]
async fn every_webhook_must_have_its_message() {
    let broker = Mosquitto::builder();
    let config = format!(
        "broker.receive_maximum = 1\n{WEBHOOK}{}",
        WEBHOOK
            .replace("spool.backend = \"memory\"\n", "")
            .replace("webhooks.a", "webhooks.b")
            .replace("{receiver}", "{receiver}/b")
    );
    let setup = Setup::start(MQHOOK, broker, &config).await;
    let gate = Gate::shut();
    let held = Behaviour::Status(200).behind(&gate);
    setup
        .receiver
        .set_script(move |request| match request.target() {
            "/b" => held.clone(),
            _ => Behaviour::Status(200),
        });
    setup.publish("t", "first").await;
    setup.publish("t", "second").await;
    setup
        .wait_for_metric(DELIVERED, |delivered| delivered >= 1)
        .await;
    setup.receiver.wait_for(2).await;
    let requests = setup.receiver.requests();
    let early = requests
        .iter()
        .filter(|request| payload(request.text()) == "second");
    assert_eq!(
        early.count(),
        0,
        "expected no second message before the PUBACK of the first"
    );
    gate.open();
    setup.receiver.wait_for(4).await;
}

#[tokio::test]
async fn a_puback_never_goes_to_a_newer_connection() {
    let play = Play::start().await;
    let gate = Gate::shut();
    hold_only(&play.receiver, &gate, "held");
    let mut peer = play.broker.serve(false).await;
    peer.publish(&message("held"), 1).await;
    play.receiver.wait_for(1).await;
    drop(peer);
    let mut peer = play.broker.serve(true).await;
    gate.open();
    play.wait_for_deliveries(1.0).await;
    // A PUBACK of the old connection's identifier would come before this one's.
    peer.publish(&message("fresh"), 5).await;
    assert_eq!(peer.puback().await, 5);
}

#[tokio::test]
async fn a_message_of_no_rule_is_acknowledged() {
    let play = Play::start().await;
    let mut peer = play.broker.serve(false).await;
    let stray = Publish::new("$other/t", "x").qos(1);
    peer.publish(&stray, 11).await;
    assert_eq!(peer.puback().await, 11);
}

#[tokio::test]
async fn keep_alive_goes_on_while_nothing_is_taken() {
    let (broker, receiver) = (ScriptedBroker::bind().await, Receiver::start());
    let admin = support::port::free_port();
    let config = format!("broker.keep_alive = \"5s\"\nspool.max_memory = \"64KiB\"\n{WEBHOOK}");
    let config = complete(&config, &broker.url(), &receiver.url(), admin);
    let _sidecar = Sidecar::start(MQHOOK, &config, "toml");
    receiver.set(Behaviour::Never);
    let mut peer = broker.serve(false).await;
    for packet_id in 1..=200 {
        peer.publish(&Publish::new("t", vec![b'x'; 1024]).qos(1), packet_id)
            .await;
    }
    peer.ping().await;
}
