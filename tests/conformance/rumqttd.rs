//! rumqttd, inside the test. It ends connections that subscribe to a `$` topic.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::broker::{Broker, locked};
use support::client::{Publish, Version};
use support::receiver::Receiver;
use support::setup::complete;
use support::sidecar::Sidecar;
use support::{http, port, wait};

use crate::story::config;

const PATIENCE: Duration = Duration::from_secs(10);

/// Starts it, on threads that end with the test.
pub async fn start() -> Broker {
    let port = port::free_port();
    let users = [("alice", "right"), ("mqhook", "secret")];
    let connections = rumqttd::ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 1024 * 1024,
        max_inflight_count: 100,
        auth: Some(users.map(|(name, word)| (name.into(), word.into())).into()),
        external_auth: None,
        dynamic_filters: true,
    };
    let listener = rumqttd::ServerSettings {
        name: "test".to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        tls: None,
        next_connection_delay_ms: 1,
        connections,
    };
    let config = rumqttd::Config {
        router: rumqttd::RouterConfig {
            max_connections: 100,
            max_outgoing_packet_count: 200,
            max_segment_size: 1024 * 1024,
            max_segment_count: 10,
            ..rumqttd::RouterConfig::default()
        },
        v5: Some([("test".to_owned(), listener)].into()),
        ..rumqttd::Config::default()
    };
    let mut broker = rumqttd::Broker::new(config);
    std::thread::spawn(move || {
        let ended = broker.start();
        println!("rumqttd ended: {ended:?}");
    });
    wait::until(PATIENCE, "rumqttd to listen", async || {
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .ok()
    })
    .await;
    Broker {
        name: "rumqttd",
        version: locked(include_str!("../../Cargo.lock"), "rumqttd"),
        port,
        speaks: &[Version::V5],
        max_qos: 2,
        dialect: "plain",
        is_ordered: true,
        running: None,
    }
}

/// `auto` asks for `$SYS/#`, over a connection of its own.
#[tokio::test]
async fn a_broker_that_punishes_dollar_filters_loses_no_message() {
    let broker = start().await;
    let (receiver, admin) = (Receiver::start(), port::free_port());
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let config = complete(&config("auto"), &url, &receiver.url(), admin);
    let sidecar = Sidecar::start(env!("CARGO_BIN_EXE_mqhook"), &config, "toml");
    wait::until(PATIENCE, "messages to be subscribed", async || {
        let (_, text) = http::try_request(admin, "GET", "/ready", "").await?;
        text.contains("messages: subscribed").then_some(())
    })
    .await;
    sidecar
        .wait_for_log("the connection to the broker was closed")
        .await;
    let mut client = Broker::connect(Version::V5, "dev").open(broker.port).await;
    for _ in 0..100 {
        client.publish(&Publish::new("a", "1").qos(1)).await;
    }
    assert_eq!(receiver.wait_for(100).await.len(), 100);
    let (status, text) = http::get(admin, "/ready").await;
    assert_eq!(
        status, 503,
        "expected {text} to say that clients are not heard of"
    );
}
