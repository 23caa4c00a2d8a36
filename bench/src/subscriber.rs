//! The least that can be done with a message: rumqttc acknowledges it on receipt. How fast a broker can feed that is the
//! measure for taking events in.

use std::time::Duration;

use anyhow::Context as _;
use rumqttc::v5::{
    AsyncClient, Event, Incoming, MqttOptions,
    mqttbytes::{QoS, v5::ConnectProperties},
};

use crate::clock::monotonic_ns;

/// As many PUBLISH packets may be unacknowledged as mqhook's default allows.
const RECEIVE_MAXIMUM: u16 = 1_024;

/// Arguments of the subscriber process.
#[derive(clap::Args)]
pub struct Args {
    /// Address of the broker.
    #[arg(long)]
    broker: String,
    /// Number of messages.
    #[arg(long)]
    messages: u64,
}

/// Subscribes and prints `ready`; prints `CLOCK_MONOTONIC` in nanoseconds when it has taken that many messages.
///
/// # Errors
/// The broker refuses or breaks the connection.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(subscribe(args))
}

async fn subscribe(args: &Args) -> anyhow::Result<()> {
    let (host, port) = args
        .broker
        .rsplit_once(':')
        .context("broker is HOST:PORT")?;
    let mut options = MqttOptions::new("mqhook-bench-subscriber", host, port.parse()?);
    options
        .set_connect_properties(ConnectProperties::new())
        .set_receive_maximum(Some(RECEIVE_MAXIMUM))
        .set_outgoing_inflight_upper_limit(1)
        .set_max_packet_size(Some(1024 * 1024))
        .set_keep_alive(Duration::from_mins(1));
    let (client, mut event_loop) = AsyncClient::new(options, 16);
    let mut taken = 0;
    while taken < args.messages {
        match event_loop.poll().await? {
            Event::Incoming(Incoming::Publish(_)) => taken += 1,
            Event::Incoming(Incoming::ConnAck(_)) => {
                client.try_subscribe("bench/#", QoS::AtLeastOnce)?;
            }
            Event::Incoming(Incoming::SubAck(_)) => println!("ready"),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
    println!("{}", monotonic_ns());
    Ok(())
}
