//! What mqhook's plugin costs Mosquitto: the broker alone, flooded, with and without it.
//!
//! Two publishers write blocks that are made beforehand, as fast as the broker reads. A PINGREQ
//! behind all messages is answered when the broker has handled them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::{mosquitto, mqtt, process::Child, report::median};

const PUBLISHERS: u64 = 2;
const TOPIC: &str = "bench/plugin/t";
const PAYLOAD: usize = 100;
const BLOCK: u64 = 200;
const PATIENCE: Duration = Duration::from_mins(1);

const PINGREQ: [u8; 2] = [0xc0, 0];
/// CONNECT of MQTT 5 as `s`, with nothing else.
const CONNECT_5: &[u8] = b"\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01s";
/// SUBSCRIBE of MQTT 5 to `bench/#` at QoS 0.
const SUBSCRIBE_5: &[u8] = b"\x82\x0d\0\x01\0\0\x07bench/#\0";

/// Arguments of the measurement.
#[derive(clap::Args)]
pub struct Args {
    /// The plugin.
    #[arg(long, env = "MQHOOK_PLUGIN")]
    plugin: PathBuf,
    /// The broker.
    #[arg(long, env = "MOSQUITTO_BIN", default_value = "mosquitto")]
    mosquitto: PathBuf,
    /// Messages per measurement.
    #[arg(long, default_value_t = 400_000)]
    messages: u64,
    /// Measurements of each case; the table has medians.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// The topics that the plugin seals; `None`: there is no plugin.
    topics: Option<&'static str>,
    has_subscriber: bool,
}

const CASES: [Case; 5] = [
    Case::new("no plugin", None, false),
    Case::new("plugin, every message", Some("#"), false),
    Case::new("plugin, other topics", Some("other/#"), false),
    Case::new("no plugin, one subscriber", None, true),
    Case::new("plugin, one subscriber", Some("#"), true),
];

impl Case {
    const fn new(name: &'static str, topics: Option<&'static str>, has_subscriber: bool) -> Self {
        Self {
            name,
            topics,
            has_subscriber,
        }
    }
}

/// One measurement.
#[derive(Clone, Copy)]
struct Sample {
    per_second: f64,
    cpu_us: f64,
}

/// Measures all cases in turn and prints the table.
///
/// # Errors
/// The broker does not start, or ends a connection.
#[tokio::main(flavor = "current_thread")]
pub async fn run(args: &Args) -> anyhow::Result<()> {
    let mut samples: [Vec<Sample>; CASES.len()] = Default::default();
    for _ in 0..args.rounds {
        for (case, samples) in CASES.iter().zip(&mut samples) {
            samples.push(measure(args, *case).await.context(case.name)?);
        }
    }
    let (messages, rounds) = (args.messages, args.rounds);
    println!("QoS 0, {PAYLOAD} B, {messages} messages, median of {rounds} round(s):\n");
    println!("| broker | messages/s | CPU us/message |\n|---|---|---|");
    for (case, samples) in CASES.iter().zip(&samples) {
        let per_second = median(samples.iter().map(|sample| sample.per_second));
        let cpu = median(samples.iter().map(|sample| sample.cpu_us));
        println!("| {} | {per_second:.0} | {cpu:.2} |", case.name);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
async fn measure(args: &Args, case: Case) -> anyhow::Result<Sample> {
    let directory = tempfile::tempdir()?;
    let key = directory.path().join("key");
    std::fs::write(&key, "a key for the benchmark only\n")?;
    let lines = case.topics.map_or_else(String::new, |topics| {
        let (plugin, key) = (args.plugin.display(), key.display());
        format!("plugin {plugin}\nplugin_opt_key_file {key}\nplugin_opt_topics {topics}\n")
    });
    let (broker, address) =
        mosquitto::start_with(&args.mosquitto, directory.path(), &lines).await?;
    if case.has_subscriber {
        let stream = subscribe(address)?;
        thread::spawn(move || drain(stream));
    }
    let sample = flood(&broker, address, args.messages)?;
    broker.stop().await;
    Ok(Sample {
        per_second: args.messages as f64 / sample.0.as_secs_f64(),
        cpu_us: sample.1 / args.messages as f64 * 1e6,
    })
}

/// Publishes everything, and returns how long it took and how much CPU it took the broker, in seconds.
fn flood(broker: &Child, address: SocketAddr, messages: u64) -> anyhow::Result<(Duration, f64)> {
    let before = broker.usage()?.cpu_seconds;
    let start = Instant::now();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|number| thread::spawn(move || publish(address, number, messages / PUBLISHERS)))
        .collect();
    for publisher in publishers {
        publisher.join().expect("a publisher does not panic")?;
    }
    Ok((start.elapsed(), broker.usage()?.cpu_seconds - before))
}

fn publish(address: SocketAddr, number: u64, messages: u64) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&mqtt::connect(&format!("p{number}")))?;
    let mut connack = [0; 4];
    stream.read_exact(&mut connack)?;
    ensure!(connack == mqtt::CONNACK_ACCEPTED, "the broker refuses");
    let mut block = Vec::new();
    for _ in 0..BLOCK {
        mqtt::append_publish_head(&mut block, TOPIC, None, PAYLOAD);
        block.resize(block.len() + PAYLOAD, b'x');
    }
    for _ in 0..messages / BLOCK {
        stream.write_all(&block)?;
    }
    stream.write_all(&PINGREQ)?;
    stream.read_exact(&mut [0; 2])?;
    Ok(())
}

fn subscribe(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(CONNECT_5)?;
    stream.write_all(SUBSCRIBE_5)?;
    // CONNACK, whatever its properties; SUBACK may come with it or behind it.
    ensure!(stream.read(&mut [0; 64])? > 0, "the broker refuses");
    Ok(stream)
}

/// Reads until the broker ends.
fn drain(mut stream: TcpStream) {
    let mut buffer = vec![0; 1 << 20];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
}
