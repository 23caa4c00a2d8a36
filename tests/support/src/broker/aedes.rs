//! Aedes, on Node.js.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Broker, find, first_number, folder, start};
use crate::client::Version;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../brokers/aedes/server.js");

/// Starts Aedes, if Node.js is installed and [`folder`] has it.
#[must_use]
pub fn aedes() -> Option<Broker> {
    let (node, folder) = (find("node")?, folder().join("aedes"));
    let package = fs::read_to_string(folder.join("node_modules/aedes/package.json")).ok()?;
    let (_, version) = package.split_once("\"version\":")?;
    let (port, running) = start("running", |port, _: &Path| {
        let mut command = Command::new(&node);
        command.arg(SERVER).arg(&folder).arg(port.to_string());
        command
    });
    Some(Broker {
        name: "Aedes",
        version: first_number(version),
        port,
        speaks: &[Version::V311],
        max_qos: 2,
        dialect: "auto",
        is_ordered: true,
        running,
    })
}
