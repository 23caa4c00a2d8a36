//! Clients that are accepted or refused.

use support::certificates::Certificates;
use support::client::{Client, Connect, Version};
use support::mosquitto::Mosquitto;
use support::setup::Setup;

use super::{EVERY_KIND, check, listen, listen_at};

const STARTS: [&str; 2] = ["on_client_connack", "on_client_connected"];

/// Awaits the two events of a client that was accepted.
async fn told(setup: &Setup, client: &Client, connack: &str, connected: &str) {
    let body = setup.receiver.next().await;
    assert_eq!(body.text(), connack);
    let body = setup.receiver.next().await;
    let connected = connected.replace("{address}", &client.local_addr().to_string());
    assert_eq!(super::masked(body.text()), connected);
}

#[tokio::test]
async fn accepted_clients_are_told_with_what_they_said() {
    let setup = listen(&STARTS).await;
    let check = async |connect: Connect, connack, connected| {
        let client = connect.open(setup.broker.port()).await;
        told(&setup, &client, connack, connected).await;
    };
    check(
        Connect::new(Version::V31, "old").keep_alive(10),
        r#"{"proto_ver":3,"keepalive":10,"conn_ack":"success","username":"undefined","clientid":"old","action":"client_connack"}"#,
        r#"{"action":"client_connected","clientid":"old","username":null,"ipaddress":"{address}","keepalive":10,"proto_ver":3,"connected_at":0}"#,
    )
    .await;
    check(
        Connect::new(Version::V311, "usual").username("alice"),
        r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"usual","action":"client_connack"}"#,
        r#"{"action":"client_connected","clientid":"usual","username":"alice","ipaddress":"{address}","keepalive":60,"proto_ver":4,"connected_at":0}"#,
    )
    .await;
    check(
        Connect::new(Version::V5, "new").username("bob 'the' \"builder\"").persistent().keep_alive(0),
        r#"{"proto_ver":5,"keepalive":0,"conn_ack":"success","username":"bob 'the' \"builder\"","clientid":"new","action":"client_connack"}"#,
        r#"{"action":"client_connected","clientid":"new","username":"bob 'the' \"builder\"","ipaddress":"{address}","keepalive":0,"proto_ver":5,"connected_at":0}"#,
    )
    .await;
}

#[tokio::test]
async fn clients_over_tls_are_told_like_others() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder().log_topics().tls(&certificates);
    let setup = listen_at(broker, &STARTS).await;
    let client = Connect::new(Version::V311, "secure")
        .open_tls(setup.broker.tls_port(), certificates.client_config())
        .await;
    told(
        &setup,
        &client,
        r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"undefined","clientid":"secure","action":"client_connack"}"#,
        r#"{"action":"client_connected","clientid":"secure","username":null,"ipaddress":"{address}","keepalive":60,"proto_ver":4,"connected_at":0}"#,
    )
    .await;
}

/// Mosquitto 2.0 does not say who was refused.
const REFUSED: &str = r#"{"proto_ver":null,"keepalive":null,"conn_ack":"fail","username":"undefined","clientid":null,"action":"client_connack"}"#;

#[tokio::test]
async fn refused_clients_are_told_and_never_connected() {
    let broker = Mosquitto::builder()
        .log_topics()
        .password("mqhook", "secret")
        .password("alice", "right");
    let config = "broker.username = \"mqhook\"\nbroker.password = \"secret\"\n";
    let config = config.to_owned() + &super::config(&EVERY_KIND);
    let setup = Setup::start(super::MQHOOK, broker, &config).await;
    let alice = |version| Connect::new(version, "dev").username("alice");
    for version in [Version::V311, Version::V5] {
        let refused = alice(version).password("wrong");
        let refused = refused.attempt(setup.broker.port()).await;
        assert_ne!(refused.connack().map(|connack| connack.code), Some(0));
        let body = setup.receiver.next().await;
        assert_eq!(body.text(), REFUSED, "{version:?}");
    }
    let accepted = alice(Version::V311).password("right");
    let _accepted = accepted.open(setup.broker.port()).await;
    let body = setup.receiver.next().await;
    let expected = r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"dev","action":"client_connack"}"#;
    assert_eq!(body.text(), expected);
}

#[tokio::test]
async fn an_unknown_protocol_version_is_told_as_a_refusal() {
    let setup = listen(&EVERY_KIND).await;
    let odd = Connect::new(Version::V311, "odd").protocol_level(9);
    odd.attempt(setup.broker.port()).await;
    check(&setup, &[REFUSED]).await;
}

#[tokio::test]
async fn garbage_and_port_scans_are_no_events() {
    let setup = listen(&EVERY_KIND).await;
    Client::raw(setup.broker.port()).await.close().await;
    let mut garbage = Client::raw(setup.broker.port()).await;
    garbage.send(b"GET / HTTP/1.1\r\n\r\n").await;
    garbage.wait_closed().await;
    check(&setup, &[]).await;
}

#[tokio::test]
async fn mqhooks_own_connections_are_no_events() {
    let topic = "{ event = \"on_message_publish\", topic = \"a\" }, ";
    let config = super::config(&EVERY_KIND).replace("events = [", &format!("events = [{topic}"));
    let broker = Mosquitto::builder().log_topics();
    let mut setup = Setup::start(super::MQHOOK, broker, &config).await;
    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    setup.sidecar.terminate();
    setup.sidecar.wait().await;
    setup.sidecar.start_again();
    setup.wait_ready().await;
    check(&setup, &[]).await;
    let log = setup.broker.log();
    for own in ["as mqhook (", "as mqhook-lifecycle (", "as mqhook-probe-"] {
        assert!(log.contains(own), "expected {own} in the broker's log");
    }
}
