//! With a spool in memory, nothing that the broker holds is acknowledged before it is delivered or
//! given up.
//!
//! With `receive_maximum = 1` the broker sends a message only after the PUBACK of the one before,
//! so that the arrival of the last message proves that the broker has all the PUBACKs before it.

mod bound;
mod order;
mod restart;

use support::client::{Client, Publish};
use support::receiver::{Behaviour, Gate, Receiver};

const MQHOOK: &str = env!("CARGO_BIN_EXE_mqhook");

/// One webhook that gets everything, and a spool that holds nothing for the broker.
const WEBHOOK: &str = "spool.backend = \"memory\"
[webhooks.a]
url = \"{receiver}\"
retry.exponential.initial = \"50ms\"
events = [{ event = \"on_message_publish\", topic = \"#\" }]
";

/// Publishes messages at QoS 1 whose payloads are these texts.
async fn publish(client: &mut Client, payloads: &[String]) {
    for payload in payloads {
        let message = Publish::new("t", payload.clone()).qos(1);
        assert_eq!(client.publish(&message).await, 0, "expected it to be taken");
    }
}

/// Returns distinct texts.
fn payloads(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("number {number:04}"))
        .collect()
}

/// Returns the distinct payloads of the receiver's requests from one on, sorted.
fn arrived(receiver: &Receiver, from: usize) -> Vec<String> {
    let requests = receiver.requests();
    let mut payloads: Vec<String> = requests[from..]
        .iter()
        .map(|request| payload(request.text()).to_owned())
        .collect();
    payloads.sort_unstable();
    payloads.dedup();
    payloads
}

/// Returns the payload in a body; only payloads that JSON does not escape are used here.
fn payload(body: &str) -> &str {
    let (_, rest) = body.split_once("\"payload\":\"").expect("a message's body");
    rest.strip_suffix("\"}").expect("the payload comes last")
}

/// Waits until all payloads have arrived in requests from one on.
async fn wait_for_all(receiver: &Receiver, from: usize, expected: &[String]) {
    receiver
        .wait_until(|requests| {
            let later = requests.get(from..).unwrap_or_default();
            expected.iter().all(|expected| {
                later
                    .iter()
                    .any(|request| payload(request.text()) == expected)
            })
        })
        .await;
}

/// Holds requests with this payload, and answers others.
fn hold_only(receiver: &Receiver, gate: &Gate, held: &'static str) {
    let held_back = Behaviour::Status(200).behind(gate);
    receiver.set_script(move |request| {
        if payload(request.text()) == held {
            held_back.clone()
        } else {
            Behaviour::Status(200)
        }
    });
}
