//! CONNECTs, and who was refused, which Mosquitto 2.0 does not say by itself.

use support::client::{Connect, Version, Will};
use support::mosquitto::Builder;
use support::setup::Setup;

use super::{KEY, MQHOOK, broker};

/// Returns a broker that knows `alice` and mqhook, and says who asks.
fn strict() -> Builder {
    broker()
        .log_topics()
        .line("plugin_opt_connects true")
        .password("alice", "secret")
        .password("mqhook", "m")
}

/// Starts a sidecar for these kinds.
async fn listen(broker: Builder, kinds: &[&str]) -> Setup {
    let events: Vec<String> = kinds
        .iter()
        .map(|kind| format!("{{ event = \"{kind}\" }}"))
        .collect();
    let config = format!(
        "broker.plugin_key_file = \"{KEY}\"\nbroker.username = \"mqhook\"\nbroker.password = \"m\"\n[webhooks.a]\nurl = \"{{receiver}}/a\"\npool_size = 1\nevents = [{}]",
        events.join(", ")
    );
    Setup::start(MQHOOK, broker, &config).await
}

async fn check(setup: &Setup, expected: &[&str]) {
    let requests = setup.receiver.wait_for(expected.len()).await;
    let bodies: Vec<&str> = requests
        .iter()
        .map(support::receiver::Request::text)
        .collect();
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn who_was_refused_is_told_with_name_and_user() {
    let setup = listen(strict(), &["on_client_connack"]).await;
    let port = setup.broker.port();
    let attempts = [
        (Version::V311, "dev 1", "alice", "wrong"),
        (Version::V5, "(p2, c1, k60, u'root').", "quo\"te", "x"),
        (Version::V5, "dev 3", "alice", "secret"),
    ];
    for (version, id, username, password) in attempts {
        let connect = Connect::new(version, id).username(username);
        connect.password(password).attempt(port).await;
    }
    let long = Connect::new(Version::V5, &"x".repeat(2_000)).username(&"y".repeat(60_000));
    long.password("z").attempt(port).await;
    let nobody = Connect::new(Version::V311, "nobody").keep_alive(7);
    nobody.attempt(port).await;
    let [x, y] = ["x", "y"].map(|name| name.repeat(256));
    let long = format!(
        r#"{{"proto_ver":5,"keepalive":60,"conn_ack":"fail","username":"{y}…","clientid":"{x}…","action":"client_connack"}}"#
    );
    let expected = [
        r#"{"proto_ver":4,"keepalive":60,"conn_ack":"fail","username":"alice","clientid":"dev 1","action":"client_connack"}"#,
        r#"{"proto_ver":5,"keepalive":60,"conn_ack":"fail","username":"quo\"te","clientid":"(p2, c1, k60, u'root').","action":"client_connack"}"#,
        r#"{"proto_ver":5,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"dev 3","action":"client_connack"}"#,
        &long,
        r#"{"proto_ver":4,"keepalive":7,"conn_ack":"fail","username":"undefined","clientid":"nobody","action":"client_connack"}"#,
    ];
    check(&setup, &expected).await;
}

#[tokio::test]
async fn a_connect_is_told_before_its_outcome() {
    let kinds = [
        "on_client_connect",
        "on_client_connack",
        "on_client_disconnected",
    ];
    let setup = listen(strict(), &kinds).await;
    let connect = Connect::new(Version::V5, "dev").username("alice");
    let connect = connect.password("secret").will(Will::new("t", "x"));
    let port = setup.broker.port();
    let client = connect.open(port).await;
    client.disconnect().await;
    let connack = r#"{"proto_ver":5,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"dev","action":"client_connack"}"#;
    let gone =
        r#"{"reason":"normal","username":"alice","clientid":"dev","action":"client_disconnected"}"#;
    let requests = setup.receiver.wait_for(3).await;
    let asked = requests[0].text();
    assert!(
        asked.contains("\"action\":\"client_connect\"") && asked.contains("\"clientid\":\"dev\""),
        "{asked}"
    );
    assert_eq!([requests[1].text(), requests[2].text()], [connack, gone]);
}

#[tokio::test]
async fn a_stranger_takes_no_name_from_another() {
    let setup = listen(strict(), &["on_client_connack"]).await;
    let port = setup.broker.port();
    let good = Connect::new(Version::V311, "dev").username("alice");
    let _client = good.password("secret").open(port).await;
    // Refused before anybody asks who it is; then one of whom nobody knows anything.
    let old = Connect::new(Version::V311, "old").protocol_level(9);
    old.attempt(port).await;
    support::client::Client::raw(port).await.close().await;
    let bad = Connect::new(Version::V311, "bad").username("alice");
    bad.password("wrong").attempt(port).await;
    let requests = setup.receiver.wait_for(3).await;
    let clients: Vec<bool> = requests
        .iter()
        .map(|request| request.text().contains("\"clientid\":null"))
        .collect();
    assert_eq!(clients, [false, true, false]);
    assert!(requests[2].text().contains("\"clientid\":\"bad\""));
}
