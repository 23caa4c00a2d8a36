//! Events as lines: what a receiver gets, without what differs from run to run.

use std::fmt::Write as _;

use serde_json::Value;
use support::receiver::Request;

/// One event.
#[derive(Debug, Clone)]
pub struct Told {
    /// Such as `client_connected`.
    pub kind: String,
    /// The client that it is about, empty if that is not known.
    pub client_id: String,
    /// The topic of a message, otherwise empty.
    pub topic: String,
    /// All of it that is worth comparing.
    pub line: String,
}

impl Told {
    /// Reads a body of the format `json`.
    pub fn read(request: &Request) -> Self {
        let body: Value = serde_json::from_str(request.text()).expect("a body that is JSON");
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let kind = text("kind");
        let kind = kind.strip_prefix("on_").expect("a kind").to_owned();
        let mut line = kind.clone();
        for (key, value) in body.as_object().expect("an object") {
            if !matches!(key.as_str(), "id" | "kind" | "time") && !value.is_null() {
                let _ = write!(line, " {key}={}", masked(key, value));
            }
        }
        Self {
            client_id: text("client_id"),
            topic: text("topic"),
            line,
            kind,
        }
    }

    /// Returns whether it is about a client, and not a message.
    pub fn is_lifecycle(&self) -> bool {
        self.kind != "message_publish"
    }
}

/// Replaces what is of this run only, once it is seen to be plausible.
fn masked(key: &str, value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    match key {
        "address" => {
            let (host, port) = text.split_once(':').unwrap_or((text, ""));
            assert_eq!(host, "127.0.0.1", "expected the client's address");
            let suffix = if port.is_empty() { "" } else { ":port" };
            format!("ip{suffix}")
        }
        "message_expiry_s" => "rest".to_owned(),
        "connected_at" => {
            assert!(text.starts_with("20"), "expected a time, got {text}");
            "time".to_owned()
        }
        _ => value.to_string(),
    }
}
