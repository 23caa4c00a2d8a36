//! Requests to the API, with what they need of headers.

use serde_json::Value;
use support::setup::Setup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer of the API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub fn tag(&self) -> String {
        let tag = self.header("etag").map(str::to_owned);
        tag.unwrap_or_else(|| panic!("expected an ETag, got {self:?}"))
    }

    /// Asserts the status, and returns the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() {
            return Value::Null;
        }
        self.json()
    }

    /// Asserts a problem that has this among what is wrong.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, part: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        let media_type = self.header("content-type");
        assert_eq!(
            media_type,
            Some("application/problem+json"),
            "{}",
            self.text
        );
        assert!(
            self.text.contains(part),
            "expected {part:?} in {}",
            self.text
        );
    }
}

/// Who asks, and of which sidecar.
pub struct Asker {
    port: u16,
    token: Option<String>,
}

impl Asker {
    /// Returns a program on this host.
    pub fn local(setup: &Setup) -> Self {
        Self {
            port: setup.admin,
            token: None,
        }
    }

    /// Returns one who has a token.
    pub fn with(setup: &Setup, token: &str) -> Self {
        Self {
            port: setup.admin,
            token: Some(token.to_owned()),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], &body.to_string()).await
    }

    pub async fn put(&self, path: &str, tag: &str, body: &Value) -> Answer {
        self.ask("PUT", path, &[("If-Match", tag)], &body.to_string())
            .await
    }

    pub async fn delete(&self, path: &str, tag: &str) -> Answer {
        self.ask("DELETE", path, &[("If-Match", tag)], "").await
    }

    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n",
            self.port
        );
        if let Some(token) = &self.token {
            head.push_str(&["Authorization: Bearer ", token, "\r\n"].concat());
        }
        for (name, value) in headers {
            head.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        if !body.is_empty() {
            let length = body.len().to_string();
            head.push_str("Content-Type: application/json\r\nContent-Length: ");
            head.push_str(&[&length, "\r\n"].concat());
        }
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        let mut stream = stream.expect("expected the API to listen");
        let request = format!("{head}\r\n{body}");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("it reads");
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(std::time::Duration::from_secs(40), read).await;
        read.expect("expected an answer in time")
            .expect("it writes");
        let answer = String::from_utf8(answer).expect("the API writes UTF-8");
        let (head, text) = answer.split_once("\r\n\r\n").expect("it is HTTP");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.expect("it is HTTP"),
            head: head.to_owned(),
            text: text.to_owned(),
        }
    }
}
