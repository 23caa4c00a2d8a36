//! Reads captured messages.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use bytestring::ByteString;
use mqhook::event::{Timestamp, TopicName};
use serde_json::Value;

/// Longest payload that is shown whole.
const SHOWN: usize = 360;

/// One message, and what made the broker send it.
pub struct Captured {
    /// Which broker, in which configuration; another one is another decoder's.
    pub source: String,
    pub stimulus: String,
    pub topic: TopicName,
    pub payload: Bytes,
}

impl Captured {
    /// Returns the time of the replay: a quarter of a second after what a Mosquitto line
    /// has in front, otherwise some time in 2026.
    pub fn now(&self) -> Timestamp {
        let text = String::from_utf8_lossy(&self.payload);
        let seconds = text
            .split_once(": ")
            .and_then(|(time, _)| time.parse().ok());
        let fresh = |seconds: u64| Timestamp::from_millis(seconds * 1_000 + 250);
        fresh(seconds.unwrap_or(1_795_216_000))
    }
}

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| match text.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("{}..({} bytes)", &text[..at], text.len()),
            None => text.replace('\0', "<NUL>"),
        };
        let topic = short(self.topic.as_str());
        let payload = short(&String::from_utf8_lossy(&self.payload));
        write!(f, "[{}] {topic} {payload}", self.stimulus)
    }
}

/// Returns the path of a file among the fixtures.
pub fn path(file: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/dialects").join(file)
}

/// Reads a file of captured messages.
pub fn read(file: &str) -> Vec<Captured> {
    let text = std::fs::read_to_string(path(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let captured: Vec<_> = if path(file).extension() == Some("jsonl".as_ref()) {
        text.lines().map(of_json).collect()
    } else {
        text.lines().filter_map(of_text).collect()
    };
    assert!(!captured.is_empty(), "{file} has no messages");
    captured
}

/// `{"broker": "..", "stimulus": "..", "topic": "..", "payload": ".."}`
fn of_json(line: &str) -> Captured {
    let json: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let text = |key: &str| json[key].as_str().unwrap_or_default();
    let broker = format!("{}{}", text("broker"), text("nanomq"));
    let stimulus = match text("stimulus") {
        "" => broker.clone(),
        stimulus => format!("{broker}: {stimulus}"),
    };
    Captured {
        source: format!("{broker} {}", text("conf")),
        stimulus,
        topic: topic(text("topic")),
        payload: Bytes::copy_from_slice(text("payload").as_bytes()),
    }
}

/// `   [stimulus] topic | b'payload' | q0 r0`; other lines are the capturing client's.
fn of_text(line: &str) -> Option<Captured> {
    let (stimulus, rest) = line.strip_prefix("   [")?.split_once("] ")?;
    let (topic_name, rest) = rest.split_once(" | b'")?;
    let (payload, _) = rest.rsplit_once("' | q")?;
    assert!(!payload.contains('\\'), "an escape of Python's: {line}");
    Some(Captured {
        source: String::new(),
        stimulus: stimulus.to_owned(),
        topic: topic(topic_name),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    })
}

fn topic(text: &str) -> TopicName {
    TopicName::try_from(ByteString::from(text)).unwrap_or_else(|e| panic!("{text}: {e}"))
}
