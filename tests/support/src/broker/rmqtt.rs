//! RMQTT, from `tests/brokers/rmqtt`.

use std::path::Path;
use std::process::Command;

use super::{Broker, folder, start};
use crate::client::Version;

const LOCK: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../brokers/rmqtt/Cargo.lock"
));

/// Starts RMQTT with its plugin rmqtt-sys-topic, if [`folder`] has it.
#[must_use]
pub fn rmqtt() -> Option<Broker> {
    let program = folder().join("rmqtt/debug/rmqtt-broker");
    if !program.is_file() {
        return None;
    }
    let (port, running) = start("running", |port, _: &Path| {
        let mut command = Command::new(&program);
        command.arg(port.to_string());
        command
    });
    Some(Broker {
        name: "RMQTT",
        version: locked(LOCK, "rmqtt"),
        port,
        speaks: &[Version::V311, Version::V5],
        max_qos: 2,
        dialect: "auto",
        is_ordered: false,
        running,
    })
}

/// Returns the version of a package in a Cargo.lock.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn locked(lock: &str, package: &str) -> String {
    let name = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock
        .split_once(&name)
        .expect("expected the package in the lock file");
    rest.split('"').next().unwrap_or_default().to_owned()
}
