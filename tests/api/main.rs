//! The admin API, on the real binary: who may do what, what it takes and answers, and what it withstands.

mod access;
mod client;
mod dead_letters;
mod document;
mod fuzz;
mod limits;
mod local;
mod matrix;
mod schema;
mod stuck;
mod tokens;

use std::path::PathBuf;

use serde_json::Value;
use support::mosquitto::Mosquitto;
use support::setup::Setup;
use support::sidecar::Sidecar;

use client::Client;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Three webhooks, of which one remembers nothing.
const WEBHOOKS: &str = "[webhooks.a]
url = \"{receiver}/a\"
events = [{ event = \"on_message_publish\", topic = \"a/#\" }]
headers.authorization = \"Bearer s3cret-of-a\"
[webhooks.b]
url = \"{receiver}/b?key=s3cret-of-b\"
events = [{ event = \"on_message_publish\", topic = \"b/#\" }]
[webhooks.loose]
url = \"{receiver}/loose\"
durable = false
events = [{ event = \"on_message_publish\", topic = \"loose/#\" }]
";

/// Starts everything with these webhooks.
async fn start() -> Setup {
    Setup::start(MQHOOK, Mosquitto::builder(), WEBHOOKS).await
}

/// Returns who asks without a token.
fn anonymous(setup: &Setup) -> Client {
    Client::new(setup.admin, None)
}

/// Makes a token with the command line, and returns who asks with it.
fn token(setup: &Setup, name: &str, arguments: &[&str]) -> Client {
    Client::new(setup.admin, Some(create(&setup.sidecar, name, arguments)))
}

/// Makes a token with the command line.
fn create(sidecar: &Sidecar, name: &str, arguments: &[&str]) -> String {
    let all = [&["tokens", "create", name], arguments].concat();
    let output = sidecar.command(&all);
    assert!(output.status.success(), "{all:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("it is text");
    text.trim().to_owned()
}

/// Returns a file of the repository.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the text under a key.
fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    let text = object[key].as_str();
    text.unwrap_or_else(|| panic!("expected a text under {key} in {object}"))
}
