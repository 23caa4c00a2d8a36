//! The receiver of the demo's webhooks.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use serde_json::Value;
use tokio::sync::watch;

use crate::PATIENCE;

/// Takes webhooks and prints them.
pub struct Receiver {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    refused: watch::Sender<usize>,
    /// Whether requests are answered 503.
    pub is_down: AtomicBool,
    /// What was taken: the action, and the rest of the line that was printed.
    taken: watch::Sender<Vec<(String, String)>>,
}

impl Receiver {
    /// Listens on a free port.
    pub async fn start() -> Result<Arc<Self>> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let receiver = Arc::new(Self {
            address: listener.local_addr()?,
            connections: Arc::default(),
            refused: watch::Sender::default(),
            is_down: AtomicBool::new(false),
            taken: watch::Sender::default(),
        });
        let connections = Arc::clone(&receiver.connections);
        let listener = listener.tap_io(move |_| {
            connections.fetch_add(1, Ordering::Relaxed);
        });
        let router = Router::new()
            .route("/hook", post(take))
            .with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// Waits until events of this action were taken whose lines contain all these parts.
    pub async fn expect(&self, action: &str, parts: &[&str]) -> Result<()> {
        let is_missing = |taken: &[(String, String)], part: &str| {
            !taken
                .iter()
                .any(|(of, line)| of == action && line.contains(part))
        };
        let mut taken = self.taken.subscribe();
        let all = taken.wait_for(|taken| !parts.iter().any(|part| is_missing(taken, part)));
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            let mut parts = parts.to_vec();
            parts.retain(|part| is_missing(&self.taken.borrow(), part));
            bail!("events of {action} did not arrive: {parts:?}");
        }
        Ok(())
    }

    /// Waits until this many requests were answered 503.
    pub async fn expect_refused(&self, count: usize) -> Result<()> {
        let mut refused = self.refused.subscribe();
        let enough = refused.wait_for(|refused| *refused >= count);
        let enough = tokio::time::timeout(PATIENCE, enough).await;
        enough.context("mqhook made no request during the outage")??;
        Ok(())
    }

    /// Prints what was taken, by kind.
    pub fn print_summary(&self, elapsed: Duration) {
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for (action, _) in self.taken.borrow().iter() {
            *kinds.entry(action.clone()).or_default() += 1;
        }
        let events: usize = kinds.values().sum();
        let (refused, connections) = (
            *self.refused.borrow(),
            self.connections.load(Ordering::Relaxed),
        );
        println!(
            "\nEvery event arrived: {events} in {:.1} s.",
            elapsed.as_secs_f64()
        );
        for (action, count) in kinds {
            println!("  {count:3}  {action}");
        }
        println!(
            "{} requests over {connections} connections; {refused} were answered 503.",
            events + refused
        );
    }
}

/// Answers one request.
async fn take(State(receiver): State<Arc<Receiver>>, body: Bytes) -> StatusCode {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let (action, line) = describe(&body);
    let status = if receiver.is_down.load(Ordering::Acquire) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::NO_CONTENT
    };
    println!("{} {action:21} {line}", status.as_u16());
    if status.is_success() {
        receiver
            .taken
            .send_modify(|taken| taken.push((action, line)));
    } else {
        receiver.refused.send_modify(|refused| *refused += 1);
    }
    status
}

/// Returns the action, and who and what else.
fn describe(body: &Value) -> (String, String) {
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    let who = match (text("clientid"), text("username")) {
        (id, user) if id.is_empty() && user.is_empty() => String::new(),
        (id, user) if id.is_empty() => format!("({user})"),
        (id, user) => format!("{id} ({user})"),
    };
    let what = ["conn_ack", "reason", "topic", "payload"]
        .map(text)
        .join(" ");
    let line = format!("{who:22} {}", what.trim());
    (text("action"), line)
}
