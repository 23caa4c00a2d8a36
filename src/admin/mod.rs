//! The admin API.
//!
//! | route | answer |
//! |---|---|
//! | `GET /live` | 200 while the process serves at all |
//! | `GET /ready` | 200 if events arrive, otherwise 503; either way one line per connection |
//! | `GET /metrics` | OpenMetrics text |
//!
//! It has a thread and a runtime of its own, so that it answers while the data path is stuck.

pub mod control;
mod health;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::sync::oneshot;

pub use health::{Health, Watched};

/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the API cannot be served. Nothing was changed; the operator must act.
#[derive(Debug, Error)]
pub enum Error {
    /// Another process listens there, or the address is not of this host.
    #[error("listen on {address}, which `admin.listen` asks for")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system gives no thread or no event queue.
    #[error("start the thread of the admin API")]
    Thread(#[source] std::io::Error),
}

/// A bound listener, not yet served.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

/// The running API; dropping it ends it.
#[derive(Debug)]
pub struct Serving {
    /// The server's thread holds the other end, and ends when this is dropped.
    _stop: oneshot::Sender<()>,
}

#[derive(Debug, Clone)]
struct Shared {
    registry: Arc<Registry>,
    health: Health,
}

impl Admin {
    /// Listens.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        listen().map_err(|source| Error::Listen { address, source })
    }

    /// Returns the address, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves on a thread of its own until the result is dropped.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn serve(self, registry: Registry, health: Health) -> Result<Serving, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let shared = Shared {
            registry: Arc::new(registry),
            health,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve(self.listener, shared, stopped)))
            .map_err(Error::Thread)?;
        Ok(Serving { _stop: stop })
    }
}

async fn serve(listener: TcpListener, shared: Shared, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin API");
            return;
        }
    };
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(shared);
    tokio::select! {
        served = axum::serve(listener, router).into_future() => {
            if let Err(error) = served {
                tracing::error!(%error, "the admin API ended");
            }
        }
        _ = stopped => {}
    }
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    let status = if shared.health.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, shared.health.to_string())
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shared.registry) {
        Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
