//! What brokers tell: one suite that every broker runs through.
//!
//! Each broker has a file in `told` with the events that mqhook made of each stimulus, and `docs/brokers.md`
//! is the table that follows from these files. `UPDATE_EXPECT=1 cargo test --test conformance` writes
//! both anew; the difference is to be read before it is committed. An event that is not in the file
//! must not come: after each stimulus a fence is awaited, an event that the broker tells later.
//!
//! Mosquitto and NATS come by apt, rumqttd by cargo, Aedes by npm, all installed by `./test`; RMQTT is built by
//! `./test --brokers`. A broker that is not there is left out, with a line that says so.

mod aedes;
mod expected;
mod line;
mod nats;
mod rumqttd;
mod stimuli;
mod story;
mod table;

use support::broker::{self, Broker};

/// Lets a broker live through the suite, and compares what was told.
async fn check(name: &str, broker: Option<Broker>) {
    let Some(broker) = broker else {
        println!("{name} is not installed: left out");
        return;
    };
    let told = stimuli::run(broker).await;
    expected::compare(&told);
}

#[tokio::test]
async fn mosquitto_tells_what_is_documented() {
    check("Mosquitto", broker::mosquitto()).await;
}

#[tokio::test]
async fn nats_tells_what_is_documented() {
    check("NATS server", broker::nats()).await;
}

#[tokio::test]
async fn aedes_tells_what_is_documented() {
    check("Aedes", broker::aedes()).await;
}

#[tokio::test]
async fn rmqtt_tells_what_is_documented() {
    check("RMQTT", broker::rmqtt()).await;
}

#[tokio::test]
async fn rumqttd_tells_what_is_documented() {
    check("rumqttd", Some(rumqttd::start().await)).await;
}

#[test]
fn the_table_says_what_the_brokers_told() {
    table::compare();
}
