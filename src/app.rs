//! The whole: builds every component, runs them, and stops them in order.
//!
//! ```text
//! signal -> not ready -> take no more -> commit, PUBACK -> finish attempts (grace) -> commit
//!        -> DISCONNECT -> close the spool -> end
//! ```
//!
//! This is the only place that starts tasks that live as long as the program; the pools start
//! one per connection. A task that ends before it is told to is a bug, and ends the program.

mod builder;
mod publishing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use builder::Builder;
use publishing::Publishing;

use crate::admin::control::Fixed;
use crate::admin::{self, Admin, Configured, Health, Serving};
use crate::catalogue::{self, Catalogue};
use crate::config::Config;
use crate::delivery_log::{self, DeliveryLog};
use crate::devices::Registrar;
use crate::dispatch::{Lane, Shaping};
use crate::intake::{Lifecycle, Messages, Probe};
use crate::mqtt::{Announcer, Connection};
use crate::retry::breaker;
use crate::rule::Rule;
use crate::sink::Sink;
use crate::spool::{self, Backend, Spool};
use crate::{http, retry, tls};

/// The prefix of every metric.
const METRICS_PREFIX: &str = "mqhook";

/// Attempts at a time of a receiver that does not say otherwise: as many as a webhook has connections.
const CONCURRENCY: usize = http::Config::POOL_SIZE;

/// Why mqhook cannot run. Nothing is left running; the operator must act.
#[derive(Debug, Error)]
pub enum Error {
    /// Of `broker.tls`.
    #[error("prepare TLS for the broker")]
    BrokerTls(#[source] tls::Error),
    /// Of a webhook's `tls`, `sign` or `auth`.
    #[error("prepare the webhook `{webhook}`")]
    Webhook {
        /// The webhook's name.
        webhook: String,
        /// Why.
        source: http::Error,
    },
    /// Of what was configured over the API.
    #[error(transparent)]
    Configured(#[from] catalogue::Error),
    /// Of `admin`.
    #[error("serve the admin API")]
    Admin(#[from] admin::Error),
    /// Of `spool`.
    #[error(transparent)]
    Spool(#[from] spool::OpenError),
    /// A bug.
    #[error("go on: a task of mqhook ended by itself")]
    TaskEnded(#[source] Option<tokio::task::JoinError>),
}

/// A receiver of events that is not an HTTP webhook of the configuration.
pub struct Receiver {
    /// Its name, for logs and metrics.
    pub name: String,
    /// Which events it takes.
    pub rules: Vec<Rule>,
    /// The most attempts at a time; at least 1, default 32.
    pub concurrency: usize,
    /// Whether its deliveries survive a crash, if the spool does.
    pub durable: bool,
    /// When a delivery is attempted again, and when it is given up.
    pub retry: retry::Policy,
    /// When it is left alone for a while.
    pub breaker: breaker::Config,
    /// When it is disabled.
    pub failure_limit: retry::FailureLimit,
    /// In which order, how many at once and how often; by default each event as soon as it can be.
    pub shaping: Shaping,
    /// Takes the events.
    pub sink: Arc<dyn Sink>,
}

/// mqhook, built and not yet running.
pub struct App {
    health: Health,
    grace: Duration,
    spool: Spool,
    spool_thread: spool::Thread,
    log: DeliveryLog,
    log_thread: delivery_log::Thread,
    lanes: Vec<Lane>,
    messages: Vec<Connection<Messages>>,
    lifecycle: Option<(Connection<Lifecycle>, Probe)>,
    announcer: Option<Announcer>,
    registrar: Option<Registrar>,
    publishing: Publishing,
    /// Ends the admin API when dropped.
    serving: Serving,
    admin_addresses: (Option<SocketAddr>, Option<SocketAddr>),
    closing: CancellationToken,
}

impl App {
    /// Builds everything and binds the admin listener; nothing is connected yet.
    ///
    /// # Errors
    /// A TLS file or the admin listener is not as configured.
    pub fn new(config: &Config) -> Result<Self, Error> {
        Self::with_receivers(config, Vec::new())
    }

    /// Builds everything, with further receivers behind the webhooks of the configuration.
    ///
    /// # Errors
    /// A TLS file or the admin listener is not as configured.
    pub fn with_receivers(config: &Config, more: Vec<Receiver>) -> Result<Self, Error> {
        let catalogue = Arc::new(Catalogue::at_start(config.clone())?);
        let config = &*catalogue.view().config;
        let admin = Admin::bind(&config.admin)?;
        let admin_addresses = (admin.address(), admin.metrics_address());
        let mut receivers = Vec::new();
        for webhook in &config.webhooks {
            receivers.push(receiver(webhook.clone())?);
        }
        receivers.extend(more);

        let mut registry = Registry::with_prefix(METRICS_PREFIX);
        let mut builder = Builder::new(config, &receivers, &mut registry)?;
        let webhooks: Vec<_> = receivers.iter().map(Receiver::to_spool).collect();
        let metrics = spool::MetricsFamily::new(&mut registry);
        let (spool, spool_thread, queues) = Spool::open(&config.spool, &webhooks, metrics)?;
        let announcer = builder.announcer();
        let (log, log_thread) = delivery_log(config, &mut registry);
        let lanes = builder.lanes(receivers, &spool, queues, (&log, &mut registry));
        let registrar = builder.registrar(&spool, &mut registry);
        let messages = builder.messages(&spool);
        let lifecycle = builder.lifecycle(&spool);
        let health = builder.health(lifecycle.as_ref(), &spool);
        let (publisher, publishing) = builder.publishing(&spool);
        let serving = admin.serve(admin::Parts {
            registry,
            health: health.clone(),
            dir: match &config.spool.backend {
                Backend::Sqlite { dir } => Some(dir.clone()),
                Backend::Memory => None,
            },
            spool: spool.clone(),
            log: log.clone(),
            events: spool.tap().clone(),
            came_in: builder.intake.clone(),
            broker: config.broker.url.to_string(),
            configured: Configured {
                catalogue,
                publisher,
                activities: builder.activities.clone(),
            },
            control: Arc::new(Fixed(webhooks.into_iter().map(|it| it.name).collect())),
        })?;
        Ok(Self {
            health,
            grace: config.shutdown_grace,
            spool,
            spool_thread,
            log,
            log_thread,
            lanes,
            messages,
            lifecycle,
            announcer,
            registrar,
            publishing,
            serving,
            admin_addresses,
            closing: builder.closing,
        })
    }

    /// Returns whether events arrive.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Returns what is remembered of deliveries.
    #[must_use]
    pub fn delivery_log(&self) -> &DeliveryLog {
        &self.log
    }

    /// Returns where the admin API listens, if it does.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_addresses.0
    }

    /// Returns where metrics alone are served, if they are.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.admin_addresses.1
    }

    /// Runs until `stop`, then stops in order.
    ///
    /// # Errors
    /// A task ended by itself.
    ///
    /// # Cancel safety
    /// Dropping the future stops everything at once; the broker keeps what is not acknowledged.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut lanes = JoinSet::new();
        for lane in self.lanes {
            lanes.spawn(lane.run(self.closing.clone()));
        }
        let spool = self.spool;
        let disconnect = CancellationToken::new();
        let mut connections = JoinSet::new();
        for connection in self.messages {
            connections.spawn(connection.run(disconnect.clone()));
        }
        if let Some((connection, probe)) = self.lifecycle {
            connections.spawn(connection.run(disconnect.clone()));
            connections.spawn(probe.run(disconnect.clone()));
        }
        if let Some(announcer) = self.announcer {
            connections.spawn(announcer.run(disconnect.clone()));
        }
        connections.spawn(self.publishing.run(self.closing.clone()));
        if let Some(registrar) = self.registrar {
            connections.spawn(registrar.run(disconnect.clone()));
        }
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = first_end(&mut lanes) => ended,
            ended = first_end(&mut connections) => ended,
        };
        info!("shutting down");
        self.closing.cancel();
        let deadline = Instant::now() + self.grace;
        // What is on disk is acknowledged while the last attempts go on.
        let _ = timeout_at(deadline, spool.flush()).await;
        let _ = timeout_at(deadline, drain(&mut lanes)).await;
        lanes.shutdown().await;
        let _ = timeout_at(deadline, spool.flush()).await;
        say_what_waits(&spool);
        disconnect.cancel();
        drain(&mut connections).await;
        drop(self.serving);
        // A disk that hangs must not keep a second signal from being heard.
        let (log, thread) = (self.log_thread, self.spool_thread);
        let close = move || {
            log.close();
            thread.close();
        };
        let _ = tokio::task::spawn_blocking(close).await;
        ended
    }
}

/// Opens the log in the spool's directory, if that is on disk.
fn delivery_log(config: &Config, registry: &mut Registry) -> (DeliveryLog, delivery_log::Thread) {
    let dir = match &config.spool.backend {
        Backend::Sqlite { dir } => Some(dir.as_path()),
        Backend::Memory => None,
    };
    let metrics = delivery_log::Metrics::new(registry);
    DeliveryLog::open(config.delivery_log.clone(), dir, metrics)
}

fn say_what_waits(spool: &Spool) {
    let (waiting, in_memory) = (spool.waiting(), spool.waiting_in_memory());
    if in_memory > 0 {
        warn!(
            in_memory,
            "stopped before everything was delivered; what the broker keeps of QoS 1 comes again"
        );
    }
    if waiting > in_memory {
        let on_disk = waiting - in_memory;
        info!(
            on_disk,
            "what waits on disk is delivered after the next start"
        );
    }
}

/// Returns when a task has ended, which none should; waits for ever if there is none.
async fn first_end(tasks: &mut JoinSet<()>) -> Result<(), Error> {
    match tasks.join_next().await {
        Some(ended) => Err(Error::TaskEnded(ended.err())),
        None => std::future::pending().await,
    }
}

async fn drain(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

fn receiver(webhook: crate::config::Webhook) -> Result<Receiver, Error> {
    let concurrency = webhook.http.pool_size;
    let client = http::Client::new(webhook.http).map_err(|source| Error::Webhook {
        webhook: webhook.name.clone(),
        source,
    })?;
    Ok(Receiver {
        name: webhook.name,
        rules: webhook.rules,
        concurrency,
        durable: webhook.durable,
        retry: webhook.retry,
        breaker: webhook.breaker,
        failure_limit: webhook.failure_limit,
        shaping: webhook.shaping,
        sink: Arc::new(client),
    })
}

impl Receiver {
    /// Returns a durable receiver of these events, with the defaults of a webhook.
    pub fn new(name: impl Into<String>, rules: Vec<Rule>, sink: Arc<dyn Sink>) -> Self {
        Self {
            name: name.into(),
            rules,
            concurrency: CONCURRENCY,
            durable: true,
            retry: retry::Policy::default(),
            breaker: breaker::Config::default(),
            failure_limit: retry::FailureLimit::default(),
            shaping: Shaping::default(),
            sink,
        }
    }

    fn to_spool(&self) -> spool::Webhook {
        spool::Webhook {
            name: self.name.clone(),
            durable: self.durable,
            put_off: self.shaping.sequence.at_start(),
            holds_back: self.rules.iter().any(|rule| rule.debounce.is_some()),
        }
    }
}
