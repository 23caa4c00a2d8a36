//! Of what waits, only the newest of a topic is posted.

use std::time::Duration;

use support::receiver::{Behaviour, Gate, Request};

use super::{WAITING, by_topic, publish, start, told};

const DROPPED: &str = "mqhook_dropped_events_total{webhook=\"a\",reason=\"superseded\"}";

#[tokio::test]
async fn a_backlog_shrinks_to_the_newest_of_each_topic() {
    let setup = start("", "conflate = \"topic\"\npool_size = 1\n").await;
    let gate = Gate::shut();
    setup.receiver.set(Behaviour::Status(200).behind(&gate));
    let mut client = setup.client("publisher").await;
    publish(&mut client, "s", 0).await;
    setup.receiver.wait_for(1).await;
    for number in 0..100 {
        publish(&mut client, "t", number).await;
        publish(&mut client, "u", number).await;
    }
    setup
        .wait_for_metric(DROPPED, |dropped| dropped == 198)
        .await;
    gate.open();
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
    let by_topic = by_topic(&setup.receiver.requests());
    assert_eq!(by_topic["t"], [99]);
    assert_eq!(by_topic["u"], [99]);
}

#[tokio::test]
async fn an_older_one_is_not_tried_again_once_a_newer_one_has_come() {
    let keys = "conflate = \"topic\"\nretry.exponential.initial = \"500ms\"\n";
    let keys = format!("{keys}retry.exponential.max = \"500ms\"\n");
    let config = super::WEBHOOK.replace(
        "retry.exponential = { initial = \"50ms\", factor = 2, max = \"200ms\", for = \"1h\" }\n",
        "",
    );
    let broker = support::mosquitto::Mosquitto::builder().start();
    let receiver = support::receiver::Receiver::start();
    let config = format!("{config}{keys}");
    let mut setup = support::setup::Setup::launch(super::MQHOOK, broker, receiver, &config);
    setup.wait_ready().await;
    setup.receiver.set_script(|request| {
        let is_first = told(&request.body)[0].1 == 0;
        Behaviour::Status(if is_first { 503 } else { 200 })
    });
    let mut client = setup.client("publisher").await;
    publish(&mut client, "t", 0).await;
    setup.receiver.wait_for(1).await;
    publish(&mut client, "t", 1).await;
    let is_there = |requests: &[Request]| by_topic(requests)["t"].contains(&1);
    setup.receiver.wait_until(is_there).await;
    setup.wait_for_metric(DROPPED, |dropped| dropped == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(by_topic(&setup.receiver.requests())["t"], [0, 1]);
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}
