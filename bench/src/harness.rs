//! The harness: which runs there are, in which order, and where their results go.
//!
//! Rounds alternate between the chains (bare, mqhook, bare, mqhook, ...), so that what the machine does meanwhile hits both alike.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    chain::{Chain, Setup},
    report,
    round::{self, Idle, Load, Sample},
};

/// Arguments of the harness.
#[derive(clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct Args {
    /// Rounds; each runs every chain once.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Messages per run at full speed.
    #[arg(long, default_value_t = 100_000)]
    messages: u64,
    /// Qualities of service, comma separated.
    #[arg(long, value_delimiter = ',', default_value = "0,1", value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: Vec<u8>,
    /// Loads, comma separated: `max`, or messages a second such as `2000/s`.
    #[arg(long, value_delimiter = ',', default_value = "max,2000/s", value_parser = parse_rate)]
    rate: Vec<Rate>,
    /// Length of a run at a fixed rate, in seconds (`--messages` bounds it, too).
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Topics that take the messages in turn.
    #[arg(long, default_value_t = 1)]
    topics: u64,
    /// Most messages between publisher and receiver; 0 leaves it to the broker's queue.
    #[arg(long, default_value_t = 1_000)]
    window: u64,
    /// Most QoS 1 messages that the broker has not acknowledged.
    #[arg(long, default_value_t = 500)]
    inflight: u64,
    /// Runs this chain alone.
    #[arg(long)]
    only: Option<Chain>,
    /// Runs mqhook with its spool in memory, too.
    #[arg(long)]
    memory: bool,
    /// Runs mqhook beside itself with its admin page open and its API polled, instead of beside the bare chain.
    #[arg(long)]
    visited: bool,
    /// Measures the chains at rest instead.
    #[arg(long)]
    idle: bool,
    /// One short round: does everything work?
    #[arg(long)]
    quick: bool,
    /// The Mosquitto binary.
    #[arg(long, env = "MOSQUITTO_BIN", default_value = "mosquitto")]
    mosquitto: PathBuf,
    /// Where to write all samples as JSON.
    #[arg(long, overrides_with = "output")]
    output: Option<PathBuf>,
    #[command(flatten)]
    setup: Setup,
}

#[derive(Clone, Copy)]
struct Rate(Option<u64>);

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate(None));
    }
    match text.strip_suffix("/s").unwrap_or(text).parse() {
        Ok(rate @ 1..) => Ok(Rate(Some(rate))),
        _ => Err("neither `max` nor like `2000/s`".to_owned()),
    }
}

/// All that is written to the output file.
#[derive(Default, Serialize)]
struct Results {
    connections: usize,
    rules: usize,
    groups: Vec<Group>,
    idle: Vec<Idle>,
}

/// All runs of one load.
#[derive(Serialize)]
pub struct Group {
    /// The load.
    pub load: Load,
    /// The runs, in the order they were made.
    pub samples: Vec<Sample>,
}

/// Runs everything, prints the tables and writes the samples.
///
/// # Errors
/// A run fails, or ctrl-C or SIGTERM comes; all processes have been killed then.
pub fn run(mut args: Args) -> anyhow::Result<()> {
    if args.quick {
        args.rounds = args.rounds.min(1);
        args.messages = args.messages.min(5_000);
        args.seconds = args.seconds.min(2);
    }
    run_until_stopped(all(&args))
}

/// Runs on one thread to the end, or until ctrl-C or SIGTERM; dropping `work` kills its processes.
///
/// # Errors
/// There is no runtime to be had, or the work failed or was stopped.
pub fn run_until_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(until_stopped(work))
}

async fn until_stopped(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn all(args: &Args) -> anyhow::Result<()> {
    let chains = match args.only {
        Some(chain) => vec![chain],
        None if args.visited => vec![Chain::Mqhook, Chain::Visited],
        None if args.memory => vec![Chain::Bare, Chain::Mqhook, Chain::Memory],
        None => vec![Chain::Bare, Chain::Mqhook],
    };
    let mut results = Results {
        connections: args.setup.connections,
        rules: args.setup.rules,
        ..Results::default()
    };
    if args.idle {
        for chain in chains {
            let length = Duration::from_secs(if args.quick { 2 } else { 30 });
            let idle = round::rest(&args.setup, &args.mosquitto, chain, length).await?;
            println!("{}", report::idle_line(&idle));
            results.idle.push(idle);
        }
    } else {
        for load in loads(args) {
            let group = group(args, &chains, load).await?;
            println!("{}", report::table(&group));
            results.groups.push(group);
        }
    }
    write(args.output.as_deref(), &results)
}

fn loads(args: &Args) -> Vec<Load> {
    let load = |qos: u8, Rate(rate): Rate| Load {
        messages: rate.map_or(args.messages, |rate| args.messages.min(rate * args.seconds)),
        topics: args.topics.max(1),
        qos,
        rate,
        window: args.window,
        inflight: args.inflight,
    };
    let per_qos = |&qos| args.rate.iter().map(move |&rate| load(qos, rate));
    args.qos.iter().flat_map(per_qos).collect()
}

async fn group(args: &Args, chains: &[Chain], load: Load) -> anyhow::Result<Group> {
    let mut samples = Vec::new();
    for round in 0..args.rounds.max(1) {
        for &chain in chains {
            let sample = round::measure(&args.setup, &args.mosquitto, (chain, round), &load)
                .await
                .with_context(|| format!("round {round} of {}", chain.name()))?;
            eprintln!("{}", report::progress_line(&sample, &load));
            samples.push(sample);
        }
    }
    Ok(Group { load, samples })
}

/// Writes results as JSON, if there is a path to write them to.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: Option<&Path>, results: &impl Serialize) -> anyhow::Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(path, serde_json::to_vec_pretty(results)?)
        .with_context(|| format!("write {}", path.display()))?;
    println!("all samples: {}", path.display());
    Ok(())
}
