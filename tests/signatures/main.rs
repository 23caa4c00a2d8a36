//! A receiver can tell that a request comes from mqhook and is as it was sent.
//!
//! What is verified are the bytes that a receiver read from its socket, with libraries that others
//! wrote: the reference library of Standard Webhooks in Rust, and those in Python and Node where
//! `./test` could install them.

mod example;
mod foreign;
mod rotation;
mod shapes;
mod standard;

use support::mosquitto::Mosquitto;
use support::receiver::Request;
use support::setup::Setup;

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// Secrets of Standard Webhooks.
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What senders of bodies get wrong: nothing at all, characters of every length, quotes, zeros.
const PAYLOADS: [&str; 5] = [
    "x",
    "",
    "zürich 😀 \u{2028}",
    "{\"a\": \"\\\"\"}",
    "a\0b\r\n",
];

/// Starts with a webhook that gets everything and has this `sign` table.
async fn start(sign: &str) -> Setup {
    start_with("", sign).await
}

/// Like [`start`], with further keys of the webhook.
async fn start_with(keys: &str, sign: &str) -> Setup {
    let url = if keys.contains("url = ") {
        ""
    } else {
        "url = \"{receiver}/a?b=c\"\n"
    };
    let config = format!(
        "[webhooks.a]\n{url}{keys}\npool_size = 1\n\
         retry.exponential.initial = \"1500ms\"\n\
         events = [{{ event = \"on_message_publish\", topic = \"#\" }}]\n\
         [webhooks.a.sign]\n{sign}\n"
    );
    Setup::start(MQHOOK, Mosquitto::builder(), &config).await
}

/// Publishes each payload, and returns what the receiver read.
async fn capture(sign: &str) -> Vec<Request> {
    let setup = start(sign).await;
    for payload in PAYLOADS {
        setup.publish("t", payload).await;
    }
    setup.receiver.wait_for(PAYLOADS.len()).await
}

fn header(request: &Request, name: &str) -> String {
    let value = request.header(name);
    value.unwrap_or_else(|| panic!("expected {name} in {:?}", request.header_lines()))
}
