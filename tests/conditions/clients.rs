//! Patterns for client identifiers and user names, and conditions on events that are no messages.

use super::{requests, start};
use support::client::{Connect, Version};
use support::setup::Setup;

/// Connects clients of these names one after the other, and lets each go.
async fn connect(setup: &Setup, clients: &[&str]) {
    for client in clients {
        setup.client(client).await.disconnect().await;
    }
}

/// Returns the client identifiers in the requests before the fence.
async fn clients(setup: &Setup) -> Vec<String> {
    // What the broker tells comes over another connection than the fence.
    connect(setup, &["last"]).await;
    setup
        .receiver
        .wait_until(|requests| {
            let is_last = |text: String| text.contains("\"clientid\":\"last\"");
            requests
                .iter()
                .any(|request| is_last(request.text().to_owned()))
        })
        .await;
    let id = |text: &str| {
        let rest = text.split_once("\"clientid\":\"").expect("a client").1;
        rest.split('"').next().expect("its end").to_owned()
    };
    let requests = requests(setup).await;
    requests.iter().map(|request| id(request.text())).collect()
}

#[tokio::test]
async fn patterns_and_conditions_choose_clients() {
    let setup = start(&[
        r#"{ event = "on_client_connected", client_id = "sensor-?" }"#,
        r#"{ event = "on_client_connected", client_id = "last" }"#,
        r#"{ event = "on_client_connected", where = "client_id.endsWith('-gw') && username == null" }"#,
        r#"{ event = "on_client_connected", username = "*" }"#,
    ])
    .await;
    connect(
        &setup,
        &["sensor-1", "sensor-22", "Sensor-1", "north-gw", "sensor-2"],
    )
    .await;
    assert_eq!(
        clients(&setup).await,
        ["sensor-1", "north-gw", "sensor-2", "last"]
    );
}

#[tokio::test]
async fn a_pattern_for_user_names_takes_those_that_match() {
    let setup = start(&[
        r#"{ event = "on_client_connected", username = "al?ce*" }"#,
        r#"{ event = "on_client_connected", client_id = "last" }"#,
    ])
    .await;
    for (client, username) in [
        ("one", "alice"),
        ("two", "bob"),
        ("three", "Alice"),
        ("four", "alyce of the plant"),
        ("five", "malice"),
        ("six", "alce"),
    ] {
        let connect = Connect::new(Version::V5, client).username(username);
        connect.open(setup.broker.port()).await.disconnect().await;
    }
    connect(&setup, &["alice"]).await;
    assert_eq!(clients(&setup).await, ["one", "four", "last"]);
}
