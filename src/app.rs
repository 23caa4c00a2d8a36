//! The whole: builds every component, runs them, and stops them in order.
//!
//! ```text
//! signal -> not ready -> take no more -> finish attempts (grace) -> PUBACK, DISCONNECT -> end
//! ```
//!
//! This is the only place that starts tasks that live as long as the program; the pools start
//! one per connection. A task that ends before it is told to is a bug, and ends the program.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use rustls::ClientConfig;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::{self, Admin, Health, Serving, Watched};
use crate::backoff::Backoff;
use crate::config::Config;
use crate::dispatch::{self, Dispatcher, Lane};
use crate::intake::{self, Lifecycle, Messages, OwnClients, Probe};
use crate::mqtt::{self, Connection, Listener, Replays, Status};
use crate::rule::{Rule, Rules};
use crate::sink::Sink;
use crate::spool::Spool;
use crate::{http, tls};

/// The prefix of every metric.
const METRICS_PREFIX: &str = "mqhook";

/// Packets that a broker may send ahead of their PUBACKs on the lifecycle connection: all.
const LIFECYCLE_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// Why mqhook cannot run. Nothing is left running; the operator must act.
#[derive(Debug, Error)]
pub enum Error {
    /// Of `broker.tls`.
    #[error("prepare TLS for the broker")]
    BrokerTls(#[source] tls::Error),
    /// Of a webhook's `tls`.
    #[error("prepare TLS for the webhook `{webhook}`")]
    WebhookTls {
        /// The webhook's name.
        webhook: String,
        /// Why.
        source: tls::Error,
    },
    /// Of `admin`.
    #[error("serve the admin API")]
    Admin(#[from] admin::Error),
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
    /// The most attempts at a time; at least 1.
    pub concurrency: usize,
    /// Between the attempts of one delivery.
    pub retry: Backoff,
    /// Takes the events.
    pub sink: Arc<dyn Sink>,
}

/// mqhook, built and not yet running.
pub struct App {
    health: Health,
    grace: Duration,
    spool: Arc<Spool>,
    lanes: Vec<Lane>,
    messages: Vec<Connection<Messages>>,
    lifecycle: Option<(Connection<Lifecycle>, Probe)>,
    /// Ends the admin API when dropped.
    serving: Option<Serving>,
    admin_address: Option<std::net::SocketAddr>,
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
        let admin = config.admin.listen.map(Admin::bind).transpose()?;
        let admin_address = admin.as_ref().map(Admin::address);
        let mut receivers = Vec::new();
        for webhook in &config.webhooks {
            receivers.push(receiver(webhook.clone())?);
        }
        receivers.extend(more);

        let mut registry = Registry::with_prefix(METRICS_PREFIX);
        let mut builder = Builder::new(config, &receivers, &mut registry)?;
        let spool = Arc::new(Spool::new(&config.spool, receivers.len()));
        let lanes = dispatch::MetricsFamily::new(&mut registry);
        let (dispatcher, lanes) = Dispatcher::new(
            Arc::clone(&spool),
            receivers.into_iter().map(Receiver::into_lane),
            &lanes,
        );
        let messages = builder.messages(&dispatcher);
        let lifecycle = builder.lifecycle(&dispatcher);
        let health = builder.health(lifecycle.as_ref());
        let serving = match admin {
            Some(admin) => Some(admin.serve(registry, health.clone())?),
            None => None,
        };
        Ok(Self {
            health,
            grace: config.shutdown_grace,
            spool,
            lanes,
            messages,
            lifecycle,
            serving,
            admin_address,
            closing: builder.closing,
        })
    }

    /// Returns whether events arrive.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Returns where the admin API listens, if it does.
    #[must_use]
    pub fn admin_address(&self) -> Option<std::net::SocketAddr> {
        self.admin_address
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
        let disconnect = CancellationToken::new();
        let mut connections = JoinSet::new();
        for connection in self.messages {
            connections.spawn(connection.run(disconnect.clone()));
        }
        if let Some((connection, probe)) = self.lifecycle {
            connections.spawn(connection.run(disconnect.clone()));
            connections.spawn(probe.run(disconnect.clone()));
        }
        let ended = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = first_end(&mut lanes) => ended,
            ended = first_end(&mut connections) => ended,
        };
        info!("shutting down");
        self.closing.cancel();
        let _ = tokio::time::timeout(self.grace, drain(&mut lanes)).await;
        lanes.shutdown().await;
        let waiting = self.spool.waiting();
        if waiting > 0 {
            warn!(
                waiting,
                "stopped before everything was delivered; the broker keeps what has QoS 1"
            );
        }
        disconnect.cancel();
        drain(&mut connections).await;
        drop(self.serving);
        ended
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
    let client = http::Client::new(webhook.http).map_err(|source| Error::WebhookTls {
        webhook: webhook.name.clone(),
        source,
    })?;
    Ok(Receiver {
        name: webhook.name,
        rules: webhook.rules,
        concurrency,
        retry: webhook.retry,
        sink: Arc::new(client),
    })
}

impl Receiver {
    fn into_lane(self) -> (dispatch::Config, Arc<dyn Sink>) {
        let config = dispatch::Config {
            name: self.name,
            concurrency: self.concurrency,
            retry: self.retry,
        };
        (config, self.sink)
    }
}

/// What building connections needs.
struct Builder<'a> {
    config: &'a Config,
    broker: Arc<mqtt::Config>,
    tls: Option<Arc<ClientConfig>>,
    rules: Arc<Rules>,
    own: OwnClients,
    intake: intake::Metrics,
    connections: mqtt::MetricsFamily,
    watched: Vec<Watched>,
    closing: CancellationToken,
}

impl<'a> Builder<'a> {
    fn new(
        config: &'a Config,
        receivers: &[Receiver],
        registry: &mut Registry,
    ) -> Result<Self, Error> {
        let mut tls = None;
        if config.broker.url.transport.is_tls() {
            tls = Some(config.broker.tls.client().map_err(Error::BrokerTls)?);
        }
        let rules = receivers.iter().map(|receiver| receiver.rules.as_slice());
        let rules = Arc::new(Rules::compile(rules));
        let groups = rules.feeds().iter().filter_map(|feed| feed.group());
        Ok(Self {
            config,
            broker: Arc::new(config.broker.clone()),
            tls,
            own: OwnClients::new(&config.broker.client_id, groups),
            rules: Arc::clone(&rules),
            intake: intake::Metrics::new(registry),
            connections: mqtt::MetricsFamily::new(registry),
            watched: Vec::new(),
            closing: CancellationToken::new(),
        })
    }

    fn messages(&mut self, dispatcher: &Dispatcher) -> Vec<Connection<Messages>> {
        let feeds = self.rules.feeds().to_vec();
        let connect = |feed: Arc<crate::rule::Feed>| {
            let name = match feed.group() {
                None => "messages".to_owned(),
                Some(group) => format!("share {group}"),
            };
            let client_id = self.own.messages(feed.group());
            let dispatcher = dispatcher.clone();
            let replays = if self.config.retained {
                Replays::OnNewSubscription
            } else {
                Replays::Never
            };
            let listener = Messages::new(feed, dispatcher, self.intake.clone(), replays);
            self.connection(&name, client_id, &self.broker.clone(), listener)
        };
        feeds.into_iter().map(connect).collect()
    }

    fn lifecycle(&mut self, dispatcher: &Dispatcher) -> Option<(Connection<Lifecycle>, Probe)> {
        let is_plain = self.config.dialect == Some(crate::dialect::Name::Plain);
        if self.rules.lifecycle_kinds().is_empty() || is_plain {
            return None;
        }
        let listener = Lifecycle::new(
            self.config.dialect,
            Arc::clone(&self.rules),
            dispatcher.clone(),
            self.own.clone(),
            self.intake.clone(),
        );
        let (hearsay, subscribed) = (listener.hearsay(), listener.on_subscribed());
        let broker = Arc::new(mqtt::Config {
            receive_maximum: LIFECYCLE_RECEIVE_MAXIMUM,
            ..(*self.broker).clone()
        });
        let client_id = self.own.lifecycle().to_owned();
        let connection = self.connection("lifecycle", client_id, &broker, listener);
        let probe = Probe {
            config: broker,
            tls: self.tls.clone(),
            own: self.own.clone(),
            subscribed,
            hearsay,
            status: connection.status.subscribe(),
        };
        Some((connection, probe))
    }

    fn connection<L: Listener>(
        &mut self,
        name: &str,
        client_id: String,
        broker: &Arc<mqtt::Config>,
        listener: L,
    ) -> Connection<L> {
        let status = watch::Sender::new(Status::default());
        self.watched.push(Watched {
            name: name.to_owned(),
            status: status.subscribe(),
        });
        Connection {
            config: Arc::clone(broker),
            tls: self.tls.clone(),
            client_id,
            clean_start: broker.clean_start,
            listener,
            status,
            metrics: self.connections.of(name),
            closing: self.closing.clone(),
        }
    }

    fn health(&mut self, lifecycle: Option<&(Connection<Lifecycle>, Probe)>) -> Health {
        let hearsay = lifecycle.map(|(_, probe)| probe.hearsay.subscribe());
        let watched = std::mem::take(&mut self.watched);
        Health::new(watched, hearsay, self.closing.clone())
    }
}
