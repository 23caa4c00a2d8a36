//! Child processes: start, wait for their first words, what they cost, and their end.
//!
//! A [`Child`] is killed by its process id when it is dropped, so a run that fails or is interrupted leaves nothing behind.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

const END: Duration = Duration::from_secs(5);

/// One process of a run.
pub struct Child {
    name: &'static str,
    id: u32,
    inner: tokio::process::Child,
    output: Output,
}

/// Where the process writes.
enum Output {
    /// Standard output is read line by line; standard error is the harness's.
    Lines(Lines<BufReader<ChildStdout>>),
    /// Both go to a file; nobody needs to read it while it grows.
    Log(PathBuf),
}

/// A process's use of the machine since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Peak resident set.
    pub peak_rss_bytes: u64,
    /// Resident set now.
    pub rss_bytes: u64,
    /// Bytes that it made the kernel write to a disk. The kernel counts a page when it becomes dirty, so what
    /// is overwritten before it is written counts once, and a file system in memory does not count.
    pub written_bytes: u64,
}

impl Child {
    /// Starts this very binary with a subcommand; its standard output is read by [`Self::line`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_own(name: &'static str, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(name).args(arguments).stdout(Stdio::piped());
        let mut inner = spawn(name, &mut command)?;
        let stdout = inner.stdout.take().context("standard output is piped")?;
        let lines = BufReader::new(stdout).lines();
        Self::new(name, inner, Output::Lines(lines))
    }

    /// Starts another program that writes to a log in `directory`, its working directory.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_other(
        name: &'static str,
        program: &Path,
        arguments: &[String],
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let path = directory.join(format!("{name}.log"));
        let log = File::create(&path).context("create the log")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(directory)
            .stdout(log.try_clone()?)
            .stderr(log);
        let inner = spawn(name, &mut command)?;
        Self::new(name, inner, Output::Log(path))
    }

    fn new(
        name: &'static str,
        inner: tokio::process::Child,
        output: Output,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name,
            id: inner.id().context("it has just started")?,
            inner,
            output,
        })
    }

    /// Returns the next line of standard output.
    ///
    /// # Errors
    /// The process ends or `within` passes first.
    pub async fn line(&mut self, within: Duration) -> anyhow::Result<String> {
        let Output::Lines(lines) = &mut self.output else {
            bail!("{} writes to a log", self.name);
        };
        match timeout(within, lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(_) => bail!("{} ended early: {:?}", self.name, self.inner.wait().await),
            Err(_) => bail!("{} said nothing for {within:?}", self.name),
        }
    }

    /// Returns at once, whether or not the process does anything useful.
    ///
    /// # Errors
    /// The process has ended; the message has the end of its log.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.inner.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended early: {status}\n{}", self.name, self.last_words()),
        }
    }

    /// Returns the end of the log; empty when there is none.
    pub fn last_words(&self) -> String {
        let Output::Log(path) = &self.output else {
            return String::new();
        };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Returns what the process has used so far.
    ///
    /// # Errors
    /// The process has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id))
            .with_context(|| format!("read the status of {}", self.name))?;
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.id))
            .with_context(|| format!("read the I/O of {}", self.name))?;
        Ok(Usage {
            cpu_seconds: cpu_seconds(self.id)?,
            peak_rss_bytes: number(&status, "VmHWM:")? * 1024,
            rss_bytes: number(&status, "VmRSS:")? * 1024,
            written_bytes: number(&io, "write_bytes:")?,
        })
    }

    /// Kills the process (SIGKILL) and waits for its end.
    pub async fn kill(mut self) {
        // It may have ended by itself; then there is nothing to kill.
        self.inner.kill().await.ok();
    }

    /// Asks the process to end (SIGTERM), then kills it when it does not within five seconds.
    pub async fn stop(mut self) {
        let id = i32::try_from(self.id)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended by itself; then there is nothing to stop.
            rustix::process::kill_process(id, rustix::process::Signal::TERM).ok();
        }
        if timeout(END, self.inner.wait()).await.is_err() {
            eprintln!("{} ignored SIGTERM for {END:?}, killed", self.name);
            self.inner.kill().await.ok();
        }
    }
}

fn spawn(name: &str, command: &mut Command) -> anyhow::Result<tokio::process::Child> {
    command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {name}"))
}

/// Returns user and system time of a process, all threads, in seconds; the kernel counts in ticks of 10 ms.
///
/// # Errors
/// There is no such process.
#[expect(
    clippy::cast_precision_loss,
    reason = "ticks of one run are far below 2^52"
)]
pub fn cpu_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).context("read stat")?;
    // The command name is in parentheses and may contain spaces; utime and stime are fields 14 and 15 (proc(5)).
    let (_, fields) = stat.rsplit_once(')').context("stat has no name")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Reads the number of a line in a file of `/proc/PID`.
fn number(text: &str, key: &str) -> anyhow::Result<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .with_context(|| format!("there is no {key}"))?;
    let number = line.trim().trim_end_matches("kB").trim();
    number.parse().with_context(|| format!("parse {line}"))
}
