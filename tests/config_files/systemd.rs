//! `systemd/mqhook.service`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mqhook::config::Config;
use support::sidecar::Sidecar;
use tempfile::TempDir;

use super::text;

const UNIT: &str = "systemd/mqhook.service";
const BINARY: &str = env!("CARGO_BIN_EXE_mqhook");
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker that refuses: systemd is told regardless of it.
const CONFIG: &str = "\
broker.url = 'mqtt://127.0.0.1:1'
admin.listen = ''
[webhooks.w]
url = 'http://127.0.0.1:1/'
events = [{ event = 'on_message_publish' }]
";

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("mqhook.service");
    let unit = text(UNIT);
    let installed = "ExecStart=/usr/local/bin/mqhook ";
    assert!(unit.contains(installed), "expected {installed} in the unit");
    let unit = unit.replace(installed, &format!("ExecStart={BINARY} "));
    fs::write(&file, unit).expect("write the unit");
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&file)
        .output();
    let output = match verify {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: systemd-analyze is not installed");
            return;
        }
        verify => verify.expect("systemd-analyze runs"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // What it says of units that other packages installed is not about this one.
    let about_it: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("mqhook"))
        .collect();
    assert!(output.status.success() && about_it.is_empty(), "{said}");
}

#[test]
fn the_unit_fits_what_mqhook_does() {
    assert_eq!(setting("Type"), "notify");
    let stop = setting("TimeoutStopSec");
    let stop: u64 = stop.trim_end_matches('s').parse().expect("whole seconds");
    let grace = Config::new().shutdown_grace;
    assert!(
        Duration::from_secs(stop) > grace + Duration::from_secs(5),
        "{grace:?}"
    );
    // The exit statuses of a wrong command line and of a wrong configuration.
    assert_eq!(setting("RestartPreventExitStatus"), "2 78");
    assert_eq!(setting("ExecReload"), "/bin/kill -HUP $MAINPID");
}

fn setting(name: &str) -> String {
    let unit = text(UNIT);
    let value = unit
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value
        .unwrap_or_else(|| panic!("expected {name} in the unit"))
        .to_owned()
}

#[tokio::test]
async fn systemd_is_told_of_start_life_and_stop() {
    let systemd = Systemd::listen();
    let pid = format!("WATCHDOG_PID=$$ exec {BINARY} \"$@\"");
    let mut sidecar = systemd.start(&pid);
    systemd.expect("READY=1");
    systemd.expect("WATCHDOG=1");
    systemd.expect("WATCHDOG=1");
    sidecar.terminate();
    systemd.expect("STOPPING=1");
    assert!(sidecar.wait().await.success());
}

#[tokio::test]
async fn systemd_is_told_of_a_reload() {
    let systemd = Systemd::listen();
    let mut sidecar = systemd.start(&format!("exec {BINARY} \"$@\""));
    systemd.expect("READY=1");
    for config in [CONFIG, "this is no configuration"] {
        sidecar.write_config(config);
        sidecar.hang_up();
        systemd.expect("RELOADING=1");
        systemd.expect("READY=1");
    }
    sidecar.terminate();
    assert!(sidecar.wait().await.success());
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let systemd = Systemd::listen();
    let _sidecar = systemd.start(&format!("WATCHDOG_PID=1 exec {BINARY} \"$@\""));
    systemd.expect("READY=1");
    let fed = systemd.hear(Duration::from_millis(500));
    assert_eq!(fed, None);
}

/// The end of the notification socket that systemd has.
struct Systemd {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Systemd {
    fn listen() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = UnixDatagram::bind(directory.path().join("notify")).expect("bind");
        Self { socket, directory }
    }

    /// Starts mqhook by a shell command, which knows its own process identifier.
    fn start(&self, command: &str) -> Sidecar {
        let script = self.directory.path().join("mqhook");
        write_script(&script, &format!("#!/bin/sh\n{command}\n"));
        let socket = self.directory.path().join("notify").display().to_string();
        let environment = [
            ("NOTIFY_SOCKET", socket.as_str()),
            ("WATCHDOG_USEC", "200000"),
        ];
        Sidecar::start_with_environment(script, CONFIG, "toml", &environment)
    }

    /// Waits for a notification, over others.
    fn expect(&self, notification: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let heard = self.hear(left.max(Duration::from_millis(1)));
            if heard.is_some_and(|heard| heard.lines().any(|line| line == notification)) {
                return;
            }
        }
        panic!("expected {notification} within {PATIENCE:?}");
    }

    fn hear(&self, within: Duration) -> Option<String> {
        let mut buffer = [0; 1024];
        self.socket
            .set_read_timeout(Some(within))
            .expect("it is not zero");
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
}

fn write_script(path: &Path, text: &str) {
    fs::write(path, text).expect("write the script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("make it executable");
}
