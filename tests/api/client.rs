//! A client that compares each answer with the document.

use serde_json::Value;
use support::http::{self, Answer};

use super::schema;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Client {
    pub port: u16,
    pub token: Option<String>,
}

impl Client {
    pub fn new(port: u16, token: Option<String>) -> Self {
        Self { port, token }
    }

    /// Sends a request; what is answered must be what the document says.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        if let Some(bearer) = &bearer {
            all.push(("Authorization", bearer));
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            all.push(("Content-Type", "application/json"));
        }
        let answer = http::send(self.port, method, path, &all, body).await;
        schema::check(method, path, &answer);
        answer
    }

    /// Sends a request, and expects this status; returns the body, null if it is empty or no JSON.
    pub async fn call(&self, method: &str, path: &str, body: &str, status: u16) -> Value {
        let answer = self.send(method, path, &[], body).await;
        assert_eq!(
            answer.status, status,
            "{method} {path} {body}: {}",
            answer.body
        );
        serde_json::from_str(&answer.body).unwrap_or_default()
    }

    /// Gets what there is.
    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, "", 200).await
    }
}
