//! Somebody who has the admin page open, and a program that polls the API.
//!
//! The page's live tail is read to the end on a connection of its own; fifty requests a second go over another one.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};

/// What the page and monitors ask for, in turn.
const TARGETS: [&str; 6] = [
    "/status",
    "/webhooks",
    "/metrics/summary",
    "/deliveries?limit=50",
    "/dead-letters?limit=50",
    "/metrics",
];
const STREAM: &str = "/events/stream";
/// An answer that takes longer ends the visit.
const WITHIN: Duration = Duration::from_secs(10);

/// Arguments of the visitor process.
#[derive(clap::Args)]
pub struct Args {
    /// Address of the admin API.
    #[arg(long)]
    admin: SocketAddr,
    /// Requests a second.
    #[arg(long, default_value_t = 50)]
    rate: u32,
}

/// Visits until it is killed; prints `ready` when everything was answered once.
///
/// # Errors
/// An answer is no 200, or does not come.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            ended = watch(args.admin) => ended.context(STREAM),
            ended = poll(args) => ended,
        }
    })
}

async fn poll(args: &Args) -> anyhow::Result<()> {
    let mut connection = BufReader::new(TcpStream::connect(args.admin).await?);
    let mut ticks = interval(Duration::from_secs(1) / args.rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for (number, target) in TARGETS.iter().cycle().enumerate() {
        ticks.tick().await;
        let asked = ask(&mut connection, args.admin, target);
        let answered = timeout(WITHIN, asked)
            .await
            .with_context(|| format!("{target}: no answer within {WITHIN:?}"))?;
        answered.context(*target)?;
        if number + 1 == TARGETS.len() {
            println!("ready");
        }
    }
    Ok(())
}

/// Asks once on a connection that stays open, and reads the whole answer.
async fn ask(
    connection: &mut BufReader<TcpStream>,
    admin: SocketAddr,
    target: &str,
) -> anyhow::Result<()> {
    request(connection, admin, target).await?;
    let mut length = 0;
    let mut is_chunked = false;
    for line in head(connection).await? {
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        is_chunked |= line.starts_with("transfer-encoding:");
    }
    ensure!(!is_chunked, "an answer without a length");
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(())
}

/// Reads the live tail for as long as it comes.
async fn watch(admin: SocketAddr) -> anyhow::Result<()> {
    let mut connection = BufReader::new(TcpStream::connect(admin).await?);
    request(&mut connection, admin, STREAM).await?;
    head(&mut connection).await?;
    let begin = Instant::now();
    let mut read = vec![0; 64 * 1024];
    while connection.read(&mut read).await? > 0 {}
    bail!("it ended after {:?}", begin.elapsed())
}

async fn request(
    connection: &mut BufReader<TcpStream>,
    admin: SocketAddr,
    target: &str,
) -> anyhow::Result<()> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {admin}\r\n\r\n");
    Ok(connection.get_mut().write_all(request.as_bytes()).await?)
}

/// Reads the head of an answer, which must be a 200, and returns its fields.
async fn head(connection: &mut BufReader<TcpStream>) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(connection.read_line(&mut line).await? > 0, "cut off");
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let status = lines.first().context("no status line")?;
    ensure!(status.contains(" 200 "), "answered {status}");
    Ok(lines.split_off(1))
}
