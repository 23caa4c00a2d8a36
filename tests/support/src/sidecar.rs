//! The real `mqhook` binary as a child process, with its configuration in a directory of its own.
//!
//! The directory is also the working directory, so a relative path in the configuration (a spool,
//! a secret) lies in it and survives [`Sidecar::start_again`]. The log is captured line by line and
//! printed when a test fails.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::child::{POLL, Process};
use crate::http;
use crate::wire::PATIENCE;

/// Pause between two questions to the admin interface.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A running (or ended) sidecar; dropping it kills the process and removes its directory.
pub struct Sidecar {
    process: Process,
    log: Arc<Log>,
    /// End at the end of the child's streams; joined so that the log is complete after an exit.
    readers: Vec<JoinHandle<()>>,
    command: Invocation,
    directory: TempDir,
}

/// Resident memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now.
    pub bytes: u64,
    /// The most since it was started.
    pub peak_bytes: u64,
}

/// What was run, to run it again.
struct Invocation {
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    /// Told after every line.
    grown: Notify,
}

impl Sidecar {
    /// Writes `config` to `mqhook.EXTENSION` and runs `mqhook run -c` on it.
    #[must_use]
    pub fn start(binary: impl AsRef<Path>, config: &str, extension: &str) -> Self {
        Self::start_with_environment(binary, config, extension, &[])
    }

    /// Like [`Sidecar::start`], with environment variables added.
    #[must_use]
    pub fn start_with_environment(
        binary: impl AsRef<Path>,
        config: &str,
        extension: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join(format!("mqhook.{extension}"));
        fs::write(&file, config).expect("write the configuration");
        let file = file.display().to_string();
        Self::spawn(
            binary.as_ref(),
            &["run", "-c", &file],
            environment,
            directory,
        )
    }

    /// Runs it with these arguments in an empty directory.
    #[must_use]
    pub fn start_with_arguments(binary: impl AsRef<Path>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self::spawn(binary.as_ref(), arguments, &[], directory)
    }

    fn spawn(
        binary: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        directory: TempDir,
    ) -> Self {
        let command = Invocation {
            binary: binary.to_owned(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let log = Arc::default();
        let (process, readers) = command.spawn(directory.path(), &log);
        Self {
            process,
            log,
            readers,
            command,
            directory,
        }
    }

    /// Runs it again after it ended, with the same configuration and directory; the log goes on.
    pub fn start_again(&mut self) {
        assert!(
            self.process.exited().is_some(),
            "expected a sidecar that has ended"
        );
        (self.process, self.readers) = self.command.spawn(self.directory.path(), &self.log);
    }

    /// Replaces the configuration file, for a reload or the next start.
    ///
    /// # Panics
    /// When it was started with arguments of the test's own.
    pub fn write_config(&self, config: &str) {
        let arguments: Vec<&str> = self.command.arguments.iter().map(String::as_str).collect();
        let ["run", "-c", file] = arguments[..] else {
            panic!("expected a sidecar with a configuration file, got {arguments:?}")
        };
        fs::write(file, config).expect("write the configuration");
    }

    /// Returns the working directory, which holds the configuration.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns how it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Returns how much memory it has.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("expected a sidecar that runs");
        let bytes = |key| kilobytes(&status, key).expect("the kernel says so") * 1024;
        Memory {
            bytes: bytes("VmRSS:"),
            peak_bytes: bytes("VmHWM:"),
        }
    }

    /// Runs the same binary with other arguments in the same directory, and returns what it wrote.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Output {
        let output = Command::new(&self.command.binary)
            .args(arguments)
            .current_dir(self.directory())
            .stdin(Stdio::null())
            .output();
        output.expect("the binary runs")
    }

    /// Returns everything written to standard output and standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until a line of the log contains `part`, and returns the first such line.
    pub async fn wait_for_log(&self, part: &str) -> String {
        let search = async {
            loop {
                let grown = self.log.grown.notified();
                if let Some(line) = self.log.find(part) {
                    return line;
                }
                grown.await;
            }
        };
        timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("expected {part:?} in the log within {PATIENCE:?}"))
    }

    /// Waits until `GET /ready` answers 200.
    ///
    /// # Panics
    /// At once when the process ends instead.
    pub async fn wait_ready(&mut self, admin_port: u16) {
        let mut last = None;
        let asking = async {
            loop {
                if let Some(status) = self.process.exited() {
                    panic!("expected the sidecar to become ready, it ended with {status}");
                }
                last = http::try_request(admin_port, "GET", "/ready", "").await;
                if matches!(last, Some((200, _))) {
                    return;
                }
                sleep(ASK_AGAIN).await;
            }
        };
        let ready = timeout(PATIENCE, asking).await.is_ok();
        assert!(
            ready,
            "expected GET /ready to answer 200 within {PATIENCE:?}, last was {last:?}"
        );
    }

    /// Returns `GET /metrics`.
    pub async fn metrics(&self, admin_port: u16) -> String {
        let (status, text) = http::get(admin_port, "/metrics").await;
        assert_eq!(status, 200, "expected metrics, got {text}");
        text
    }

    /// Returns the value of the series written exactly as `series`, labels included, such as
    /// `mqhook_events_total{kind="message"}`.
    ///
    /// # Panics
    /// When there is no such series, with all there are.
    pub async fn metric(&self, admin_port: u16, series: &str) -> f64 {
        let text = self.metrics(admin_port).await;
        value_of(&text, series).unwrap_or_else(|| panic!("expected the series {series} in\n{text}"))
    }

    /// Waits until the admin interface answers, and the series exists and fulfils `condition`;
    /// returns its value.
    pub async fn wait_for_metric(
        &self,
        admin_port: u16,
        series: &str,
        condition: impl Fn(f64) -> bool,
    ) -> f64 {
        let mut text = String::new();
        let asking = async {
            loop {
                let answer = http::try_request(admin_port, "GET", "/metrics", "").await;
                text = answer.map(|(_, text)| text).unwrap_or_default();
                match value_of(&text, series) {
                    Some(value) if condition(value) => return value,
                    _ => sleep(ASK_AGAIN).await,
                }
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
            panic!("expected {series} to fulfil a condition within {PATIENCE:?}, last was\n{text}")
        })
    }

    /// Sends SIGTERM; nothing when it has ended.
    pub fn terminate(&mut self) {
        self.process.signal(Signal::TERM);
    }

    /// Sends SIGINT; nothing when it has ended.
    pub fn interrupt(&mut self) {
        self.process.signal(Signal::INT);
    }

    /// Has every write fail that would make a file longer than this; `None` for no limit.
    pub fn limit_file_size(&mut self, bytes: Option<u64>) {
        self.process.limit_file_size(bytes);
    }

    /// Sends SIGHUP; nothing when it has ended.
    pub fn hang_up(&mut self) {
        self.process.signal(Signal::HUP);
    }

    /// Sends SIGKILL and waits for the exit.
    pub fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        assert!(
            self.process.wait().is_some(),
            "expected a killed process to end"
        );
        self.join_readers();
    }

    /// Waits until it has ended by itself or by a signal sent before.
    pub async fn wait(&mut self) -> ExitStatus {
        let ended = async {
            loop {
                match self.process.exited() {
                    Some(status) => return status,
                    None => sleep(POLL).await,
                }
            }
        };
        let Ok(status) = timeout(PATIENCE, ended).await else {
            panic!("expected the sidecar to end within {PATIENCE:?}");
        };
        self.join_readers();
        status
    }

    fn join_readers(&mut self) {
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "--- log of the sidecar, pid {} ---\n{}---",
                self.pid(),
                self.log()
            );
        }
    }
}

impl Invocation {
    fn spawn(&self, directory: &Path, log: &Arc<Log>) -> (Process, Vec<JoinHandle<()>>) {
        let mut child = Command::new(&self.binary)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("expected to run {}: {error}", self.binary.display()));
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let readers = vec![log.capture(stdout), log.capture(stderr)];
        (Process::new(child), readers)
    }
}

impl Log {
    fn capture(self: &Arc<Self>, stream: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = Arc::clone(self);
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                log.push(String::from_utf8_lossy(&line).into_owned());
            }
        })
    }

    fn push(&self, line: String) {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
        self.grown.notify_waiters();
    }

    fn find(&self, part: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.contains(part)).cloned()
    }

    fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect()
    }
}

/// Finds a line of `/proc/PID/status`.
fn kilobytes(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().trim_end_matches(" kB").parse().ok()
}

/// Finds a series in the Prometheus or `OpenMetrics` text format.
fn value_of(text: &str, series: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.split(' ').next()?.parse().ok()
}
