//! rumqttd, inside the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use support::broker::{Broker, locked};
use support::client::Version;
use support::{port, wait};

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
    wait::until(Duration::from_secs(10), "rumqttd to listen", async || {
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
