//! NATS server, configured as mqhook's documentation says.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Broker, find, first_number, output, start};
use crate::client::Version;
use crate::port::free_port;

const CONFIG: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../config/nats-server.conf"
));

/// Starts NATS server with `config/nats-server.conf`, if it is installed.
#[must_use]
pub fn nats() -> Option<Broker> {
    let program = find("nats-server")?;
    let (port, running) = start("Server is ready", |port, directory| {
        let file = directory.join("nats-server.conf");
        fs::write(&file, config(port, directory)).expect("write the configuration");
        let mut command = Command::new(&program);
        command.arg("-c").arg(file);
        command
    });
    Some(Broker {
        name: "NATS",
        version: first_number(&output(Command::new(&program).arg("--version"))),
        port,
        speaks: &[Version::V311],
        max_qos: 1,
        dialect: "nats",
        is_ordered: true,
        running,
    })
}

/// Returns the documented configuration, with places of the test's own.
fn config(port: u16, directory: &Path) -> String {
    let mut text = CONFIG.to_owned();
    for (documented, ours) in [
        ("127.0.0.1:4222", format!("127.0.0.1:{}", free_port())),
        ("0.0.0.0:1883", format!("127.0.0.1:{port}")),
        (
            "/var/lib/nats",
            directory.join("jetstream").display().to_string(),
        ),
    ] {
        assert!(text.contains(documented), "expected {documented} in it");
        text = text.replace(documented, &ours);
    }
    text
}
