//! The program: its command line, its exit statuses, its signals, and what it never says.

mod command_line;
mod nanomq;
mod secrets;
mod shutdown;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// A webhook that gets every message, and holds nobody up for long.
const WEBHOOK: &str = "[webhooks.a]
url = \"{receiver}\"
timeout = \"20s\"
retry.exponential.initial = \"20ms\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
";
