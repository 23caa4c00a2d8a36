//! The admin API: HTTP, JSON, on a thread and a runtime of its own, so that it answers while the data path is stuck.
//!
//! ```text
//! server: connections, deadlines --> routes: the one list --> auth: who asks, may they? --> a resource
//!                                                                                             |     |
//!                                         store: beside the keeper, on threads of its own <---+     +--> control: the data path
//! ```
//!
//! [`routes()`] has every route; `docs/openapi.json` says what each takes and answers. Errors are
//! problem details ([`Problem`]). No handler blocks: what asks the database goes through [`StoreHandle`], which has a
//! deadline, and what asks the data path through [`Control`].

mod access;
mod answer;
mod auth;
mod connections;
pub mod control;
mod devices;
mod failures;
mod fields;
mod gauges;
mod health;
mod local;
mod patience;
mod probes;
mod problem;
mod process;
mod routes;
mod segment;
mod server;
mod store;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use axum::Router;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::sync::oneshot;

use auth::Tokens;

pub use access::{Caller, Limited, Needs, Sight, audit};
pub use answer::{Tag, Window};
pub use auth::new_token;
pub use control::Control;
pub use fields::{Body, Fields, OptionalBody, Query};
pub use health::{Health, Watched};
pub use problem::{Flaw, Problem};
pub use routes::{Entry, routes};
pub use segment::Segment;
pub use store::StoreHandle;

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

/// What the API tells of and acts on.
pub struct Parts {
    /// All metrics.
    pub registry: Registry,
    /// Whether events arrive.
    pub health: Health,
    /// Where the spool's database is; `None` for a spool in memory.
    pub dir: Option<PathBuf>,
    /// The data path.
    pub control: Arc<dyn Control>,
}

/// What handlers share.
pub struct Api {
    registry: Registry,
    health: Health,
    /// The spool's database.
    pub store: StoreHandle,
    /// The data path.
    pub control: Arc<dyn Control>,
    tokens: Tokens,
    /// Whether, without any token, programs on this host may do everything.
    trusts_loopback: bool,
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
    pub fn serve(self, parts: Parts) -> Result<Serving, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let api = Arc::new(Api {
            registry: parts.registry,
            health: parts.health,
            store: StoreHandle::new(parts.dir),
            control: parts.control,
            tokens: Tokens::default(),
            trusts_loopback: local::is_loopback(self.address.ip()),
        });
        let router = routes::router(&api);
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve(self.listener, router, stopped)))
            .map_err(Error::Thread)?;
        Ok(Serving { _stop: stop })
    }
}

async fn serve(listener: TcpListener, router: Router, stopped: oneshot::Receiver<()>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "cannot serve the admin API");
            return;
        }
    };
    tokio::select! {
        () = server::serve(listener, router) => {}
        _ = stopped => {}
    }
}
