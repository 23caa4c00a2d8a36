//! One run: fresh processes, a warm-up, N messages, and what each process spent on them.

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    chain::{Chain, Ends, Setup},
    control, mosquitto,
    process::{Child, Usage},
    publisher, tally,
};

const START: Duration = Duration::from_secs(10);
const WARM_UP_MESSAGES: u64 = 2_000;
/// A run ends when nothing new has arrived for this long.
const SETTLE: Duration = Duration::from_secs(3);
/// A second delivery of what has arrived is waited for this long.
const LINGER: Duration = Duration::from_millis(300);
const PUBLISH: Duration = Duration::from_mins(10);

/// The load of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Number of messages.
    pub messages: u64,
    /// Topics that take them in turn.
    pub topics: u64,
    /// Quality of service.
    pub qos: u8,
    /// Messages a second; `None` is as fast as the windows allow.
    pub rate: Option<u64>,
    /// Most messages between publisher and receiver; 0 is no such window.
    pub window: u64,
    /// Most messages that the broker has not acknowledged.
    pub inflight: u64,
}

/// What one run measured. CPU is in seconds over the measured messages alone, without start and warm-up.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Who was measured.
    pub chain: Chain,
    /// Position among the rounds, from 0.
    pub round: u32,
    /// Different messages received, per second between the first publish and the last new arrival.
    pub events_per_second: f64,
    /// Messages that never arrived.
    pub lost: u64,
    /// The receiver's counts and latencies.
    pub receiver: tally::Report,
    /// The publisher's counts.
    pub publisher: publisher::Report,
    /// CPU of the chain itself.
    pub chain_cpu_seconds: f64,
    /// CPU of the broker.
    pub broker_cpu_seconds: f64,
    /// CPU of the receiver.
    pub receiver_cpu_seconds: f64,
    /// Peak resident set of the chain since its start.
    pub chain_peak_rss_bytes: u64,
    /// The same of the broker.
    pub broker_peak_rss_bytes: u64,
    /// Bytes that the chain had written to disk, over the measured messages alone.
    pub chain_written_bytes: u64,
}

/// A chain at rest.
#[derive(Clone, Debug, Serialize)]
pub struct Idle {
    /// Who was measured.
    pub chain: Chain,
    /// Resident set at the end of the rest.
    pub rss_bytes: u64,
    /// Peak since the start.
    pub peak_rss_bytes: u64,
    /// CPU from start until ready, in seconds.
    pub start_cpu_seconds: f64,
    /// CPU per minute of rest, in seconds.
    pub cpu_seconds_per_minute: f64,
}

/// All processes of a run but the publisher; dropping it kills them.
struct Stage {
    broker: Child,
    receiver: Child,
    chain: Child,
    visitor: Option<Child>,
    broker_address: SocketAddr,
    receiver_address: SocketAddr,
}

/// Runs the load once through a chain.
///
/// # Errors
/// A process does not start, ends early or says nothing in time. Loss is a result, not an error.
pub async fn measure(
    setup: &Setup,
    broker: &Path,
    (chain, round): (Chain, u32),
    load: &Load,
) -> anyhow::Result<Sample> {
    let directory = tempfile::tempdir()?;
    let mut stage = Stage::build(setup, broker, chain, load.qos, directory.path()).await?;
    stage.warm_up(load).await?;
    stage.reset(load).await?;
    let before = stage.usages()?;
    let publisher = stage.publish(load).await?;
    stage.settle(load.messages).await?;
    let after = stage.usages()?;
    let receiver = stage.report().await?;
    stage.stop().await;

    let spent = |process: usize| after[process].cpu_seconds - before[process].cpu_seconds;
    Ok(Sample {
        chain,
        round,
        events_per_second: rate(receiver.distinct, publisher.first_ns, receiver.last_ns),
        lost: load.messages - receiver.distinct,
        receiver,
        publisher,
        chain_cpu_seconds: spent(0),
        broker_cpu_seconds: spent(1),
        receiver_cpu_seconds: spent(2),
        chain_peak_rss_bytes: after[0].peak_rss_bytes,
        broker_peak_rss_bytes: after[1].peak_rss_bytes,
        chain_written_bytes: after[0].written_bytes - before[0].written_bytes,
    })
}

/// Starts a chain, lets it rest and reads what that costs.
///
/// # Errors
/// As [`measure`].
pub async fn rest(
    setup: &Setup,
    broker: &Path,
    chain: Chain,
    length: Duration,
) -> anyhow::Result<Idle> {
    let directory = tempfile::tempdir()?;
    let mut stage = Stage::build(setup, broker, chain, 1, directory.path()).await?;
    let [before, ..] = stage.usages()?;
    sleep(length).await;
    stage.chain.check_alive()?;
    let [after, ..] = stage.usages()?;
    stage.stop().await;
    let spent = after.cpu_seconds - before.cpu_seconds;
    Ok(Idle {
        chain,
        rss_bytes: after.rss_bytes,
        peak_rss_bytes: after.peak_rss_bytes,
        start_cpu_seconds: before.cpu_seconds,
        cpu_seconds_per_minute: spent * 60.0 / length.as_secs_f64(),
    })
}

impl Load {
    /// Starts a publisher of this load; it prints its report as a line when it is done.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_publisher(
        &self,
        broker: SocketAddr,
        receiver: SocketAddr,
    ) -> anyhow::Result<Child> {
        let mut arguments = vec![
            format!("--broker={broker}"),
            format!("--receiver={receiver}"),
            format!("--messages={}", self.messages),
            format!("--topics={}", self.topics),
            format!("--qos={}", self.qos),
            format!("--window={}", self.window),
            format!("--inflight={}", self.inflight),
        ];
        arguments.extend(self.rate.map(|rate| format!("--rate={rate}")));
        Child::start_own("publisher", &arguments)
    }
}

impl Stage {
    async fn build(
        setup: &Setup,
        broker: &Path,
        chain: Chain,
        qos: u8,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let (broker, broker_address) = mosquitto::start(broker, directory).await?;
        let mut receiver = Child::start_own("receiver", &[])?;
        let line = receiver.line(START).await?;
        let receiver_address = line
            .strip_prefix("ready ")
            .with_context(|| format!("receiver said {line:?}"))?
            .parse()?;
        let ends = Ends {
            broker: broker_address,
            receiver: receiver_address,
            qos,
        };
        let running = setup.start(chain, ends, directory).await?;
        Ok(Self {
            chain: running.chain,
            visitor: running.visitor,
            broker,
            receiver,
            broker_address,
            receiver_address,
        })
    }

    /// Opens the connections and touches the memory; proves that the chain delivers at all.
    async fn warm_up(&mut self, load: &Load) -> anyhow::Result<()> {
        let load = Load {
            messages: WARM_UP_MESSAGES,
            rate: None,
            window: 256,
            ..load.clone()
        };
        self.reset(&load).await?;
        self.publish(&load).await?;
        self.settle(load.messages).await?;
        let arrived = self.report().await?.distinct;
        ensure!(
            arrived > 0,
            "nothing arrived in the warm-up\n{}",
            self.chain.last_words()
        );
        Ok(())
    }

    async fn reset(&self, load: &Load) -> anyhow::Result<()> {
        let target = format!("/reset?messages={}&topics={}", load.messages, load.topics);
        control::ask("POST", self.receiver_address, &target).await?;
        Ok(())
    }

    async fn report(&self) -> anyhow::Result<tally::Report> {
        let answer = control::ask("GET", self.receiver_address, "/report").await?;
        serde_json::from_str(&answer.body).context("read the receiver's report")
    }

    async fn publish(&self, load: &Load) -> anyhow::Result<publisher::Report> {
        let mut publisher = load.start_publisher(self.broker_address, self.receiver_address)?;
        let line = publisher.line(PUBLISH).await?;
        serde_json::from_str(&line).context("read the publisher's report")
    }

    /// Waits until all messages have arrived, or nothing new has for [`SETTLE`].
    async fn settle(&mut self, messages: u64) -> anyhow::Result<()> {
        let mut seen = 0;
        let mut since = Instant::now();
        while since.elapsed() < SETTLE {
            self.chain.check_alive()?;
            self.broker.check_alive()?;
            self.receiver.check_alive()?;
            if let Some(visitor) = &mut self.visitor {
                visitor.check_alive()?;
            }
            let distinct = self.report().await?.distinct;
            if distinct >= messages {
                break;
            }
            if distinct > seen {
                seen = distinct;
                since = Instant::now();
            }
            sleep(Duration::from_millis(50)).await;
        }
        sleep(LINGER).await;
        Ok(())
    }

    /// Returns what chain, broker and receiver have used so far.
    fn usages(&self) -> anyhow::Result<[Usage; 3]> {
        Ok([
            self.chain.usage()?,
            self.broker.usage()?,
            self.receiver.usage()?,
        ])
    }

    async fn stop(self) {
        if let Some(visitor) = self.visitor {
            visitor.stop().await;
        }
        self.chain.stop().await;
        self.receiver.stop().await;
        self.broker.stop().await;
    }
}

/// Returns events per second; 0 when no time has passed.
#[expect(
    clippy::cast_precision_loss,
    reason = "events and nanoseconds of one run are far below 2^52"
)]
pub fn rate(events: u64, first_ns: u64, last_ns: u64) -> f64 {
    let seconds = last_ns.saturating_sub(first_ns) as f64 / 1e9;
    if seconds > 0.0 {
        events as f64 / seconds
    } else {
        0.0
    }
}
