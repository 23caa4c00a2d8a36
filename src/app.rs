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
mod connections;
mod lanes;
mod live;
mod plan;
mod publishing;
mod running;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use builder::{Builder, Families};
use connections::Connections;
use lanes::Lanes;
use publishing::Publishing;
use running::{Kind, Place, Running};

use crate::admin::{self, Admin, Configured, Health, Serving};
use crate::catalogue::{self, Catalogue};
use crate::config::Config;
use crate::delivery_log::{self, DeliveryLog};
use crate::dispatch::Shaping;
use crate::retry::breaker;
use crate::rule::Rule;
use crate::sink::Sink;
use crate::spool::{self, Backend, Queue, Spool};
use crate::{http, retry, tls};

pub use live::{Live, Reread, Source};

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
    /// Each webhook and receiver has a queue by its name.
    #[error("tell two webhooks or receivers apart that are named `{name}`")]
    SameName {
        /// Their name.
        name: String,
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
    running: Running,
    live: Live,
    spool_thread: spool::Thread,
    log: DeliveryLog,
    log_thread: delivery_log::Thread,
    publishing: Publishing,
    /// What the first lanes are made of.
    lanes: Vec<(Receiver, Queue)>,
    /// Ends the admin API when dropped.
    serving: Serving,
    admin_addresses: (Option<SocketAddr>, Option<SocketAddr>),
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
    /// A TLS file or the admin listener is not as configured, or two receivers have one name.
    pub fn with_receivers(config: &Config, more: Vec<Receiver>) -> Result<Self, Error> {
        let catalogue = Arc::new(Catalogue::at_start(config.clone())?);
        let config = &*catalogue.view().config;
        let admin = Admin::bind(&config.admin)?;
        let admin_addresses = (admin.address(), admin.metrics_address());
        let mut receivers = Vec::new();
        let mut kinds = Vec::new();
        for webhook in &config.webhooks {
            receivers.push(receiver(webhook.clone())?);
            kinds.push(Kind::Configured(Box::new(webhook.clone())));
        }
        let given = |it: &Receiver| Kind::Given(it.name.clone(), it.rules.clone());
        kinds.extend(more.iter().map(given));
        receivers.extend(more);
        no_name_twice(&receivers)?;
        let places = kinds.into_iter().enumerate();
        let mut webhooks: Vec<_> = places.map(|(index, kind)| Place { index, kind }).collect();

        let mut registry = Registry::with_prefix(METRICS_PREFIX);
        let families = Families::new(&mut registry);
        let rules = families.compile(receivers.iter().enumerate().map(|(index, receiver)| {
            let (name, rules) = (receiver.name.as_str(), receiver.rules.as_slice());
            (index, name, rules)
        }));
        let places: Vec<_> = receivers.iter().map(Receiver::to_spool).collect();
        let metrics = spool::MetricsFamily::new(&mut registry);
        let (spool, spool_thread, queues) = Spool::open(&config.spool, &places, metrics)?;
        let failure = spool.failure();
        keep_durable(&spool, &mut webhooks);
        let (log, log_thread) = delivery_log(config, &mut registry);
        let (builder, announcer) =
            Builder::new(config, rules, (spool, log.clone()), families, &mut registry)?;
        let (publisher, publishing) = builder.publishing();
        let registrar = builder.registrar(&mut registry);
        let mut connections = Connections::new();
        connections.prepare_all(&builder, announcer, registrar);
        let health = Health::new(Vec::new(), None, failure, builder.closing.clone());
        connections.report(&health);
        let (live, commands) = Live::new(&mut registry, Arc::clone(&catalogue));
        let serving = admin.serve(admin::Parts {
            registry,
            health: health.clone(),
            dir: match &config.spool.backend {
                Backend::Sqlite { dir } => Some(dir.clone()),
                Backend::Memory => None,
            },
            spool: builder.spool.clone(),
            log: log.clone(),
            events: builder.spool.tap().clone(),
            came_in: builder.came_in(),
            broker: config.broker.url.to_string(),
            configured: Configured {
                catalogue,
                publisher,
                activities: builder.activities(),
            },
            control: Arc::new(live.clone()),
        })?;
        Ok(Self {
            running: Running {
                lanes: Lanes::new(builder.closing.clone()),
                connections,
                builder,
                health,
                webhooks,
                commands,
            },
            live,
            spool_thread,
            log,
            log_thread,
            publishing,
            lanes: receivers.into_iter().zip(queues).collect(),
            serving,
            admin_addresses,
        })
    }

    /// Returns the handle by which it gets another configuration while it runs.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Returns whether events arrive.
    #[must_use]
    pub fn health(&self) -> Health {
        self.running.health.clone()
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

    /// Returns what is remembered of deliveries.
    #[must_use]
    pub fn delivery_log(&self) -> &DeliveryLog {
        &self.log
    }

    /// Runs until `stop`, then stops in order.
    ///
    /// # Errors
    /// A task ended by itself.
    ///
    /// # Cancel safety
    /// Dropping the future stops everything at once; the broker keeps what is not acknowledged.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let mut running = self.running;
        for (index, (receiver, queue)) in self.lanes.into_iter().enumerate() {
            let attempts = receiver.attempts();
            running.lanes.run(&running.builder, index, attempts, queue);
        }
        running.connections.start();
        running.tell();
        let closing = running.builder.closing.clone();
        let mut publishing = tokio::spawn(self.publishing.run(closing));
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = running.run() => Err(Error::TaskEnded(ended)),
            ended = &mut publishing => Err(Error::TaskEnded(ended.err())),
        };
        info!("shutting down");
        let Running {
            builder,
            mut lanes,
            connections,
            ..
        } = running;
        let spool = builder.spool.clone();
        builder.closing.cancel();
        if !publishing.is_finished() {
            let _ = publishing.await;
        }
        let deadline = Instant::now() + builder.config.shutdown_grace;
        // What is on disk is acknowledged while the last attempts go on.
        let _ = timeout_at(deadline, spool.flush()).await;
        let _ = timeout_at(deadline, lanes.drain()).await;
        lanes.end().await;
        let _ = timeout_at(deadline, spool.flush()).await;
        say_what_waits(&spool);
        connections.end().await;
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

/// Two of one name would share a queue.
fn no_name_twice(receivers: &[Receiver]) -> Result<(), Error> {
    let mut names = HashSet::new();
    let second = receivers
        .iter()
        .map(|receiver| &receiver.name)
        .find(|name| !names.insert(name.as_str()));
    match second {
        Some(name) => Err(Error::SameName { name: name.clone() }),
        None => Ok(()),
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

/// Notes which webhooks the spool keeps durable though they are configured otherwise.
fn keep_durable(spool: &Spool, places: &mut [Place]) {
    for Place { index, kind } in places {
        if let Kind::Configured(webhook) = kind {
            webhook.durable |= spool.is_durable(*index);
        }
    }
}

fn say_what_waits(spool: &Spool) {
    let (in_memory, lost) = spool.waiting_in_memory();
    if in_memory > 0 {
        warn!(
            in_memory,
            "stopped before everything was delivered; what the broker keeps of QoS 1 comes again"
        );
    }
    if lost > 0 {
        let what = "events of webhooks that are not durable are lost";
        warn!(lost, "stopped before everything was delivered; {what}");
    }
    let on_disk = spool.waiting().saturating_sub(in_memory + lost);
    if on_disk > 0 {
        info!(
            on_disk,
            "what waits on disk is delivered after the next start"
        );
    }
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

#[cfg(test)]
mod tests;
