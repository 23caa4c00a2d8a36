//! A minimal receiver of mqhook's webhooks, to copy and build on.
//!
//! ```text
//! cargo run --example receiver                  # listens on 127.0.0.1:8080
//! cargo run --example receiver -- 0.0.0.0:9000
//! mqhook run --broker mqtt://127.0.0.1:1883 --post http://127.0.0.1:8080/hook
//! ```
//!
//! With a secret in `WEBHOOK_SECRET` it takes only what is signed with it, by Standard Webhooks:
//!
//! ```text
//! export WEBHOOK_SECRET="whsec_$(openssl rand -base64 32)"
//! cargo run --example receiver
//! mqhook run -c examples/signed.toml            # in a shell with the same variable
//! ```
//!
//! It takes requests of any method at any path, and prints each event once per path. mqhook posts an event again when it cannot know whether the receiver
//! has it, for example when the connection broke before the answer; the `webhook-id` header is then
//! the same, so what was seen before is acknowledged and left alone.
//!
//! | answer | what mqhook does |
//! |---|---|
//! | 2xx | the event is delivered |
//! | 408, 425, 429, 5xx, none in time | it posts the event again later |
//! | anything else | it gives the event up |
//!
//! So answer 2xx only when the event is safe on your side, and 5xx if you could not store it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use standardwebhooks::Webhook;

/// How many events are remembered. A real receiver keeps the ids beside what it stores, and lets
/// its database refuse the second of two.
const REMEMBERED: usize = 100_000;

/// The largest body that is taken; base64 makes a payload a third larger.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:8080");
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    println!(
        "waiting for events at http://{}/hook",
        listener.local_addr()?
    );
    let signed = match std::env::var("WEBHOOK_SECRET") {
        Ok(secret) => Some(Webhook::new(&secret).context("WEBHOOK_SECRET is no secret")?),
        Err(_) => None,
    };
    let receiver = Arc::new(Receiver {
        signed,
        seen: Mutex::default(),
    });
    let router = Router::new()
        .fallback(take)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(receiver);
    Ok(axum::serve(listener, router).await?)
}

/// What is known from request to request.
struct Receiver {
    /// Verifies signatures; `None` takes everything.
    signed: Option<Webhook>,
    seen: Mutex<Seen>,
}

/// Takes one event.
async fn take(
    State(receiver): State<Arc<Receiver>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    // Before anything is read of the body: the signature is of its bytes.
    if let Some(signed) = &receiver.signed
        && let Err(error) = signed.verify(&body, &headers)
    {
        println!("not taken: {error}");
        return StatusCode::UNAUTHORIZED;
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let Some(id) = id else {
        return StatusCode::BAD_REQUEST;
    };
    let mut seen = receiver.seen.lock().expect("nothing panics with the lock");
    // Several webhooks may post an event, each with the same id.
    if seen.is_new(&format!("{id} {}", uri.path())) {
        println!("{id} {method} {uri} {}", shown(&body));
    }
    StatusCode::NO_CONTENT
}

/// Returns a body in one line; escaped, as whoever publishes a message decides what is in it.
fn shown(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(event) => event.to_string(),
        Err(_) => format!("{:?}", String::from_utf8_lossy(body)),
    }
}

/// The ids of the latest events.
#[derive(Default)]
struct Seen {
    ids: HashSet<String>,
    in_order: VecDeque<String>,
}

impl Seen {
    /// Returns whether an id was not seen before, and remembers it.
    fn is_new(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.in_order.push_back(id.to_owned());
        if self.in_order.len() > REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
