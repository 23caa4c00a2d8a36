//! An outage, measured: how fast events are taken in while the receiver is down, what they take meanwhile, and how
//! fast they are delivered after a crash.
//!
//! ```text
//! feed      publisher -> Mosquitto -> subscriber                     how fast the broker can feed anyone
//! healthy   publisher -> Mosquitto -> mqhook -> receiver             as the harness measures it
//! intake    publisher -> Mosquitto -> mqhook -> nothing listens
//! recovery  kill -9; the receiver listens; mqhook starts again
//! ```

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{
    chain::{Chain, Ends, Mqhook, Setup},
    clock::monotonic_ns,
    control,
    feed::feed,
    harness::{run_until_stopped, write},
    mosquitto::{self, free_address},
    process::Child,
    publisher,
    report::{median, megabytes},
    round::{self, Load, rate},
    tally,
};

const START: Duration = Duration::from_secs(10);
const PUBLISH: Duration = Duration::from_mins(10);
/// Longest time without any progress.
const STALL: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What fails is due again soon, so that the end of a recovery is not the end of a delay.
const SOON: &str = "[webhooks.bench.retry.exponential]
initial = \"100ms\"
factor = 2
max = \"1s\"
for = \"30d\"
[webhooks.bench.breaker]
max = \"1s\"
";

/// Arguments of the outage.
#[derive(clap::Args)]
pub struct Args {
    /// Events that wait.
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// How often all is measured.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Most QoS 1 messages that the broker has not acknowledged.
    #[arg(long, default_value_t = 500)]
    inflight: u64,
    /// The Mosquitto binary.
    #[arg(long, env = "MOSQUITTO_BIN", default_value = "mosquitto")]
    mosquitto: PathBuf,
    /// Where to write all samples as JSON.
    #[arg(long, overrides_with = "output")]
    output: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

/// What one round measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sample {
    /// Messages a second that the broker feeds to a bare subscriber.
    feed_per_second: f64,
    /// Events a second through mqhook with a healthy receiver.
    healthy_per_second: f64,
    intake: Intake,
    recovery: Recovery,
}

/// Taking events in while the receiver is down.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Intake {
    per_second: f64,
    cpu_seconds: f64,
    rss_bytes: u64,
    peak_rss_bytes: u64,
    /// Bytes written to the disk.
    written_bytes: u64,
    /// Size of the spool's directory.
    spool_bytes: u64,
}

/// From the start after a crash until all are delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Recovery {
    /// From the start of the process to the first request.
    first_attempt_seconds: f64,
    /// From the first request to the last.
    per_second: f64,
    lost: u64,
    duplicates: u64,
    inversions: u64,
    peak_rss_bytes: u64,
}

/// Runs all rounds and prints a table.
///
/// # Errors
/// A process does not start, ends early or says nothing in time. Loss is a result, not an error.
pub fn run(args: &Args) -> anyhow::Result<()> {
    run_until_stopped(all(args))
}

async fn all(args: &Args) -> anyhow::Result<()> {
    let mut samples = Vec::new();
    for number in 0..args.rounds.max(1) {
        let sample = measure(args)
            .await
            .with_context(|| format!("round {number}"))?;
        eprintln!("round {number}: {sample:?}");
        samples.push(sample);
    }
    println!("{}", table(args, &samples));
    write(args.output.as_deref(), &samples)
}

async fn measure(args: &Args) -> anyhow::Result<Sample> {
    let load = Load {
        messages: args.messages,
        topics: 1,
        qos: 1,
        rate: None,
        window: 0,
        inflight: args.inflight,
    };
    let feed_per_second = feed(&args.mosquitto, &load).await.context("feed")?;
    let healthy = Load {
        messages: args.messages.min(100_000),
        window: 1_000,
        ..load.clone()
    };
    let healthy = round::measure(&args.setup, &args.mosquitto, (Chain::Mqhook, 0), &healthy);
    let healthy_per_second = healthy.await.context("healthy")?.events_per_second;
    let directory = tempfile::tempdir()?;
    let stage = Stage::build(args, directory.path()).await?;
    let (intake, mqhook) = stage.fill(args, &load).await.context("intake")?;
    mqhook.child.kill().await;
    let recovery = stage.recover(args, &load).await.context("recovery")?;
    stage.stop().await;
    Ok(Sample {
        feed_per_second,
        healthy_per_second,
        intake,
        recovery,
    })
}

/// The broker and the receiver of an outage.
struct Stage {
    broker: Child,
    receiver: Child,
    control: SocketAddr,
    ends: Ends,
    directory: PathBuf,
}

impl Stage {
    async fn build(args: &Args, directory: &Path) -> anyhow::Result<Self> {
        let (broker, broker_address) = mosquitto::start(&args.mosquitto, directory).await?;
        let hooks = free_address().await?;
        let (receiver, control) = start_receiver(hooks).await?;
        let ends = Ends {
            broker: broker_address,
            receiver: hooks,
            qos: 1,
        };
        Ok(Self {
            broker,
            receiver,
            control,
            ends,
            directory: directory.to_owned(),
        })
    }

    /// Returns when all messages wait.
    async fn fill(&self, args: &Args, load: &Load) -> anyhow::Result<(Intake, Mqhook)> {
        let mut mqhook = self.start_mqhook(args).await?;
        let before = mqhook.child.usage()?;
        let mut publisher = load.start_publisher(self.ends.broker, self.control)?;
        let mut progress = Progress::new(load.messages);
        while !progress.is_done(mqhook.waiting().await?)? {
            mqhook.child.check_alive()?;
            sleep(LOOK_AGAIN).await;
        }
        let last_ns = monotonic_ns();
        let after = mqhook.child.usage()?;
        let sent: publisher::Report = serde_json::from_str(&publisher.line(PUBLISH).await?)?;
        let intake = Intake {
            per_second: rate(load.messages, sent.first_ns, last_ns),
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
            rss_bytes: after.rss_bytes,
            peak_rss_bytes: after.peak_rss_bytes,
            written_bytes: after.written_bytes - before.written_bytes,
            spool_bytes: size_of(&self.directory.join("mqhook-spool")),
        };
        Ok((intake, mqhook))
    }

    /// Returns when all have arrived.
    async fn recover(&self, args: &Args, load: &Load) -> anyhow::Result<Recovery> {
        let reset = format!("/reset?messages={}&topics=1", load.messages);
        control::ask("POST", self.control, &reset).await?;
        control::ask("POST", self.control, "/hooks?open=true").await?;
        let start_ns = monotonic_ns();
        let mut mqhook = self.start_mqhook(args).await?;
        let mut progress = Progress::new(load.messages);
        let report = loop {
            mqhook.child.check_alive()?;
            let report = report_of(self.control).await?;
            if progress.is_done(report.distinct)? {
                break report;
            }
            sleep(LOOK_AGAIN).await;
        };
        let usage = mqhook.child.usage()?;
        mqhook.child.stop().await;
        Ok(Recovery {
            first_attempt_seconds: seconds(start_ns, report.first_ns),
            per_second: rate(report.distinct, report.first_ns, report.last_ns),
            lost: load.messages - report.distinct,
            duplicates: report.duplicates,
            inversions: report.inversions,
            peak_rss_bytes: usage.peak_rss_bytes,
        })
    }

    async fn start_mqhook(&self, args: &Args) -> anyhow::Result<Mqhook> {
        args.setup
            .start_mqhook(self.ends, &self.directory, SOON)
            .await
    }

    async fn stop(self) {
        self.receiver.stop().await;
        self.broker.stop().await;
    }
}

/// Starts a receiver whose hooks are closed; returns the address of its control, too.
///
/// # Errors
/// It does not start.
pub async fn start_receiver(hooks: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    let mut receiver = Child::start_own("receiver", &[format!("--hooks={hooks}")])?;
    let line = receiver.line(START).await?;
    let control = line
        .strip_prefix("ready ")
        .with_context(|| format!("receiver said {line:?}"))?
        .parse()?;
    Ok((receiver, control))
}

/// Asks a receiver for its report.
///
/// # Errors
/// It does not answer.
pub async fn report_of(control: SocketAddr) -> anyhow::Result<tally::Report> {
    let answer = control::ask("GET", control, "/report").await?;
    serde_json::from_str(&answer.body).context("read the receiver's report")
}

/// Returns the bytes of all files of a directory; 0 when there is none.
pub fn size_of(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).into_iter().flatten();
    files
        .filter_map(|file| Some(file.ok()?.metadata().ok()?.len()))
        .sum()
}

/// A count that is to reach its goal.
struct Progress {
    goal: u64,
    most: u64,
    since: Instant,
}

impl Progress {
    fn new(goal: u64) -> Self {
        Self {
            goal,
            most: 0,
            since: Instant::now(),
        }
    }

    /// Returns whether the goal is reached.
    ///
    /// # Errors
    /// The count has not grown for [`STALL`].
    fn is_done(&mut self, count: u64) -> anyhow::Result<bool> {
        if count > self.most {
            (self.most, self.since) = (count, Instant::now());
        }
        let stalled = self.since.elapsed() > STALL;
        ensure!(
            count >= self.goal || !stalled,
            "{count} of {}, and none more for {STALL:?}",
            self.goal
        );
        Ok(count >= self.goal)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds of one run are far below 2^52"
)]
fn seconds(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e9
}

const HEADER: &str = "\
| waiting | fed/s | taken in/s | of fed | CPU s/100k | disk B/event | spool MB | RSS MB | peak | first attempt ms | delivered/s | healthy/s | of healthy | peak RSS MB | lost | dup | out of order |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes of one run are far below 2^52"
)]
fn table(args: &Args, samples: &[Sample]) -> String {
    let middle = |of: &dyn Fn(&Sample) -> f64| median(samples.iter().map(of));
    let most =
        |of: &dyn Fn(&Sample) -> u64| megabytes(samples.iter().map(of).max().unwrap_or_default());
    let sum = |of: &dyn Fn(&Sample) -> u64| samples.iter().map(of).sum::<u64>();
    let events = args.messages as f64;
    format!(
        "\nQoS 1, 256 B, median of {} round(s):\n{HEADER}\
        | {} | {:.0} | {:.0} | {:.3} | {:.2} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} | {:.0} | {:.0} | {:.3} | {:.1} | {} | {} | {} |\n",
        samples.len(),
        args.messages,
        middle(&|sample| sample.feed_per_second),
        middle(&|sample| sample.intake.per_second),
        middle(&|sample| sample.intake.per_second / sample.feed_per_second),
        middle(&|sample| sample.intake.cpu_seconds * 1e5 / events),
        middle(&|sample| sample.intake.written_bytes as f64 / events),
        most(&|sample| sample.intake.spool_bytes),
        most(&|sample| sample.intake.rss_bytes),
        most(&|sample| sample.intake.peak_rss_bytes),
        middle(&|sample| sample.recovery.first_attempt_seconds * 1e3),
        middle(&|sample| sample.recovery.per_second),
        middle(&|sample| sample.healthy_per_second),
        middle(&|sample| sample.recovery.per_second / sample.healthy_per_second),
        most(&|sample| sample.recovery.peak_rss_bytes),
        sum(&|sample| sample.recovery.lost),
        sum(&|sample| sample.recovery.duplicates),
        sum(&|sample| sample.recovery.inversions),
    )
}
