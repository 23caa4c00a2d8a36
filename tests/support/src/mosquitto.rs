//! A real Mosquitto broker on its own loopback ports, with its own configuration directory.
//!
//! A broker is ready when it has written "running" to its log: by then every listener accepts.
//! Nothing connects to find out, because such a probe would appear in the log topics and, after
//! [`Mosquitto::start_again`], in the sessions that persist. Mosquitto 2.0 and 2.1 both do this.
//!
//! ```no_run
//! # use support::mosquitto::Mosquitto;
//! let broker = Mosquitto::builder().log_topics().line("max_queued_messages 10").start();
//! println!("{}", broker.url());
//! ```

mod builder;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Instant, SystemTime};

use rustix::process::Signal;
use tempfile::TempDir;

pub use self::builder::Builder;
use self::builder::Ports;
use crate::broker::find;
use crate::child::{PATIENCE, POLL, Process};
use crate::wire::bounded;

/// How often a first start is tried on other ports when one was taken meanwhile.
const ATTEMPTS: usize = 5;

/// Says whether a `mosquitto` program can be found, so that a test may skip itself.
#[must_use]
pub fn installed() -> bool {
    find("mosquitto").is_some()
}

/// A running (or stopped) broker; dropping it kills the process and removes its directory.
///
/// Its log is printed when a test fails.
#[derive(Debug)]
pub struct Mosquitto {
    process: Option<Process>,
    ports: Ports,
    builder: Builder,
    directory: TempDir,
}

impl Mosquitto {
    /// Returns a description of a broker to refine and start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Returns the port of the plain listener.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// Returns the port of the TLS listener.
    ///
    /// # Panics
    /// When the broker was started without one.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        assert!(
            self.builder.has_tls(),
            "expected Builder::tls to have been called"
        );
        self.ports.tls
    }

    /// Returns the port of the WebSocket listener.
    ///
    /// # Panics
    /// When the broker was started without one.
    #[must_use]
    pub fn ws_port(&self) -> u16 {
        assert!(
            self.builder.has_websockets(),
            "expected Builder::websockets to have been called"
        );
        self.ports.websocket
    }

    /// Returns `mqtt://127.0.0.1:PORT` of the plain listener.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.ports.plain)
    }

    /// Returns the process id.
    ///
    /// # Panics
    /// When the broker is stopped.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process
            .as_ref()
            .expect("expected a running broker")
            .pid()
    }

    /// Stops the broker as an operator would (SIGTERM) and waits for its exit.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
    }

    /// Makes a persistent broker write its sessions and messages to disk (SIGUSR1), and waits until it
    /// has. What it acknowledged before survives a kill then.
    pub async fn save(&mut self) {
        let file = self.directory.path().join("mosquitto.db");
        let before = identity(&file);
        let process = self.process.as_mut().expect("expected a running broker");
        process.signal(Signal::USR1);
        // It writes another file, syncs it and renames it, so a new inode is a complete file.
        let saved = async {
            while identity(&file) == before {
                tokio::time::sleep(POLL).await;
            }
        };
        bounded("the broker to save its sessions", saved).await;
    }

    /// Kills the broker (SIGKILL) and waits for its exit.
    pub fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Starts a stopped broker with the same configuration on the same ports.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "expected a stopped broker");
        match launch(self.directory.path()) {
            Ok(process) => self.process = Some(process),
            Err(log) => panic!("expected mosquitto to start again, it said:\n{log}"),
        }
    }

    /// Returns what the broker has logged since it was last started.
    #[must_use]
    pub fn log(&self) -> String {
        read_log(self.directory.path())
    }

    /// Waits until its log, since it was last started, has a line that contains `part`.
    pub async fn wait_for_log(&self, part: &str) {
        let search = async {
            while !self.log().contains(part) {
                tokio::time::sleep(POLL).await;
            }
        };
        bounded(&format!("{part:?} in the broker's log"), search).await;
    }

    /// Waits until a client has acknowledged all that was sent to it, and a kill makes nothing come again. Needs
    /// `log_type debug`.
    pub async fn wait_acknowledged(&self, client_id: &str) {
        let acknowledged = async {
            while has_unacknowledged(&self.log(), client_id) {
                tokio::time::sleep(POLL).await;
            }
        };
        bounded(
            &format!("{client_id} to acknowledge everything"),
            acknowledged,
        )
        .await;
    }

    fn first_start(builder: Builder) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        builder.write_access_files(directory.path());
        for _ in 0..ATTEMPTS {
            let ports = Ports::free();
            builder.write_config(ports, directory.path());
            match launch(directory.path()) {
                Ok(process) => {
                    return Self {
                        process: Some(process),
                        ports,
                        builder,
                        directory,
                    };
                }
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("expected mosquitto to start, it said:\n{log}"),
            }
        }
        panic!("expected mosquitto to find free ports in {ATTEMPTS} attempts");
    }

    fn end(&mut self, signal: Signal) {
        let mut process = self.process.take().expect("expected a running broker");
        process.signal(signal);
        assert!(
            process.wait().is_some(),
            "expected mosquitto to exit on {signal:?}, log:\n{}",
            self.log()
        );
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "--- log of mosquitto on port {} ---\n{}---",
                self.port(),
                self.log()
            );
        }
    }
}

/// Runs the broker and waits until it is ready; the error is the log of one that was not.
fn launch(directory: &Path) -> Result<Process, String> {
    let log = File::create(directory.join("log")).expect("create the log file");
    let program = find("mosquitto").expect("expected mosquitto to be installed");
    let child = Command::new(program)
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("mosquitto can be executed");
    let mut process = Process::new(child);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let exited = process.exited().is_some();
        let log = read_log(directory);
        if exited || Instant::now() > deadline {
            return Err(log);
        }
        if log.lines().any(|line| line.ends_with(" running")) {
            return Ok(process);
        }
        thread::sleep(POLL);
    }
}

/// Returns what changes whenever a file is replaced; `None` while there is none.
fn identity(file: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.modified().ok()?))
}

/// Returns whether a message of QoS 1 has not been acknowledged since it was sent last.
fn has_unacknowledged(log: &str, client_id: &str) -> bool {
    let sent = format!("Sending PUBLISH to {client_id} (");
    let answered = format!("Received PUBACK from {client_id} (Mid: ");
    let mut open = HashSet::new();
    for line in log.lines() {
        if let Some((_, message)) = line.split_once(&sent) {
            let mut parts = message.split(", ");
            if parts.any(|part| part == "q1") {
                // `d0, q1, r0, m7, 'topic', ...`
                open.extend(parts.nth(1).and_then(|part| part.strip_prefix('m')));
            }
        } else if let Some((_, message)) = line.split_once(&answered) {
            open.remove(message.split(',').next().unwrap_or_default());
        }
    }
    !open.is_empty()
}

fn read_log(directory: &Path) -> String {
    let bytes = fs::read(directory.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
