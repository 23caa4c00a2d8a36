//! What clients do.

use support::broker::Broker;
use support::client::{Client, Property, Publish, Version, Will};

use crate::line::Told;
use crate::story::{Record, Story};

/// Identifiers that look like something else, or that a topic cannot hold.
const ODD_IDENTIFIERS: [&str; 6] = [
    "two words",
    "a/b",
    "\"quoted\", {\"clientid\":\"x\"}",
    "+/# $SYS",
    "dev disconnected.",
    "传感器 🌡",
];

/// Runs through everything.
pub async fn run(broker: Broker) -> Record {
    keep_an_old_message(&broker).await;
    let mut story = Story::begin(broker).await;
    story
        .note("a message was retained before mqhook came")
        .await;
    for version in story.broker.speaks {
        visit(&mut story, *version).await;
    }
    let mut client = open(&story, "dev").await;
    story.note("a client connects, to do what follows").await;
    subscribe(&mut story, &mut client).await;
    publish(&mut story, &mut client).await;
    client.disconnect().await;
    story.note("it leaves").await;
    be_refused(&mut story).await;
    break_off(&mut story).await;
    take_over(&mut story).await;
    be_called_oddly(&mut story).await;
    let is_heard = story.broker.dialect != "plain";
    if story.broker.best() == Version::V5 && is_heard {
        expire(&mut story).await;
    }
    be_silent(&mut story).await;
    story.assert_no_password_was_told();
    story.record
}

async fn open(story: &Story, client_id: &str) -> Client {
    let connect = Broker::connect(story.broker.best(), client_id);
    connect.open(story.broker.port).await
}

async fn keep_an_old_message(broker: &Broker) {
    let connect = Broker::connect(broker.best(), "early");
    let mut client = connect.open(broker.port).await;
    client
        .publish(&Publish::new("early", "old").qos(1).retain())
        .await;
    client.disconnect().await;
}

async fn visit(story: &mut Story, version: Version) {
    let name = name_of(version);
    let connect = Broker::connect(version, "visitor").keep_alive(30);
    let client = connect.open(story.broker.port).await;
    story
        .note(format!("a client connects with MQTT {name}"))
        .await;
    client.disconnect().await;
    story
        .note(format!("it leaves with DISCONNECT ({name})"))
        .await;
}

async fn subscribe(story: &mut Story, client: &mut Client) {
    client.subscribe("told/+/c d/#", 1).await;
    story.note("it subscribes").await;
    client.unsubscribe("told/+/c d/#").await;
    story.note("it unsubscribes").await;
}

async fn publish(story: &mut Story, client: &mut Client) {
    for qos in 0..=story.broker.max_qos {
        let message = Publish::new("a/b", "21.5").qos(qos);
        client.publish(&message).await;
        story.note(format!("it publishes with QoS {qos}")).await;
    }
    client
        .publish(&Publish::new("a/b", "kept").qos(1).retain())
        .await;
    story.note("it publishes a message to be retained").await;
}

async fn be_refused(story: &mut Story) {
    let connect = Broker::connect(story.broker.best(), "refused").password("wrong");
    let refused = connect.attempt(story.broker.port).await;
    let code = refused.connack().map(|connack| connack.code);
    assert_ne!(
        code,
        Some(0),
        "expected the broker to refuse a wrong password"
    );
    drop(refused);
    story.note("a client comes with a wrong password").await;
}

async fn break_off(story: &mut Story) {
    let will = Will::new("wills/dev", "gone").qos(1);
    let connect = Broker::connect(story.broker.best(), "dev").will(will);
    let client = connect.open(story.broker.port).await;
    story.note("a client with a will connects").await;
    client.close().await;
    story.wait_for(|told| told.topic == "wills/dev").await;
    story.note("its connection ends without DISCONNECT").await;
}

async fn take_over(story: &mut Story) {
    let mut old = open(story, "dev").await;
    story.note("a client connects again").await;
    let new = open(story, "dev").await;
    old.wait_closed().await;
    story.note("another takes over its session").await;
    new.disconnect().await;
    story.note("the other leaves").await;
}

async fn be_called_oddly(story: &mut Story) {
    for identifier in ODD_IDENTIFIERS {
        let connect = Broker::connect(story.broker.best(), identifier);
        let client = connect.attempt(story.broker.port).await;
        let code = client.connack().map(|connack| connack.code);
        let what = match code {
            Some(0) => "comes and goes",
            _ => "is refused by the broker",
        };
        if code == Some(0) {
            client.disconnect().await;
        }
        story
            .note(format!("a client called {identifier} {what}"))
            .await;
    }
}

/// The session outlives the connection by a second, and then the broker finds out in its own time.
async fn expire(story: &mut Story) {
    let connect = Broker::connect(Version::V5, "forgetful").persistent();
    let connect = connect.property(Property::session_expiry(1));
    connect.open(story.broker.port).await.disconnect().await;
    let is_end = |told: &Told| told.kind == "session_terminated" && told.client_id == "forgetful";
    story.wait_for(is_end).await;
    story
        .note("a client comes and goes, and its session expires")
        .await;
}

async fn be_silent(story: &mut Story) {
    let connect = Broker::connect(story.broker.best(), "silent").keep_alive(1);
    let mut client = connect.open(story.broker.port).await;
    client.wait_closed().await;
    story
        .note("a client comes and is silent for too long")
        .await;
}

/// Returns a version of MQTT as people write it.
pub fn name_of(version: Version) -> &'static str {
    match version {
        Version::V31 => "3.1",
        Version::V311 => "3.1.1",
        Version::V5 => "5",
    }
}
