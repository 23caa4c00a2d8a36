//! The two things that are compared, and how each is started.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use tokio::time::sleep;

use crate::{bare::Runtime, control, mosquitto::free_address, process::Child};

const START: Duration = Duration::from_secs(30);

/// What stands between the broker and the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// rumqttc -> bounded channel -> hyper.
    Bare,
    /// The real binary, with its spool on disk.
    Mqhook,
    /// The real binary, with its spool in memory.
    Memory,
    /// The real binary, with its admin page open and its API polled fifty times a second.
    Visited,
}

impl Chain {
    /// Returns the name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Mqhook => "mqhook",
            Self::Memory => "memory",
            Self::Visited => "visited",
        }
    }

    /// Returns further keys of mqhook's configuration.
    fn keys(self) -> &'static str {
        match self {
            Self::Bare | Self::Mqhook | Self::Visited => "",
            Self::Memory => "[spool]\nbackend = \"memory\"\n",
        }
    }
}

/// How the chains are set up, the same for a whole invocation.
#[derive(Clone, Debug, clap::Args)]
pub struct Setup {
    /// HTTP connections of either chain.
    #[arg(long, default_value_t = 32)]
    pub connections: usize,
    /// Rules that never match, written before the matching one into mqhook's configuration.
    #[arg(long, default_value_t = 0)]
    pub rules: usize,
    /// Runtime of the bare chain.
    #[arg(long, default_value = "current")]
    pub runtime: Runtime,
    /// When the bare chain acknowledges QoS 1: response (after 2xx) or receipt.
    #[arg(long, default_value = "response")]
    pub bare_ack: String,
    /// The mqhook binary.
    #[arg(long, env = "MQHOOK_BIN", default_value = "target/release/mqhook")]
    pub mqhook: PathBuf,
    /// A file whose text is appended to mqhook's configuration.
    #[arg(long)]
    pub mqhook_config: Option<PathBuf>,
}

/// Where the neighbours of the chain are.
#[derive(Clone, Copy)]
pub struct Ends {
    /// The broker.
    pub broker: SocketAddr,
    /// The receiver.
    pub receiver: SocketAddr,
    /// Quality of service.
    pub qos: u8,
}

/// A running chain.
pub struct Running {
    /// Its process.
    pub chain: Child,
    /// Who visits its admin API.
    pub visitor: Option<Child>,
}

/// A running mqhook.
pub struct Mqhook {
    /// Its process.
    pub child: Child,
    /// Where its metrics are.
    admin: SocketAddr,
}

impl Mqhook {
    /// Returns how many events it has taken in since its start.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn events(&self) -> anyhow::Result<u64> {
        self.metric("mqhook_events_total{kind=\"on_message_publish\"}")
            .await
    }

    /// Returns how many deliveries wait.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn waiting(&self) -> anyhow::Result<u64> {
        self.metric("mqhook_waiting_deliveries{webhook=\"bench\"}")
            .await
    }

    async fn metric(&self, series: &str) -> anyhow::Result<u64> {
        let answer = control::ask("GET", self.admin, "/metrics").await?;
        let value = answer
            .body
            .lines()
            .find_map(|line| line.strip_prefix(series))
            .with_context(|| format!("there is no {series}"))?;
        value
            .trim()
            .parse()
            .with_context(|| format!("read {series}"))
    }
}

impl Setup {
    /// Starts a chain and returns once it is subscribed.
    ///
    /// # Errors
    /// It ends early or is not ready within thirty seconds.
    pub async fn start(
        &self,
        chain: Chain,
        ends: Ends,
        directory: &Path,
    ) -> anyhow::Result<Running> {
        if chain == Chain::Bare {
            return Ok(Running {
                chain: self.start_bare(ends).await?,
                visitor: None,
            });
        }
        let running = self.start_mqhook(ends, directory, chain.keys()).await?;
        let visitor = match chain {
            Chain::Visited => Some(start_visitor(running.admin).await?),
            Chain::Bare | Chain::Mqhook | Chain::Memory => None,
        };
        Ok(Running {
            chain: running.child,
            visitor,
        })
    }

    async fn start_bare(&self, ends: Ends) -> anyhow::Result<Child> {
        let runtime = match self.runtime {
            Runtime::Current => "current",
            Runtime::Multi => "multi",
        };
        let arguments = [
            format!("--broker={}", ends.broker),
            format!("--receiver={}", ends.receiver),
            format!("--qos={}", ends.qos),
            format!("--connections={}", self.connections),
            format!("--runtime={runtime}"),
            format!("--ack={}", self.bare_ack),
        ];
        let mut child = Child::start_own("bare", &arguments)?;
        let line = child.line(START).await?;
        ensure!(line == "ready", "bare said {line:?}");
        Ok(child)
    }

    /// Starts mqhook in a directory, where its spool is, and returns once it is subscribed. `keys` are whole
    /// tables of its configuration.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_mqhook(
        &self,
        ends: Ends,
        directory: &Path,
        keys: &str,
    ) -> anyhow::Result<Mqhook> {
        let admin = free_address().await?;
        let path = directory.join("mqhook.toml");
        let text = self.configuration(ends, admin)? + keys;
        std::fs::write(&path, text).context("write mqhook.toml")?;
        let arguments = ["run", "-c", &path.display().to_string()].map(str::to_owned);
        let program = std::fs::canonicalize(&self.mqhook)
            .with_context(|| format!("find {}", self.mqhook.display()))?;
        let mut child = Child::start_other("mqhook", &program, &arguments, directory)?;
        let deadline = Instant::now() + START;
        while !is_ready(admin).await {
            child.check_alive()?;
            if Instant::now() > deadline {
                bail!(
                    "mqhook is not ready within {START:?}\n{}",
                    child.last_words()
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Mqhook { child, admin })
    }

    fn configuration(&self, ends: Ends, admin: SocketAddr) -> anyhow::Result<String> {
        let Ends {
            broker, receiver, ..
        } = ends;
        let connections = self.connections;
        let mut text = format!(
            r#"[broker]
url = "mqtt://{broker}"
dialect = "plain"
[admin]
listen = "{admin}"
[webhooks.bench]
url = "http://{receiver}/hook"
pool_size = {connections}
events = [
"#
        );
        for line in 0..self.rules {
            writeln!(
                text,
                r#"  {{ event = "on_message_publish", topic = "plant/+/line{line}/#" }},"#
            )?;
        }
        writeln!(
            text,
            r#"  {{ event = "on_message_publish", topic = "bench/#" }},"#
        )?;
        text.push_str("]\n");
        if let Some(extra) = &self.mqhook_config {
            text += &std::fs::read_to_string(extra)
                .with_context(|| format!("read {}", extra.display()))?;
        }
        Ok(text)
    }
}

async fn start_visitor(admin: SocketAddr) -> anyhow::Result<Child> {
    let mut child = Child::start_own("visitor", &[format!("--admin={admin}")])?;
    let line = child.line(START).await?;
    ensure!(line == "ready", "visitor said {line:?}");
    Ok(child)
}

async fn is_ready(admin: SocketAddr) -> bool {
    let answer = control::ask("GET", admin, "/ready").await;
    answer.is_ok_and(|answer| answer.status_code == 200)
}
