//! The publisher: blocking sockets, hand-written packets and batched writes, so that it costs little of the machine.
//!
//! Two windows hold it back, both counted in messages:
//!
//! | window | bounds | why |
//! |---|---|---|
//! | `--inflight` | sent and not yet PUBACKed by the broker (QoS 1) | MQTT's own flow control |
//! | `--window` | sent and not yet seen by the receiver; 0 = none | without it a run measures who queues and who drops, not who delivers |
//!
//! A window that makes no progress for a second counts what is outstanding as lost, notes a stall and goes on.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    clock::monotonic_ns,
    mqtt,
    payload::{self, Stamp},
    process,
};

const IO_TIMEOUT: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(1);
/// Mosquitto writes every PUBACK singly; reading a few together halves what the publisher costs.
const GATHER: Duration = Duration::from_micros(500);
const LAST_ACKS: Duration = Duration::from_secs(30);

/// Arguments of the publisher process.
#[derive(clap::Args)]
pub struct Args {
    /// Address of the broker.
    #[arg(long)]
    broker: String,
    /// Number of messages.
    #[arg(long)]
    messages: u64,
    /// Quality of service, 0 or 1.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// Number of topics, `bench/t0` and up, that take the messages in turn.
    #[arg(long, default_value_t = 1)]
    topics: u64,
    /// Messages a second; as fast as the windows allow when absent.
    #[arg(long)]
    rate: Option<u64>,
    /// Messages per write at full speed.
    #[arg(long, default_value_t = 32)]
    batch: u64,
    /// Most messages sent and not PUBACKed.
    #[arg(long, default_value_t = 500)]
    inflight: u64,
    /// Most messages sent and not seen by the receiver; 0 for no such window.
    #[arg(long, default_value_t = 0)]
    window: u64,
    /// Address of the receiver, needed for `--window`.
    #[arg(long, default_value = "")]
    receiver: String,
}

/// What the publisher prints when it is done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// `CLOCK_MONOTONIC` of the first publish, in nanoseconds.
    pub first_ns: u64,
    /// The same of the last one.
    pub last_ns: u64,
    /// Messages that the broker acknowledged; 0 at QoS 0.
    pub acked: u64,
    /// Times a window made no progress for a second.
    pub stalls: u64,
    /// CPU time of the whole process in seconds.
    pub cpu_seconds: f64,
}

/// Publishes everything and prints a [`Report`] as one line of JSON.
///
/// # Errors
/// The broker refuses or breaks the connection, or does not acknowledge in time.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let gate = Arc::new(Gate::default());
    let mut broker = connect(&args.broker)?;
    if args.qos == 1 {
        let (stream, gate) = (broker.try_clone()?, Arc::clone(&gate));
        thread::spawn(move || count_pubacks(stream, &gate));
    }
    if args.window > 0 {
        let stream = follow_receiver(&args.receiver)?;
        let gate = Arc::clone(&gate);
        thread::spawn(move || follow_progress(stream, &gate));
    }

    let (first_ns, last_ns) = Writer::new(args, &gate).publish_all(&mut broker)?;
    if args.qos == 1 {
        gate.wait_for_acks(args.messages)?;
    }
    broker.write_all(&mqtt::DISCONNECT)?;

    let progress = gate.snapshot();
    let report = Report {
        first_ns,
        last_ns,
        acked: progress.acked,
        stalls: progress.stalls,
        cpu_seconds: process::cpu_seconds(std::process::id())?,
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("connect to the broker")?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(IO_TIMEOUT))?;
    stream.set_read_timeout(Some(IO_TIMEOUT))?;
    stream.write_all(&mqtt::connect("mqhook-bench-publisher"))?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).context("read CONNACK")?;
    ensure!(
        answer == mqtt::CONNACK_ACCEPTED,
        "broker refused: {answer:?}"
    );
    stream.set_read_timeout(None)?;
    Ok(stream)
}

struct Writer<'a> {
    args: &'a Args,
    gate: &'a Gate,
    topics: Vec<String>,
    buffer: Vec<u8>,
    first_ns: u64,
    last_ns: u64,
}

impl<'a> Writer<'a> {
    fn new(args: &'a Args, gate: &'a Gate) -> Self {
        Self {
            args,
            gate,
            topics: (0..args.topics.max(1))
                .map(|topic| format!("bench/t{topic}"))
                .collect(),
            buffer: Vec::with_capacity(64 * 1024),
            first_ns: 0,
            last_ns: 0,
        }
    }

    /// Returns the times of the first and the last publish.
    fn publish_all(mut self, broker: &mut TcpStream) -> anyhow::Result<(u64, u64)> {
        let start = monotonic_ns();
        let mut sent = 0;
        while sent < self.args.messages {
            let due = match self.args.rate {
                Some(rate) => wait_until_due(start, sent, rate),
                None => self.args.batch.max(1),
            };
            let batch = due.min(self.args.messages - sent);
            self.gate.wait_for_room(self.args, sent, batch);
            self.buffer.clear();
            (sent..sent + batch).for_each(|sequence| self.append(sequence));
            broker.write_all(&self.buffer).context("publish")?;
            sent += batch;
        }
        Ok((self.first_ns, self.last_ns))
    }

    fn append(&mut self, sequence: u64) {
        let topic = usize::try_from(sequence % self.topics.len() as u64).expect("below its length");
        let packet_id = (self.args.qos == 1)
            .then(|| u16::try_from(sequence % 0xffff + 1).expect("between 1 and 65535"));
        let topic = &self.topics[topic];
        mqtt::append_publish_head(&mut self.buffer, topic, packet_id, payload::LEN);
        let published_ns = monotonic_ns();
        Stamp {
            sequence,
            published_ns,
        }
        .append_to(&mut self.buffer);
        if sequence == 0 {
            self.first_ns = published_ns;
        }
        self.last_ns = published_ns;
    }
}

/// Sleeps until message number `sent` is due and returns how many are due by then.
fn wait_until_due(start_ns: u64, sent: u64, rate: u64) -> u64 {
    let due_ns = start_ns + sent * 1_000_000_000 / rate.max(1);
    let now = monotonic_ns();
    if due_ns > now {
        thread::sleep(Duration::from_nanos(due_ns - now));
    }
    let elapsed = monotonic_ns().saturating_sub(start_ns);
    (elapsed * rate / 1_000_000_000 + 1)
        .saturating_sub(sent)
        .max(1)
}

/// What the broker and the receiver have told so far.
#[derive(Clone, Copy, Default)]
struct Progress {
    acked: u64,
    received: u64,
    /// Given up by a stall; counts as received for the window.
    written_off: u64,
    stalls: u64,
    broken: bool,
}

/// Where the writer waits for the two reading threads.
#[derive(Default)]
struct Gate {
    progress: Mutex<Progress>,
    moved: Condvar,
}

impl Gate {
    fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().expect("no thread panics with it"));
        self.moved.notify_all();
    }

    fn snapshot(&self) -> Progress {
        *self.progress.lock().expect("no thread panics with it")
    }

    /// Waits until both windows have room for `batch` messages after the `sent` first.
    fn wait_for_room(&self, args: &Args, sent: u64, batch: u64) {
        let end = sent + batch;
        let full = |progress: &mut Progress| {
            let seen = progress.received + progress.written_off;
            !progress.broken
                && (args.qos == 1 && end > progress.acked + args.inflight.max(batch)
                    || args.window > 0 && end > seen + args.window.max(batch))
        };
        let mut progress = self.progress.lock().expect("no thread panics with it");
        while full(&mut progress) {
            let before = (progress.acked, progress.received);
            let (next, wait) = self
                .moved
                .wait_timeout(progress, STALL)
                .expect("no thread panics with it");
            progress = next;
            if wait.timed_out() && before == (progress.acked, progress.received) {
                progress.stalls += 1;
                progress.written_off = sent.saturating_sub(progress.received);
                if args.qos == 1 && end > progress.acked + args.inflight.max(batch) {
                    // The broker owes PUBACKs; the write below fails or the final wait does.
                    return;
                }
            }
        }
    }

    fn wait_for_acks(&self, messages: u64) -> anyhow::Result<()> {
        let progress = self.progress.lock().expect("no thread panics with it");
        let (progress, _) = self
            .moved
            .wait_timeout_while(progress, LAST_ACKS, |progress| {
                progress.acked < messages && !progress.broken
            })
            .expect("no thread panics with it");
        if progress.acked < messages {
            bail!("broker acknowledged {} of {messages}", progress.acked);
        }
        Ok(())
    }
}

/// Counts PUBACKs. The broker sends nothing else to a publisher without keep-alive, and each has four bytes.
fn count_pubacks(mut stream: TcpStream, gate: &Gate) {
    let mut buffer = [0; 16 * 1024];
    let mut held = 0;
    while let Ok(read @ 1..) = stream.read(&mut buffer[held..]) {
        let len = held + read;
        let whole = len / 4 * 4;
        if !buffer[..whole]
            .chunks_exact(4)
            .all(|packet| packet.starts_with(&mqtt::PUBACK_HEAD))
        {
            break;
        }
        buffer.copy_within(whole..len, 0);
        held = len - whole;
        gate.update(|progress| progress.acked += whole as u64 / 4);
        thread::sleep(GATHER);
    }
    gate.update(|progress| progress.broken = true);
}

/// Opens the receiver's progress stream and skips the head of the answer.
fn follow_receiver(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("connect to the receiver")?;
    stream.write_all(b"GET /progress HTTP/1.1\r\n\r\n")?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).context("read progress")?;
        head.push(byte[0]);
    }
    Ok(stream)
}

fn follow_progress(mut stream: TcpStream, gate: &Gate) {
    let mut count = [0; 8];
    while stream.read_exact(&mut count).is_ok() {
        gate.update(|progress| progress.received = u64::from_le_bytes(count));
    }
    gate.update(|progress| progress.broken = true);
}
