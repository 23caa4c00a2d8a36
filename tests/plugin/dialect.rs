//! Mosquitto 2.1, played: its plugin publishes what happens to clients, beside the log.

use std::time::Duration;

use support::client::Publish;
use support::client::packet;
use support::port::free_port;
use support::receiver::Receiver;
use support::scripted::{Peer, ScriptedBroker};
use support::setup::complete;
use support::sidecar::Sidecar;

use super::MQHOOK;

const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;

const EVENT: &str = r#"{"event":"disconnect","time_ms":1795216121685,"client_id":"dev","username":"alice","address":"::1","protocol_version":5,"keep_alive":60,"clean_start":true,"reason":19}"#;

/// Returns what a broker with this status of its plugin is asked for in the end.
async fn story(status: &str) -> (Option<String>, Peer, Receiver, Sidecar) {
    let broker = ScriptedBroker::bind().await;
    let receiver = Receiver::start();
    let keys =
        "[webhooks.a]\nurl = \"{receiver}/a\"\nevents = [{ event = \"on_client_disconnected\" }]";
    let config = complete(keys, &broker.url(), &receiver.url(), free_port());
    let sidecar = Sidecar::start(MQHOOK, &config, "toml");
    let mut peer = broker.accept().await;
    peer.welcome(false).await;
    assert_eq!(peer.grant_subscription().await, ["$SYS/#"]);
    let retained = |topic: &str, payload: &str| Publish::new(topic, payload.to_owned()).retain();
    let version = retained("$SYS/broker/version", "mosquitto version 2.1.2");
    peer.publish(&version, 0).await;
    peer.publish(&retained("$SYS/broker/mqhook/status", status), 0)
        .await;
    (settle(&mut peer).await, peer, receiver, sidecar)
}

/// Grants what is asked for until nothing more is, and returns what was subscribed to last.
async fn settle(peer: &mut Peer) -> Option<String> {
    let mut last = None;
    while let Some(asked) = peer.next_within(Duration::from_millis(500)).await {
        let id = &asked.body[..2];
        match asked.kind() {
            SUBSCRIBE => {
                // Behind the identifier, the properties with their length, and the length of the one filter.
                let properties = usize::from(asked.body[2]);
                let filter = &asked.body[5 + properties..asked.body.len() - 1];
                last = Some(String::from_utf8_lossy(filter).into_owned());
                peer.send(&packet(0x90, &[id[0], id[1], 0, 1])).await;
            }
            UNSUBSCRIBE => peer.send(&packet(0xB0, &[id[0], id[1], 0, 0])).await,
            kind => panic!("expected to be asked for topics, got a packet of type {kind}"),
        }
    }
    last
}

#[tokio::test]
async fn a_plugin_that_tells_is_heard_in_place_of_the_log() {
    let status = r#"{"version":"0.1.0","events":true,"sealed":0}"#;
    let (filter, mut peer, receiver, _sidecar) = story(status).await;
    assert_eq!(filter.as_deref(), Some("$SYS/broker/mqhook/event"));
    let line = "1795216121: Client dev [::1:7] disconnected: exceeded timeout.";
    peer.publish(&Publish::new("$SYS/broker/log/N", line), 0)
        .await;
    peer.publish(&Publish::new("$SYS/broker/mqhook/event", EVENT).qos(1), 9)
        .await;
    assert_eq!(peer.puback().await, 9);
    let body = r#"{"reason":"keepalive_timeout","username":"alice","clientid":"dev","action":"client_disconnected"}"#;
    let requests = receiver.wait_for(1).await;
    assert_eq!(requests[0].text(), body);
    assert_eq!(receiver.counts().requests, 1);
}

#[tokio::test]
async fn a_plugin_that_does_not_tell_leaves_it_to_the_log() {
    for status in [r#"{"version":"0.1.0","events":false}"#, "{", ""] {
        let (filter, ..) = story(status).await;
        assert_eq!(filter.as_deref(), Some("$SYS/broker/log/#"), "{status}");
    }
}
