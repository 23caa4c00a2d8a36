//! What batches and order cost, each beside what it is to be compared with, in alternating rounds.
//!
//! ```text
//! count      publisher -> Mosquitto -> subscriber                      counts the messages and acknowledges them
//! batches    publisher -> Mosquitto -> mqhook -> receiver              `batch = { max_events = 100 }`
//! unordered  publisher, 1,000 topics -> Mosquitto -> mqhook -> receiver
//! ordered    the same                                                  `order_by = "topic"`
//! ```

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    chain::{Chain, Setup},
    feed::feed,
    harness::{run_until_stopped, write},
    report::median,
    round::{self, Load, Sample},
};

const BATCHES: &str = "batch = { max_events = 100 }\n";
const ORDERED: &str = "order_by = \"topic\"\n";
const TOPICS: u64 = 1_000;

/// Arguments of the comparison.
#[derive(clap::Args)]
pub struct Args {
    /// Rounds; each measures all four.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Messages per run.
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
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
#[derive(Serialize)]
struct Round {
    /// Messages a second that a subscriber counts.
    counted_per_second: f64,
    batches: Sample,
    unordered: Sample,
    ordered: Sample,
}

/// Runs all rounds and prints a table.
///
/// # Errors
/// A process does not start, ends early or says nothing in time. Loss is a result, not an error.
pub fn run(args: &Args) -> anyhow::Result<()> {
    run_until_stopped(all(args))
}

async fn all(args: &Args) -> anyhow::Result<()> {
    let mut rounds = Vec::new();
    for number in 0..args.rounds.max(1) {
        let round = measure(args, number).await;
        rounds.push(round.with_context(|| format!("round {number}"))?);
    }
    println!("{}", table(args, &rounds));
    write(args.output.as_deref(), &rounds)
}

async fn measure(args: &Args, number: u32) -> anyhow::Result<Round> {
    let directory = tempfile::tempdir()?;
    let with = |keys: &str| with_keys(&args.setup, directory.path(), keys);
    // No window: the subscriber has no receiver that could tell how far it is.
    let one_topic = load(args, 1, 0);
    let topics = load(args, TOPICS, 1_000);
    let mqhook = async |setup: Setup, load: &Load| {
        round::measure(&setup, &args.mosquitto, (Chain::Mqhook, number), load).await
    };
    let counted = feed(&args.mosquitto, &one_topic).await.context("count")?;
    let batches = mqhook(with(BATCHES)?, &one_topic).await;
    let unordered = mqhook(with("")?, &topics).await;
    let ordered = mqhook(with(ORDERED)?, &topics).await;
    let round = Round {
        counted_per_second: counted,
        batches: batches.context("batches")?,
        unordered: unordered.context("unordered")?,
        ordered: ordered.context("ordered")?,
    };
    eprintln!(
        "round {number}: counted {counted:.0}/s, in batches {:.0}/s; unordered {:.0}/s, ordered {:.0}/s",
        round.batches.events_per_second,
        round.unordered.events_per_second,
        round.ordered.events_per_second
    );
    Ok(round)
}

fn load(args: &Args, topics: u64, window: u64) -> Load {
    Load {
        messages: args.messages,
        topics,
        qos: 1,
        rate: None,
        window,
        inflight: 500,
    }
}

/// Returns the setup with further keys of the webhook, which are in a file of this directory.
fn with_keys(setup: &Setup, directory: &Path, keys: &str) -> anyhow::Result<Setup> {
    let path = directory.join(format!("{}.toml", keys.len()));
    let mut text = keys.to_owned();
    if let Some(more) = &setup.mqhook_config {
        text +=
            &std::fs::read_to_string(more).with_context(|| format!("read {}", more.display()))?;
    }
    std::fs::write(&path, text)?;
    Ok(Setup {
        mqhook_config: Some(path),
        ..setup.clone()
    })
}

const HEADER: &str = "\
| chain | events/s | beside | of it | lost | dup | out of order | CPU s/100k | disk B/event | peak RSS MB |
|---|---|---|---|---|---|---|---|---|---|
";

fn table(args: &Args, rounds: &[Round]) -> String {
    let head = format!(
        "\nQoS 1, 256 B, {} messages, median of {} round(s):\n{HEADER}",
        args.messages,
        rounds.len()
    );
    head + &row(args, rounds, "batches of 100", "count", |round| {
        (&round.batches, round.counted_per_second)
    }) + &row(args, rounds, "ordered by topic", "unordered", |round| {
        (&round.ordered, round.unordered.events_per_second)
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes of one run are far below 2^52"
)]
fn row(
    args: &Args,
    rounds: &[Round],
    name: &str,
    beside: &str,
    of: impl Fn(&Round) -> (&Sample, f64),
) -> String {
    let middle = |value: &dyn Fn(&Sample, f64) -> f64| {
        median(rounds.iter().map(|round| {
            let (sample, other) = of(round);
            value(sample, other)
        }))
    };
    let sum = |value: &dyn Fn(&Sample) -> u64| -> u64 {
        rounds.iter().map(|round| value(of(round).0)).sum()
    };
    let events = args.messages as f64;
    format!(
        "| {name} | {:.0} | {beside}: {:.0} | {:.3} | {} | {} | {} | {:.2} | {:.1} | {:.1} |\n",
        middle(&|sample, _| sample.events_per_second),
        middle(&|_, other| other),
        middle(&|sample, other| sample.events_per_second / other),
        sum(&|sample| sample.lost),
        sum(&|sample| sample.receiver.duplicates),
        sum(&|sample| sample.receiver.inversions),
        middle(&|sample, _| sample.chain_cpu_seconds * 1e5 / events),
        middle(&|sample, _| sample.chain_written_bytes as f64 / events),
        middle(&|sample, _| sample.chain_peak_rss_bytes as f64 / 1e6),
    )
}
