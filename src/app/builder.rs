//! Builds what [`App`](super::App) runs out of the configuration.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Error, Receiver};
use crate::ack::Ticket;
use crate::admin::{Health, Watched};
use crate::config::Config;
use crate::debounce::{self, Debouncer};
use crate::devices::{self, Registrar};
use crate::dispatch::{self, Lane};
use crate::envelope;
use crate::event::{Event, Happening, Timestamp};
use crate::intake::{self, Lifecycle, Messages, OwnClients, Probe, Publishers};
use crate::mqtt::{self, Announcer, Connection, Listener, Replays, Status};
use crate::rule::{Matcher, Reports, Rules};
use crate::spool::{Backend, Queue, Spool};

/// Packets that a broker may send ahead of their PUBACKs on the lifecycle connection: all.
const LIFECYCLE_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// Notices that wait to be published.
const NOTICES: usize = 256;

/// What building connections needs.
pub(super) struct Builder<'a> {
    config: &'a Config,
    broker: Arc<mqtt::Config>,
    tls: Option<Arc<ClientConfig>>,
    rules: Arc<Rules>,
    own: OwnClients,
    intake: intake::Metrics,
    publishers: Publishers,
    connections: mqtt::MetricsFamily,
    watched: Vec<Watched>,
    /// Takes the notices that are to be published.
    publish: Option<mpsc::Sender<Bytes>>,
    /// Sees what happens to clients, where devices are remembered.
    observer: Option<devices::Observer>,
    pub(super) closing: CancellationToken,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        config: &'a Config,
        receivers: &[Receiver],
        registry: &mut Registry,
    ) -> Result<Self, Error> {
        let mut tls = None;
        if config.broker.url.transport.is_tls() {
            tls = Some(config.broker.tls.client().map_err(Error::BrokerTls)?);
        }
        let rules = receivers.iter().map(|receiver| receiver.rules.as_slice());
        let names = receivers.iter().map(|receiver| receiver.name.as_str());
        let reports = Reports::new(names.zip(rules.clone()), registry);
        let rules = Arc::new(Rules::compile_with(rules, reports));
        let groups = rules.feeds().iter().filter_map(|feed| feed.group());
        Ok(Self {
            config,
            broker: Arc::new(config.broker.clone()),
            tls,
            own: OwnClients::new(&config.broker.client_id, groups),
            rules: Arc::clone(&rules),
            intake: intake::Metrics::new(registry),
            publishers: Publishers::new(config.plugin_key.clone(), registry),
            connections: mqtt::MetricsFamily::new(registry),
            watched: Vec::new(),
            publish: None,
            observer: None,
            closing: CancellationToken::new(),
        })
    }

    pub(super) fn lanes(
        &mut self,
        receivers: Vec<Receiver>,
        spool: &Spool,
        queues: Vec<Queue>,
        registry: &mut Registry,
    ) -> Vec<Lane> {
        let metrics = dispatch::MetricsFamily::new(registry);
        let unpublished = Counter::default();
        registry.register(
            "dropped_notices",
            "Notices that were not published, as too many waited for the broker",
            unpublished.clone(),
        );
        let publish = self.publish.take().map(|queue| (queue, unpublished));
        let notify = notify(Arc::clone(&self.rules), spool.clone(), publish);
        let lane = |(webhook, (receiver, queue)): (usize, (Receiver, Queue))| {
            let metrics = metrics.of(&receiver.name);
            let config = dispatch::Config {
                name: receiver.name,
                concurrency: receiver.concurrency,
                retry: receiver.retry,
                breaker: receiver.breaker,
                failure_limit: receiver.failure_limit,
                shaping: receiver.shaping,
            };
            let spooled = (spool.clone(), queue);
            let notify = Arc::clone(&notify);
            Lane::new(config, webhook, receiver.sink, spooled, metrics, notify)
        };
        receivers
            .into_iter()
            .zip(queues)
            .enumerate()
            .map(lane)
            .collect()
    }

    /// Returns what publishes the lanes' notices, if it is configured; to be called before
    /// [`lanes`](Self::lanes).
    pub(super) fn announcer(&mut self) -> Option<Announcer> {
        let topic = self.config.notify.topic.clone()?;
        let (publish, payloads) = mpsc::channel(NOTICES);
        self.publish = Some(publish);
        Some(Announcer {
            config: Arc::clone(&self.broker),
            tls: self.tls.clone(),
            client_id: self.own.notices().to_owned(),
            topic,
            payloads,
        })
    }

    /// Returns the connections for messages; to be called behind [`registrar`](Self::registrar) and before
    /// [`lifecycle`](Self::lifecycle).
    pub(super) fn messages(&mut self, spool: &Spool) -> Vec<Connection<Messages>> {
        let feeds = self.rules.feeds().to_vec();
        let own_topic = self.config.notify.topic.clone();
        let witnesses = self.observer.as_ref().map(devices::Observer::witnesses);
        let connect = |feed: Arc<crate::rule::Feed>| {
            let name = match feed.group() {
                None => "messages".to_owned(),
                Some(group) => format!("share {group}"),
            };
            let client_id = self.own.messages(feed.group());
            let spool = spool.clone();
            let replays = if self.config.retained {
                Replays::OnNewSubscription
            } else {
                Replays::Never
            };
            let (metrics, publishers) = (self.intake.clone(), self.publishers.another());
            let own_topic = own_topic.clone();
            let listener = Messages::new(feed, spool, metrics, replays, own_topic, publishers);
            let listener =
                listener.with_witness(witnesses.as_ref().map(|it| it.witness(&client_id)));
            self.connection(&name, client_id, &self.broker.clone(), listener)
        };
        feeds.into_iter().map(connect).collect()
    }

    /// Returns what remembers devices, if that is configured or a rule needs it; to be called before
    /// [`lifecycle`](Self::lifecycle).
    pub(super) fn registrar(
        &mut self,
        spool: &Spool,
        registry: &mut Registry,
    ) -> Option<Registrar> {
        let config = self.config.devices.clone();
        let webhooks = self.rules.device_webhooks();
        if webhooks.is_empty() && !config.enabled {
            return None;
        }
        if self.config.spool.backend == Backend::Memory {
            warn!("devices are not remembered, as that needs a spool on disk");
            return None;
        }
        let metrics = devices::Metrics::new(registry);
        let (observer, queue) = devices::channel(&config, metrics.clone());
        self.observer = Some(observer);
        let (rules, intake) = (Arc::clone(&self.rules), self.intake.clone());
        let mut matcher = Matcher::default();
        let route: devices::Route = Box::new(move |happening| {
            let webhooks = rules.route(happening, &mut matcher);
            if !webhooks.is_empty() {
                intake.event(happening.kind);
            }
            webhooks.iter().copied().collect()
        });
        let debouncer = Debouncer::new(&self.rules, spool, debounce::DEVICES);
        let spool = spool.clone();
        let registrar = Registrar::new(config, queue, spool, (route, webhooks), metrics);
        Some(registrar.with_debouncer(debouncer))
    }

    pub(super) fn lifecycle(&mut self, spool: &Spool) -> Option<(Connection<Lifecycle>, Probe)> {
        let is_plain = self.config.dialect == Some(crate::dialect::Name::Plain);
        let is_wanted = !self.rules.lifecycle_kinds().is_empty() || self.observer.is_some();
        if !is_wanted || is_plain {
            return None;
        }
        let listener = Lifecycle::new(
            self.config.dialect,
            Arc::clone(&self.rules),
            spool.clone(),
            self.own.clone(),
            self.intake.clone(),
        )
        .with_observer(self.observer.take());
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

    pub(super) fn health(
        &mut self,
        lifecycle: Option<&(Connection<Lifecycle>, Probe)>,
        spool: &Spool,
    ) -> Health {
        let hearsay = lifecycle.map(|(_, probe)| probe.hearsay.subscribe());
        let watched = std::mem::take(&mut self.watched);
        Health::new(watched, hearsay, spool.failure(), self.closing.clone())
    }
}

/// Returns what turns the lanes' notices into events, and publishes them if somebody does.
fn notify(
    rules: Arc<Rules>,
    spool: Spool,
    publish: Option<(mpsc::Sender<Bytes>, Counter)>,
) -> dispatch::Notify {
    Arc::new(move |happening: Happening| {
        let mut matcher = Matcher::default();
        let webhooks = rules.route(&happening, &mut matcher);
        let event = Event::new(happening, Timestamp::now());
        if let Some((publish, unpublished)) = &publish
            && publish.try_send(envelope::notice(&event)).is_err()
        {
            unpublished.inc();
            debug!("too many notices wait to be published; one is dropped");
        }
        spool.accept(event, webhooks, Ticket::none());
    })
}
