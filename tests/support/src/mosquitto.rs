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

use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::child::{PATIENCE, POLL, Process};
use crate::port::free_port;

/// How often a first start is tried on other ports when one was taken meanwhile.
const ATTEMPTS: usize = 5;

/// Says whether a `mosquitto` program can be found, so that a test may skip itself.
#[must_use]
pub fn installed() -> bool {
    program("mosquitto").is_some()
}

/// What a broker is to be like; everything is off by default and everyone may connect.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    log_topics: bool,
    persistent: bool,
    websockets: bool,
    lines: Vec<String>,
    passwords: Vec<(String, String)>,
    acl: Option<String>,
    tls: Option<Tls>,
}

#[derive(Clone, Debug)]
struct Tls {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    require_client: bool,
}

impl Builder {
    /// Publishes the broker's log on `$SYS/broker/log/#`, every type that can reach a topic.
    ///
    /// Debug lines never do, so they are left out: writing them would only slow the broker.
    pub fn log_topics(mut self) -> Self {
        self.log_topics = true;
        self
    }

    /// Adds one line to the configuration, after the plain listener and before the others.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Adds a user; as soon as there is one, nobody may connect anonymously.
    pub fn password(mut self, user: &str, password: &str) -> Self {
        self.passwords.push((user.to_owned(), password.to_owned()));
        self
    }

    /// Sets the text of the access control file.
    pub fn acl(mut self, text: &str) -> Self {
        self.acl = Some(text.to_owned());
        self
    }

    /// Adds a TLS listener that asks for no client certificate; the certificates must outlive it.
    pub fn tls(self, certificates: &Certificates) -> Self {
        self.tls_listener(certificates, false)
    }

    /// Adds a TLS listener that demands a client certificate.
    pub fn mutual_tls(self, certificates: &Certificates) -> Self {
        self.tls_listener(certificates, true)
    }

    /// Adds a listener for MQTT over WebSocket.
    pub fn websockets(mut self) -> Self {
        self.websockets = true;
        self
    }

    /// Keeps sessions and retained messages across a clean stop.
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Starts the broker and blocks until it accepts connections.
    #[must_use]
    pub fn start(self) -> Mosquitto {
        let directory = tempfile::tempdir().expect("a temporary directory");
        self.write_passwords(directory.path());
        if let Some(acl) = &self.acl {
            fs::write(directory.path().join("acl"), acl).expect("write the access control file");
        }
        for _ in 0..ATTEMPTS {
            let ports = Ports::free();
            fs::write(directory.path().join("mosquitto.conf"), self.config(&ports, directory.path()))
                .expect("write the configuration");
            match launch(directory.path()) {
                Ok(process) => return Mosquitto { process: Some(process), ports, builder: self, directory },
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("expected mosquitto to start, it said:\n{log}"),
            }
        }
        panic!("expected mosquitto to find free ports in {ATTEMPTS} attempts");
    }

    fn tls_listener(mut self, certificates: &Certificates, require_client: bool) -> Self {
        self.tls = Some(Tls {
            ca: certificates.ca(),
            certificate: certificates.server_certificate(),
            key: certificates.server_key(),
            require_client,
        });
        self
    }

    fn config(&self, ports: &Ports, directory: &Path) -> String {
        let mut text = String::from("log_dest stderr\nconnection_messages true\n");
        text += "log_type error\nlog_type warning\nlog_type notice\nlog_type information\n";
        if rustix::process::geteuid().is_root() {
            text += "user root\n";
        }
        if self.log_topics {
            text += "log_dest topic\nlog_type subscribe\nlog_type unsubscribe\nlog_type websockets\n";
        }
        if self.persistent {
            let _ = writeln!(text, "persistence true\npersistence_location {}/", directory.display());
        }
        let _ = writeln!(text, "listener {} 127.0.0.1", ports.plain);
        for line in &self.lines {
            text += line;
            text += "\n";
        }
        text += &self.access(directory);
        text += &self.other_listeners(ports);
        text
    }

    fn access(&self, directory: &Path) -> String {
        let mut text = if self.passwords.is_empty() {
            String::from("allow_anonymous true\n")
        } else {
            format!("allow_anonymous false\npassword_file {}\n", directory.join("passwords").display())
        };
        if self.acl.is_some() {
            let _ = writeln!(text, "acl_file {}", directory.join("acl").display());
        }
        text
    }

    fn other_listeners(&self, ports: &Ports) -> String {
        let mut text = String::new();
        if let Some(tls) = &self.tls {
            let _ = writeln!(text, "listener {} 127.0.0.1", ports.tls);
            let _ = writeln!(text, "cafile {}", tls.ca.display());
            let _ = writeln!(text, "certfile {}", tls.certificate.display());
            let _ = writeln!(text, "keyfile {}", tls.key.display());
            let _ = writeln!(text, "require_certificate {}", tls.require_client);
        }
        if self.websockets {
            let _ = writeln!(text, "listener {} 127.0.0.1\nprotocol websockets", ports.websocket);
        }
        text
    }

    fn write_passwords(&self, directory: &Path) {
        let file = directory.join("passwords");
        fs::write(&file, "").expect("write the password file");
        for (user, password) in &self.passwords {
            let program = program("mosquitto_passwd").expect("mosquitto_passwd is installed with mosquitto");
            let status = Command::new(program).arg("-b").arg(&file).args([user, password]).stderr(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "expected a password for {user} to be set");
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: u16,
    websocket: u16,
}

impl Ports {
    fn free() -> Self {
        Self { plain: free_port(), tls: free_port(), websocket: free_port() }
    }
}

/// A running (or stopped) broker; dropping it kills the process and removes its directory.
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
        assert!(self.builder.tls.is_some(), "expected Builder::tls to have been called");
        self.ports.tls
    }

    /// Returns the port of the WebSocket listener.
    ///
    /// # Panics
    /// When the broker was started without one.
    #[must_use]
    pub fn ws_port(&self) -> u16 {
        assert!(self.builder.websockets, "expected Builder::websockets to have been called");
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
        self.process.as_ref().expect("expected a running broker").pid()
    }

    /// Stops the broker as an operator would (SIGTERM) and waits for its exit.
    pub fn stop(&mut self) {
        self.end(Signal::TERM);
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

    fn end(&mut self, signal: Signal) {
        let mut process = self.process.take().expect("expected a running broker");
        process.signal(signal);
        assert!(process.wait().is_some(), "expected mosquitto to exit on {signal:?}, log:\n{}", self.log());
    }
}

/// Runs the broker and waits until it is ready; the error is the log of one that was not.
fn launch(directory: &Path) -> Result<Process, String> {
    let log = File::create(directory.join("log")).expect("create the log file");
    let program = program("mosquitto").expect("expected mosquitto to be installed");
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

fn read_log(directory: &Path) -> String {
    let bytes = fs::read(directory.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Daemons live in `sbin`, which is rarely on an ordinary user's PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|directory| directory.join(name)).find(|file| file.is_file())
}
