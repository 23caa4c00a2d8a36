//! How fast the broker can feed anyone: the measure for whoever takes messages.

use std::{path::Path, time::Duration};

use anyhow::ensure;

use crate::{
    mosquitto,
    process::Child,
    publisher,
    round::{Load, rate},
};

const START: Duration = Duration::from_secs(10);
const PUBLISH: Duration = Duration::from_mins(10);

/// Returns how many messages a second the broker feeds to a subscriber that only acknowledges.
///
/// # Errors
/// A process does not start, ends early or says nothing in time.
pub async fn feed(broker: &Path, load: &Load) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let (broker, address) = mosquitto::start(broker, directory.path()).await?;
    let arguments = [
        format!("--broker={address}"),
        format!("--messages={}", load.messages),
    ];
    let mut subscriber = Child::start_own("subscriber", &arguments)?;
    let line = subscriber.line(START).await?;
    ensure!(line == "ready", "the subscriber said {line:?}");
    let mut publisher = load.start_publisher(address, address)?;
    let last_ns = subscriber.line(PUBLISH).await?.parse()?;
    let sent: publisher::Report = serde_json::from_str(&publisher.line(PUBLISH).await?)?;
    broker.stop().await;
    Ok(rate(load.messages, sent.first_ns, last_ns))
}
