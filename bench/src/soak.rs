//! An hour of outages and recoveries, compressed: events come at a steady rate, while the receiver is up, slow, down and
//! up again. What mqhook takes is sampled all the time, and must not grow.
//!
//! A cycle has ten minutes, and a minute takes `60 s / --compress`:
//!
//! ```text
//! minute   1  2  3    4    5  6  7  8   9  10
//!          up         slow down         up
//! ```

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;
use serde::Serialize;
use tokio::time::sleep;

use crate::{
    chain::{Ends, Mqhook, Setup},
    control,
    harness::{run_until_stopped, write},
    mosquitto::{self, free_address},
    outage::{report_of, size_of, start_receiver},
    process::Child,
    publisher,
    report::megabytes,
    round::Load,
};

/// How long a slow receiver takes for a request.
const SLOW_MS: u64 = 100;
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
const DRAIN: Duration = Duration::from_mins(2);
const PUBLISH: Duration = Duration::from_mins(1);

/// What fails is due again soon, as an hour of waiting is not compressed.
const SOON: &str = "[webhooks.bench.retry.exponential]
initial = \"100ms\"
factor = 2
max = \"2s\"
for = \"30d\"
[webhooks.bench.breaker]
max = \"1s\"
";

/// Arguments of the soak.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes; ten are a cycle.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// How much shorter a minute is.
    #[arg(long, default_value_t = 10)]
    compress: u64,
    /// Events a second.
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// The Mosquitto binary.
    #[arg(long, env = "MOSQUITTO_BIN", default_value = "mosquitto")]
    mosquitto: PathBuf,
    /// Where to write all rows as JSON.
    #[arg(long, overrides_with = "output")]
    output: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

/// How the receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Weather {
    Up,
    Slow,
    Down,
}

/// The minutes of a cycle, in order.
const CYCLE: [(u64, Weather); 4] = [
    (3, Weather::Up),
    (1, Weather::Slow),
    (4, Weather::Down),
    (2, Weather::Up),
];

/// What was seen during one weather.
#[derive(Clone, Debug, Serialize)]
struct Row {
    /// First minute, from 0.
    minute: u64,
    weather: Weather,
    /// Events taken in until its end.
    events: u64,
    /// Different events delivered until its end.
    delivered: u64,
    /// Deliveries that wait at its end.
    waiting: u64,
    /// Resident set, the largest sample.
    rss_bytes: u64,
    /// Size of the spool's directory, the largest sample.
    spool_bytes: u64,
    /// Bytes written to the disk during it.
    written_bytes: u64,
    /// CPU during it.
    cpu_seconds: f64,
}

/// Runs the soak and prints a table.
///
/// # Errors
/// A process does not start or ends early, events are lost, or the memory grew.
pub fn run(args: &Args) -> anyhow::Result<()> {
    run_until_stopped(all(args))
}

async fn all(args: &Args) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let mut stage = Stage::build(args, directory.path()).await?;
    let minute = Duration::from_mins(1) / u32::try_from(args.compress.max(1))?;
    let load = Load {
        messages: args.rate * args.minutes * u64::try_from(minute.as_millis())? / 1_000,
        topics: 1,
        qos: 1,
        rate: Some(args.rate),
        window: 0,
        inflight: 10_000,
    };
    let reset = format!("/reset?messages={}&topics=1", load.messages);
    control::ask("POST", stage.control, &reset).await?;
    let mut publisher = load.start_publisher(stage.ends.broker, stage.control)?;
    println!("{HEADER}");
    let mut rows = Vec::new();
    for (start, length, weather) in forecast(args.minutes) {
        let length = minute * u32::try_from(length)?;
        let row = stage.watch(start, weather, length).await?;
        println!("{row}");
        rows.push(row);
    }
    let sent: publisher::Report = serde_json::from_str(&publisher.line(PUBLISH).await?)?;
    let growth = Growth::of(&rows);
    let row = stage.drain(args.minutes, load.messages).await?;
    println!("{row}");
    rows.push(row);
    let report = report_of(stage.control).await?;
    println!(
        "\n{} published, {} acknowledged by the broker, {} delivered, {} of them more than once; RSS {}",
        load.messages, sent.acked, report.distinct, report.duplicates, growth
    );
    stage.stop().await;
    write(args.output.as_deref(), &rows)?;
    ensure!(
        report.distinct == load.messages,
        "{} events were lost",
        load.messages - report.distinct
    );
    growth.check()
}

/// Returns the weather of all minutes: first minute, length in minutes, weather.
fn forecast(minutes: u64) -> Vec<(u64, u64, Weather)> {
    let mut forecast = Vec::new();
    let mut start = 0;
    for (length, weather) in CYCLE.into_iter().cycle() {
        if start >= minutes {
            break;
        }
        let length = length.min(minutes - start);
        forecast.push((start, length, weather));
        start += length;
    }
    forecast
}

/// Everything but the publisher.
struct Stage {
    broker: Child,
    receiver: Child,
    mqhook: Mqhook,
    control: SocketAddr,
    ends: Ends,
    spool: PathBuf,
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
        let mqhook = args.setup.start_mqhook(ends, directory, SOON).await?;
        Ok(Self {
            broker,
            receiver,
            mqhook,
            control,
            ends,
            spool: directory.join("mqhook-spool"),
        })
    }

    /// Makes this weather and looks on.
    async fn watch(
        &mut self,
        minute: u64,
        weather: Weather,
        length: Duration,
    ) -> anyhow::Result<Row> {
        let delay = if weather == Weather::Slow { SLOW_MS } else { 0 };
        control::ask("POST", self.control, &format!("/delay?ms={delay}")).await?;
        let open = weather != Weather::Down;
        control::ask("POST", self.control, &format!("/hooks?open={open}")).await?;
        let start = Instant::now();
        self.look_on(minute, weather, async |_| Ok(start.elapsed() >= length))
            .await
    }

    /// Waits with a healthy receiver until all is delivered or nothing happens any more.
    async fn drain(&mut self, minute: u64, messages: u64) -> anyhow::Result<Row> {
        control::ask("POST", self.control, "/delay?ms=0").await?;
        control::ask("POST", self.control, "/hooks?open=true").await?;
        let start = Instant::now();
        self.look_on(minute, Weather::Up, async |control| {
            let report = report_of(control).await?;
            Ok(report.distinct >= messages || start.elapsed() > DRAIN)
        })
        .await
    }

    async fn look_on(
        &mut self,
        minute: u64,
        weather: Weather,
        is_over: impl AsyncFn(SocketAddr) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Row> {
        let before = self.mqhook.child.usage()?;
        let (mut rss_bytes, mut spool_bytes) = (0, 0);
        let after = loop {
            sleep(SAMPLE_EVERY).await;
            self.mqhook.child.check_alive()?;
            let usage = self.mqhook.child.usage()?;
            rss_bytes = usage.rss_bytes.max(rss_bytes);
            spool_bytes = size_of(&self.spool).max(spool_bytes);
            if is_over(self.control).await? {
                break usage;
            }
        };
        Ok(Row {
            minute,
            weather,
            events: self.mqhook.events().await?,
            delivered: report_of(self.control).await?.distinct,
            waiting: self.mqhook.waiting().await?,
            rss_bytes,
            spool_bytes,
            written_bytes: after.written_bytes - before.written_bytes,
            cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        })
    }

    async fn stop(self) {
        self.mqhook.child.stop().await;
        self.receiver.stop().await;
        self.broker.stop().await;
    }
}

const HEADER: &str = "\
| minute | receiver | taken in | delivered | waiting | RSS MB | spool MB | written MB | CPU s |
|---|---|---|---|---|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weather = match self.weather {
            Weather::Up => "up",
            Weather::Slow => "slow",
            Weather::Down => "down",
        };
        write!(
            formatter,
            "| {} | {weather} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.2} |",
            self.minute,
            self.events,
            self.delivered,
            self.waiting,
            megabytes(self.rss_bytes),
            megabytes(self.spool_bytes),
            megabytes(self.written_bytes),
            self.cpu_seconds,
        )
    }
}

/// How much memory there was in the first two cycles, and in all later ones.
struct Growth {
    early_bytes: u64,
    late_bytes: u64,
}

impl Growth {
    fn of(rows: &[Row]) -> Self {
        let most = |rows: &[Row]| rows.iter().map(|row| row.rss_bytes).max().unwrap_or(0);
        let (early, late) = rows.split_at(rows.len().min(2 * CYCLE.len()));
        Self {
            early_bytes: most(early),
            late_bytes: most(late),
        }
    }

    /// # Errors
    /// It has grown by more than a fifth.
    fn check(&self) -> anyhow::Result<()> {
        let limit = self.early_bytes + self.early_bytes / 5;
        ensure!(self.late_bytes <= limit, "the memory grew: {self}");
        Ok(())
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (early, late) = (megabytes(self.early_bytes), megabytes(self.late_bytes));
        write!(
            formatter,
            "{early:.1} MB in the first two cycles, {late:.1} MB after"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weather_lasts_for_all_minutes() {
        let forecast = forecast(25);
        let minutes: u64 = forecast.iter().map(|(_, length, _)| length).sum();
        assert_eq!(minutes, 25);
        assert_eq!(forecast[2], (4, 4, Weather::Down));
        assert_eq!(forecast.last(), Some(&(24, 1, Weather::Down)));
    }
}
