//! The bare chain that mqhook is paired with: rumqttc -> bounded channel -> hyper, and nothing else.
//!
//! The channel is flume's, which rumqttc brings: all connections take from one queue, as tokio's single receiver cannot.
//!
//! No rules, no spool, no retries, no reconnects, no metrics, no signing. At QoS 1 a message is PUBACKed when its request
//! was answered 2xx (`--ack response`, the fair pair) or on receipt (`--ack receipt`). PUBACKs leave in the order of
//! the answers, not of the PUBLISH packets as MQTT-4.6.0-2 asks: the simplest chain does not sort them.
//!
//! The polling task never waits for anything but the broker, so a message that finds the channel full is dropped, and
//! the first time that is said. The harness's window keeps less than a channel's worth of messages under way. The receive
//! maximum alone would not: Mosquitto 2.0.11 exceeds it as soon as PUBACKs come (eclipse-mosquitto/mosquitto#2301).

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Uri,
    body::Body as _,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rumqttc::v5::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions,
    mqttbytes::{
        QoS,
        v5::{ConnectProperties, Publish},
    },
};
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

const CONNECT: Duration = Duration::from_secs(10);

/// Arguments of the bare chain's process.
#[derive(clap::Args)]
pub struct Args {
    /// Address of the broker.
    #[arg(long)]
    broker: String,
    /// Address of the receiver.
    #[arg(long)]
    receiver: String,
    /// Quality of service of the subscription, 0 or 1.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// HTTP connections, each with one request at a time.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// When a QoS 1 message is PUBACKed.
    #[arg(long, default_value = "response")]
    ack: Ack,
    /// The tokio runtime.
    #[arg(long, default_value = "current")]
    runtime: Runtime,
    /// Size of the bounded channel, and MQTT 5 receive maximum.
    #[arg(long, default_value_t = 4096)]
    capacity: u16,
}

/// When a QoS 1 message is PUBACKed.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ack {
    /// After the receiver answered 2xx.
    Response,
    /// By rumqttc, on receipt.
    Receipt,
}

/// Which tokio runtime the bare chain runs on.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Runtime {
    /// One thread.
    Current,
    /// One worker thread per processor.
    Multi,
}

/// Runs the chain until it is killed; prints `ready` when it is subscribed.
///
/// # Errors
/// Any failure of either side: the bare chain does not recover.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let mut builder = match args.runtime {
        Runtime::Current => tokio::runtime::Builder::new_current_thread(),
        Runtime::Multi => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()?.block_on(chain(args))
}

async fn chain(args: &Args) -> anyhow::Result<()> {
    let (client, event_loop) = subscriber(args)?;
    let (queue, work) = flume::bounded(usize::from(args.capacity));
    let acks = (args.qos == 1 && args.ack == Ack::Response).then(|| client.clone());
    let mut tasks = JoinSet::new();
    for _ in 0..args.connections.max(1) {
        let sender = timeout(CONNECT, http_connection(&args.receiver)).await??;
        let lane = Lane {
            work: work.clone(),
            acks: acks.clone(),
            sender,
            uri: Uri::from_static("/hook"),
            host: HeaderValue::from_str(&args.receiver)?,
        };
        tasks.spawn(lane.run());
    }
    tasks.spawn(poll(event_loop, client, queue, args.qos));
    tasks.join_next().await.context("tasks were spawned")??
}

fn subscriber(args: &Args) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let (host, port) = args
        .broker
        .rsplit_once(':')
        .context("broker is HOST:PORT")?;
    let mut options = MqttOptions::new("mqhook-bench-bare", host, port.parse()?);
    options
        .set_connect_properties(ConnectProperties::new())
        .set_receive_maximum(Some(args.capacity))
        // It publishes nothing; the default reserves room for 65,535 publishes, 14 MB.
        .set_outgoing_inflight_upper_limit(1)
        .set_max_packet_size(Some(1024 * 1024))
        .set_keep_alive(Duration::from_mins(1))
        .set_manual_acks(args.qos == 1 && args.ack == Ack::Response);
    // Room for every PUBACK that can be owed, so that `try_ack` never finds the channel full.
    Ok(AsyncClient::new(options, usize::from(args.capacity) + 16))
}

/// Moves messages from the broker into the queue.
async fn poll(
    mut event_loop: EventLoop,
    client: AsyncClient,
    queue: flume::Sender<Publish>,
    qos: u8,
) -> anyhow::Result<()> {
    let qos = if qos == 0 {
        QoS::AtMostOnce
    } else {
        QoS::AtLeastOnce
    };
    let mut dropped = 0_u64;
    loop {
        match event_loop.poll().await? {
            Event::Incoming(Incoming::Publish(publish)) => {
                if queue.try_send(publish).is_err() {
                    dropped += 1;
                    if dropped == 1 {
                        eprintln!("bare: the channel is full, dropping");
                    }
                }
            }
            Event::Incoming(Incoming::ConnAck(_)) => client.try_subscribe("bench/#", qos)?,
            Event::Incoming(Incoming::SubAck(_)) => println!("ready"),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}

async fn http_connection(receiver: &str) -> anyhow::Result<http1::SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(receiver).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends when the sender is dropped; an error shows at the sender, too.
    tokio::spawn(connection);
    Ok(sender)
}

/// One HTTP connection and the loop that keeps it busy.
struct Lane {
    /// Shared with all other lanes; the polling task has the other end.
    work: flume::Receiver<Publish>,
    /// `None` when rumqttc acknowledges by itself or nothing is to be acknowledged.
    acks: Option<AsyncClient>,
    sender: http1::SendRequest<Full<Bytes>>,
    uri: Uri,
    host: HeaderValue,
}

impl Lane {
    async fn run(mut self) -> anyhow::Result<()> {
        while let Ok(publish) = self.work.recv_async().await {
            self.deliver(&publish).await?;
            if let Some(acks) = &self.acks {
                acks.try_ack(&publish).context("PUBACK")?;
            }
        }
        bail!("the queue is closed")
    }

    async fn deliver(&mut self, publish: &Publish) -> anyhow::Result<()> {
        let mut request = Request::post(self.uri.clone()).body(Full::new(body_of(publish)?))?;
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        ensure!(
            response.status().is_success(),
            "answered {}",
            response.status()
        );
        let body = response.into_body();
        if !body.is_end_stream() {
            body.collect().await?;
        }
        Ok(())
    }
}

/// Returns the body as NanoMQ writes it, without escaping: the benchmark's topics and payloads need none.
fn body_of(publish: &Publish) -> anyhow::Result<Bytes> {
    let ts = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let topic = std::str::from_utf8(&publish.topic)?;
    let payload = std::str::from_utf8(&publish.payload)?;
    let (retain, qos) = (publish.retain, publish.qos as u8);
    let mut body = String::with_capacity(192 + topic.len() + payload.len());
    write!(
        body,
        r#"{{"ts":{ts},"topic":"{topic}","retain":{retain},"qos":{qos},"action":"message_publish","from_username":"undefined","from_client_id":null,"payload":"{payload}"}}"#
    )?;
    Ok(Bytes::from(body))
}
