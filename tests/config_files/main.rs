//! The files under `config/` do what they say.
//!
//! | file | promise |
//! |---|---|
//! | `mqhook.toml`, `mqhook.conf` | they load, show every key that there is, and equal the defaults |
//! | `nanomq.conf` | `NanoMQ`'s documented example is understood as it is |
//! | `systemd/mqhook.service` | systemd takes it, and mqhook keeps its side of `Type=notify` |

mod keys;
mod nanomq;
mod native;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The files that show every key.
const NATIVE: [&str; 2] = ["mqhook.toml", "mqhook.conf"];

/// Returns the path of a file under `config/`.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

/// Returns the text of a file under `config/`.
fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).expect("the file is there")
}

/// Runs `mqhook check` on a file, expects success and silence on standard error, and returns what
/// it says.
fn check(name: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mqhook"))
        .arg("check")
        .arg("-c")
        .arg(path(name))
        .output()
        .expect("mqhook runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints, "", "{name}");
    assert!(output.status.success(), "{name}: {}", output.status);
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}
