//! Real brokers of several families, alike from outside.
//!
//! Each has the users `alice`, whose password is `right`, and `mqhook` with `secret`; nobody else may come in
//! (at RMQTT everybody but an `alice` without her password). A broker that is not installed is `None`, so
//! that a test may skip itself. What comes by neither apt nor cargo is below [`folder`].

mod aedes;
mod nats;
mod rmqtt;

use std::any::Any;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

pub use self::aedes::aedes;
pub use self::nats::nats;
pub use self::rmqtt::{locked, rmqtt};
use crate::child::{PATIENCE, POLL, Process};
use crate::client::{Connect, Version};
use crate::mosquitto::{self, Mosquitto};
use crate::port::free_port;

/// How often a start is tried on other ports when one was taken meanwhile.
const ATTEMPTS: usize = 5;

/// A running broker.
pub struct Broker {
    /// As documentation names it.
    pub name: &'static str,
    /// Such as `2.0.11`.
    pub version: String,
    /// What its clients connect to, on 127.0.0.1.
    pub port: u16,
    /// The versions of MQTT that it speaks there, of 3.1.1 and 5, the best last.
    pub speaks: &'static [Version],
    /// The best quality of service that it takes.
    pub max_qos: u8,
    /// What `broker.dialect` must be for mqhook to hear what it tells.
    pub dialect: &'static str,
    /// Whether it tells in the order in which things happen.
    pub is_ordered: bool,
    /// Ends the broker when it is dropped; `None` for one that ends with the test.
    pub running: Option<Box<dyn Any + Send>>,
}

impl Broker {
    /// Returns what a client with this identifier logs in with, as `alice`.
    pub fn connect(version: Version, client_id: &str) -> Connect {
        Connect::new(version, client_id)
            .username("alice")
            .password("right")
    }

    /// Returns the best version of MQTT that it speaks.
    #[must_use]
    pub fn best(&self) -> Version {
        *self.speaks.last().expect("every broker speaks MQTT")
    }
}

/// Starts Mosquitto with its log on topics.
#[must_use]
pub fn mosquitto() -> Option<Broker> {
    if !mosquitto::installed() {
        return None;
    }
    let broker = Mosquitto::builder()
        .log_topics()
        .password("alice", "right")
        .password("mqhook", "secret")
        .start();
    Some(Broker {
        name: "Mosquitto",
        version: first_number(&output(Command::new(find("mosquitto")?).arg("-h"))),
        port: broker.port(),
        speaks: &[Version::V311, Version::V5],
        max_qos: 2,
        dialect: "auto",
        is_ordered: true,
        running: Some(Box::new(broker)),
    })
}

/// Returns where `./test` puts brokers: `MQHOOK_BROKERS`, or `brokers` in the target directory.
#[must_use]
pub fn folder() -> PathBuf {
    let default = || {
        let test = env::current_exe().expect("a test knows where it is");
        // target/debug/deps/test
        let target = test.ancestors().nth(3).map(Path::to_owned);
        target.unwrap_or_default().join("brokers")
    };
    env::var_os("MQHOOK_BROKERS").map_or_else(default, PathBuf::from)
}

/// A process, and the directory that it works in.
struct Running {
    _process: Process,
    _directory: tempfile::TempDir,
}

/// Starts a program on a free port, on others if that was taken; it is ready when its output has a line
/// that ends with `ready`.
///
/// # Panics
/// When it does not become ready, with its output.
fn start(
    ready: &str,
    command: impl Fn(u16, &Path) -> Command,
) -> (u16, Option<Box<dyn Any + Send>>) {
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        match launch(command(port, directory.path()), directory.path(), ready) {
            Ok(process) => {
                let running = Running {
                    _process: process,
                    _directory: directory,
                };
                return (port, Some(Box::new(running)));
            }
            Err(log) => said = log,
        }
    }
    panic!("expected a broker to start in {ATTEMPTS} attempts, it said:\n{said}");
}

fn launch(mut command: Command, directory: &Path, ready: &str) -> Result<Process, String> {
    let file = directory.join("log");
    let log = File::create(&file).expect("create the log file");
    let child = command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("expected to run {command:?}: {error}"));
    let mut process = Process::new(child);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let exited = process.exited().is_some();
        let said = fs::read(&file).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        if said.lines().any(|line| line.ends_with(ready)) {
            return Ok(process);
        }
        if exited || Instant::now() > deadline {
            return Err(said);
        }
        thread::sleep(POLL);
    }
}

/// Daemons live in `sbin`, which is rarely on an ordinary user's PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(usual)
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
}

fn output(command: &mut Command) -> String {
    let output = command.output().expect("an installed program runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the first version number of a text, such as `2.9.10` of `nats-server: v2.9.10`.
fn first_number(text: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    text.split(|c| !digits(c))
        .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or("of an unknown version")
        .to_owned()
}
