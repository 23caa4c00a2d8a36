//! What reaches the webhooks of a group.

use serde_json::{Value, json};
use support::client::{Connect, Version};
use support::mosquitto::Mosquitto;
use support::setup::Setup;

use super::api::Asker;
use super::{MQHOOK, body, count, start, wait_for};

#[tokio::test]
async fn a_webhook_gets_each_event_of_its_scope_once() {
    let config = "
        [groups.plant]
        topics = [\"plant/#\", \"plant/+/temp\", \"+/1/#\"]
        [webhooks.all]
        url = \"{receiver}/all\"
        group = \"plant\"
        pool_size = 1
        body.format = \"json\"
        [webhooks.some]
        url = \"{receiver}/some\"
        group = \"plant\"
        pool_size = 1
        body.format = \"json\"
        events = [
            { event = \"on_message_publish\", topic = \"+/1/#\" },
            { event = \"on_message_publish\", topic = \"#\" },
            { event = \"on_message_publish\", topic = \"plant/1/temp\" },
        ]
    ";
    let setup = start(config).await;
    for (topic, payload) in [
        ("plant/1/temp", "in all"),
        ("office/1/temp", "in one"),
        ("office/2/temp", "in none"),
        ("plant", "end"),
    ] {
        setup.publish(topic, payload).await;
    }
    wait_for(&setup, "/some", "end").await;
    let requests = wait_for(&setup, "/all", "end").await;
    for path in ["/all", "/some"] {
        for (payload, expected) in [("in all", 1), ("in one", 1), ("in none", 0), ("end", 1)] {
            assert_eq!(
                count(&requests, path, payload),
                expected,
                "{path} {payload}"
            );
        }
    }
}

#[tokio::test]
async fn a_message_of_nobody_does_not_reach_a_group_of_some_clients() {
    let config = "
        [groups.sensors]
        clients = [\"*\"]
        [webhooks.narrowed]
        url = \"{receiver}/narrowed\"
        group = \"sensors\"
        body.format = \"json\"
        [webhooks.all]
        url = \"{receiver}/all\"
        body.format = \"json\"
        events = [{ event = \"on_message_publish\" }]
    ";
    let setup = start(config).await;
    let api = Asker::local(&setup);
    let body =
        json!({"name": "made", "group": "sensors", "definition": {"url": "http://127.0.0.1:1/"}});
    let made = api.post("/webhooks", &body).await.expect(201);
    assert_eq!(made["warnings"][0]["pointer"], "/group", "{made}");
    setup.publish("t", "one").await;
    wait_for(&setup, "/all", "one").await;
    let events = json!([{"topic": "t", "payload": "of an application"}]);
    api.post("/groups/sensors/events", &events)
        .await
        .expect(202);
    let requests = wait_for(&setup, "/narrowed", "of an application").await;
    assert_eq!(count(&requests, "/narrowed", "one"), 0);
    let reached = api.get("/clients/a/webhooks").await.expect(200);
    let items = reached["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{reached}");
}

#[tokio::test]
async fn events_of_other_clients_do_not_reach_it() {
    let config = "
        [groups.sensors]
        clients = [\"sensor-*\", \"meter-?\"]
        events = [\"on_client_connected\"]
        [webhooks.of_group]
        url = \"{receiver}/group\"
        group = \"sensors\"
        body.format = \"json\"
        [webhooks.own]
        url = \"{receiver}/own\"
        group = \"sensors\"
        body.format = \"json\"
        events = [{ event = \"on_client_connected\", client_id = \"*-1\" }]
    ";
    let broker = Mosquitto::builder().log_topics();
    let setup = Setup::start(MQHOOK, broker, config).await;
    for id in ["pump-1", "sensor-1", "meter-22", "sensor-2", "meter-1"] {
        let connect = Connect::new(Version::V5, id);
        connect.open(setup.broker.port()).await.disconnect().await;
    }
    let requests = setup.receiver.wait_for(5).await;
    let clients = |path: &str| {
        let requests = requests.iter().filter(|it| it.target() == path);
        let mut clients: Vec<Value> = requests.map(|it| body(it)["client_id"].clone()).collect();
        clients.sort_by_key(Value::to_string);
        clients
    };
    assert_eq!(clients("/group"), ["meter-1", "sensor-1", "sensor-2"]);
    assert_eq!(clients("/own"), ["meter-1", "sensor-1"]);

    let api = Asker::local(&setup);
    let reached = async |client: &str| {
        let answer = api
            .get(&format!("/clients/{client}/webhooks"))
            .await
            .expect(200);
        let items = answer["items"].as_array().expect("a list").clone();
        items
            .iter()
            .map(|item| item["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(reached("sensor-1").await, ["of_group", "own"]);
    assert_eq!(reached("sensor-2").await, ["of_group"]);
    assert_eq!(reached("pump%2F1").await, [json!(null); 0]);
}
