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
mod changes;
mod clients;
mod connections;
pub mod control;
mod dead_letters;
mod definitions;
mod deliveries;
mod devices;
pub mod event;
mod events;
mod failures;
mod fields;
mod gauges;
mod groups;
mod health;
mod local;
mod log;
mod openapi;
mod page;
mod patience;
mod probes;
mod problem;
mod process;
pub mod publish;
mod reload;
mod replay;
mod routes;
mod segment;
mod server;
mod status;
mod store;
mod stream;
mod switch;
mod tokens;
mod webhooks;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use axum::Router;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::delivery_log::DeliveryLog;
use crate::spool::Passing;
use crate::tap::Tap;

use auth::Tokens;

use crate::event::Timestamp;
use crate::spool::Spool;
use crate::spool::store::Store;
use crate::{config, intake};

pub use access::{Caller, Limited, Needs, Sight, audit};
pub use answer::{Tag, Window};
pub use auth::new_token;
pub use control::Control;
pub use fields::{Body, Fields, OptionalBody, Query};
pub use health::{Health, Watched};
pub use log::LogHandle;
pub use problem::{Flaw, Problem};
pub use publish::Configured;
pub use routes::{Entry, routes};
pub use segment::Segment;
pub use store::StoreHandle;
pub use tokens::{find as find_token, token_limit, token_name};

/// Why the API cannot be served. Nothing was changed; the operator must act.
#[derive(Debug, Error)]
pub enum Error {
    /// Another process listens there, or the address is not of this host.
    #[error("listen on {address}, which `{key}` asks for")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The key of the configuration.
        key: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// Others than programs on this host could ask, and whoever asks may do everything.
    #[error(
        "serve the admin API on {address} without a token: make one with `mqhook tokens create --role admin NAME`, or let `admin.listen` be 127.0.0.1; `admin.metrics_listen` opens /metrics, /live and /ready alone"
    )]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// The same, where no token can be made.
    #[error(
        "serve the admin API on {address}, as tokens need a spool on disk: let `admin.listen` be 127.0.0.1, or remove `spool.backend`; `admin.metrics_listen` opens /metrics, /live and /ready alone"
    )]
    NoTokenInMemory {
        /// The address.
        address: SocketAddr,
    },
    /// It is not known whether there is a token.
    #[error("look for tokens of the admin API")]
    Tokens(#[source] crate::spool::store::Error),
    /// The same.
    #[error("look for tokens of the admin API")]
    Open(#[source] crate::spool::store::OpenError),
    /// The operating system gives no thread or no event queue.
    #[error("start the thread of the admin API")]
    Thread(#[source] std::io::Error),
}

/// Bound listeners, not yet served.
#[derive(Debug)]
pub struct Admin {
    api: Option<Listener>,
    metrics: Option<Listener>,
}

#[derive(Debug)]
struct Listener {
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
    /// What waits.
    pub spool: Spool,
    /// Counts of what came in.
    pub came_in: intake::Metrics,
    /// The broker's URL, without what is secret.
    pub broker: String,
    /// What is remembered of deliveries.
    pub log: DeliveryLog,
    /// Accepted events, as they are.
    pub events: Tap<Passing>,
    /// The data path.
    pub control: Arc<dyn Control>,
    /// What is configured, and the ways to and from it.
    pub configured: Configured,
}

/// What handlers share.
pub struct Api {
    registry: Registry,
    health: Health,
    spool: Spool,
    came_in: intake::Metrics,
    broker: String,
    started_at: Timestamp,
    /// The spool's database.
    pub store: StoreHandle,
    /// What is remembered of deliveries.
    pub log: LogHandle,
    /// Accepted events, as they are.
    pub events: Tap<Passing>,
    /// The data path.
    pub control: Arc<dyn Control>,
    /// What is configured, and the ways to and from it.
    pub configured: Configured,
    tokens: Tokens,
    /// Whether, without any token, programs on this host may do everything.
    trusts_loopback: bool,
}

impl Admin {
    /// Listens where the configuration says.
    ///
    /// # Errors
    /// An address cannot be listened on.
    pub fn bind(config: &config::Admin) -> Result<Self, Error> {
        let bind = |address: Option<SocketAddr>, key| {
            let listener = address.map(|address| Listener::bind(address, key));
            listener.transpose()
        };
        Ok(Self {
            api: bind(config.listen, "admin.listen")?,
            metrics: bind(config.metrics_listen, "admin.metrics_listen")?,
        })
    }

    /// Returns the address of the API, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.api.as_ref().map(|listener| listener.address)
    }

    /// Returns the address where metrics are, with the port that port 0 became.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|listener| listener.address)
    }

    /// Serves on a thread of its own until the result is dropped; the database is open by now.
    ///
    /// # Errors
    /// The operating system gives no thread, or there is no token and others than programs on this host
    /// could ask.
    pub fn serve(self, parts: Parts) -> Result<Serving, Error> {
        let address = self.address();
        let trusts_loopback = address.is_none_or(|address| local::is_loopback(address.ip()));
        if let Some(address) = address.filter(|_| !trusts_loopback) {
            require_token(address, parts.dir.as_deref())?;
        }
        let (stop, stopped) = oneshot::channel::<()>();
        if self.api.is_none() && self.metrics.is_none() {
            return Ok(Serving { _stop: stop });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let api = Arc::new(Api {
            registry: parts.registry,
            health: parts.health,
            spool: parts.spool,
            came_in: parts.came_in,
            broker: parts.broker,
            started_at: Timestamp::now(),
            store: StoreHandle::new(parts.dir),
            log: LogHandle::new(parts.log),
            events: parts.events,
            control: parts.control,
            configured: parts.configured,
            tokens: Tokens::default(),
            trusts_loopback,
        });
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let counts = tokio::spawn(webhooks::keep(Arc::clone(&api)));
                    let overlaps = tokio::spawn(webhooks::end_all(Arc::clone(&api)));
                    self.run(&api, stopped).await;
                    counts.abort();
                    overlaps.abort();
                });
            })
            .map_err(Error::Thread)?;
        Ok(Serving { _stop: stop })
    }

    async fn run(self, api: &Arc<Api>, stopped: oneshot::Receiver<()>) {
        let serve = async |listener: Option<Listener>, router: Router| match listener {
            None => std::future::pending().await,
            Some(listener) => listener.serve(router).await,
        };
        tokio::select! {
            () = serve(self.api, routes::router(api)) => {}
            () = serve(self.metrics, routes::metrics_router(api)) => {}
            _ = stopped => {}
        }
    }
}

impl Listener {
    fn bind(address: SocketAddr, key: &'static str) -> Result<Self, Error> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        listen().map_err(|source| Error::Listen {
            address,
            key,
            source,
        })
    }

    async fn serve(self, router: Router) {
        match tokio::net::TcpListener::from_std(self.listener) {
            Ok(listener) => server::serve(listener, router).await,
            Err(error) => tracing::error!(%error, "cannot serve the admin API"),
        }
    }
}

/// Refuses to serve others than programs on this host if whoever asks might do everything.
fn require_token(address: SocketAddr, dir: Option<&Path>) -> Result<(), Error> {
    let dir = dir.ok_or(Error::NoTokenInMemory { address })?;
    let store = Store::attach(dir).map_err(Error::Open)?;
    if store.tokens().map_err(Error::Tokens)?.is_empty() {
        return Err(Error::NoToken { address });
    }
    Ok(())
}
