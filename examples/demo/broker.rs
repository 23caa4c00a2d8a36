//! The broker of the demo.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use support::mosquitto::{self, Mosquitto};

use crate::PATIENCE;

/// Users of the broker and their passwords.
const USERS: [(&str, &str); 4] = [
    ("mqhook", "hook-secret"),
    ("alice", "alice-secret"),
    ("bob", "bob-secret"),
    ("carol", "carol-secret"),
];

/// A broker on this host, which ends with the program.
pub enum Broker {
    Mosquitto(Box<Mosquitto>),
    /// rumqttd, on threads that end with the program.
    Embedded {
        port: u16,
    },
}

impl Broker {
    /// Starts Mosquitto if it is installed, unless the embedded broker is asked for.
    pub async fn start(embedded: bool) -> Result<Self> {
        if !embedded && mosquitto::installed() {
            let mut builder = Mosquitto::builder().log_topics();
            for (user, password) in USERS {
                builder = builder.password(user, password);
            }
            let mosquitto = tokio::task::spawn_blocking(|| builder.start()).await?;
            println!("broker    Mosquitto at {}", mosquitto.url());
            return Ok(Self::Mosquitto(Box::new(mosquitto)));
        }
        let port = support::port::free_port();
        start_rumqttd(port)?;
        wait_for_listener(port).await?;
        println!("broker    rumqttd, embedded, at mqtt://127.0.0.1:{port}");
        println!(
            "          It tells nothing of its clients, so the demo shows message_publish only;"
        );
        println!("          install Mosquitto (apt install mosquitto) to see connects, refusals,");
        println!("          subscriptions and disconnects as well.");
        Ok(Self::Embedded { port })
    }

    /// Returns the port on this host.
    pub fn port(&self) -> u16 {
        match self {
            Self::Mosquitto(mosquitto) => mosquitto.port(),
            Self::Embedded { port } => *port,
        }
    }

    /// Returns whether it can be heard from it who comes, goes and subscribes.
    pub fn tells_of_clients(&self) -> bool {
        matches!(self, Self::Mosquitto(_))
    }
}

fn start_rumqttd(port: u16) -> Result<()> {
    let connections = rumqttd::ConnectionSettings {
        connection_timeout_ms: 5_000,
        max_payload_size: 1024 * 1024,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    let listener = rumqttd::ServerSettings {
        name: "demo".to_owned(),
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
        v5: Some([("demo".to_owned(), listener)].into()),
        ..rumqttd::Config::default()
    };
    let mut broker = rumqttd::Broker::new(config);
    std::thread::Builder::new()
        .name("rumqttd".to_owned())
        .spawn(move || {
            if let Err(error) = broker.start() {
                eprintln!("rumqttd ended: {error}");
            }
        })
        .context("cannot start a thread")?;
    Ok(())
}

async fn wait_for_listener(port: u16) -> Result<()> {
    let listening = async {
        while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let listening = tokio::time::timeout(PATIENCE, listening).await;
    listening.context("the embedded broker does not listen")
}
