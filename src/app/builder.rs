//! Builds what runs out of the configuration: at the start, and when another one is applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::publishing::Publishing;
use super::{Error, Receiver};
use crate::ack::Ticket;
use crate::admin::Watched;
use crate::admin::publish::Publisher;
use crate::config::Config;
use crate::debounce::{self, Debouncer};
use crate::delivery_log::DeliveryLog;
use crate::devices::{self, Registrar, Witnesses};
use crate::dispatch::{self, Lane};
use crate::envelope;
use crate::event::{Event, Happening, Timestamp};
use crate::intake::{self, Lifecycle, Messages, OwnClients, Probe, Publishers};
use crate::mqtt::{self, Announcer, Connection, Listener, Replays, Status};
use crate::rule::{Current, Feed, Follower, Matcher, ReportsFamily, Rule, Rules, WebhookIndex};
use crate::sink::Sink;
use crate::spool::{Backend, Queue, Spool};

/// Packets that a broker may send ahead of their PUBACKs on the lifecycle connection: all.
const LIFECYCLE_RECEIVE_MAXIMUM: u16 = u16::MAX;

/// Notices that wait to be published.
const NOTICES: usize = 256;

/// What building takes.
pub(super) struct Builder {
    pub(super) config: Config,
    pub(super) rules: Current,
    pub(super) spool: Spool,
    log: DeliveryLog,
    pub(super) closing: CancellationToken,
    broker: Arc<mqtt::Config>,
    tls: Option<Arc<ClientConfig>>,
    own: OwnClients,
    notify: dispatch::Notify,
    publishers: Publishers,
    families: Families,
}

/// The metrics of what comes and goes.
pub(super) struct Families {
    reports: ReportsFamily,
    intake: intake::Metrics,
    connections: mqtt::MetricsFamily,
    lanes: dispatch::MetricsFamily,
    unpublished: Counter,
}

/// How a webhook is attempted, and by what.
pub(super) struct Attempts {
    pub(super) config: dispatch::Config,
    pub(super) sink: Arc<dyn Sink>,
}

impl Families {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let families = Self {
            reports: ReportsFamily::new(registry),
            intake: intake::Metrics::new(registry),
            connections: mqtt::MetricsFamily::new(registry),
            lanes: dispatch::MetricsFamily::new(registry),
            unpublished: Counter::default(),
        };
        registry.register(
            "dropped_notices",
            "Notices that were not published, as too many waited for the broker",
            families.unpublished.clone(),
        );
        families
    }

    /// Compiles the rules of webhooks, each with its index.
    pub(super) fn compile<'a>(
        &self,
        webhooks: impl IntoIterator<Item = (WebhookIndex, &'a str, &'a [Rule])>,
    ) -> Arc<Rules> {
        let mut webhooks: Vec<_> = webhooks.into_iter().collect();
        webhooks.sort_unstable_by_key(|(webhook, ..)| *webhook);
        let reports = self.reports.of(webhooks.iter().copied());
        let rules = webhooks
            .iter()
            .map(|(webhook, _, rules)| (*webhook, *rules));
        Arc::new(Rules::compile_at(rules, reports))
    }
}

impl Builder {
    /// Returns the builder, and what publishes notices if that is configured.
    pub(super) fn new(
        config: &Config,
        rules: Arc<Rules>,
        (spool, log): (Spool, DeliveryLog),
        families: Families,
        registry: &mut Registry,
    ) -> Result<(Self, Option<Announcer>), Error> {
        let mut tls = None;
        if config.broker.url.transport.is_tls() {
            tls = Some(config.broker.tls.client().map_err(Error::BrokerTls)?);
        }
        let broker = Arc::new(config.broker.clone());
        let own = OwnClients::new(&broker.client_id, []);
        let mut publish = None;
        let announcer = config.notify.topic.clone().map(|topic| {
            let (sender, payloads) = mpsc::channel(NOTICES);
            publish = Some((sender, families.unpublished.clone()));
            Announcer {
                config: Arc::clone(&broker),
                tls: tls.clone(),
                client_id: own.notices().to_owned(),
                topic,
                payloads,
            }
        });
        let rules = Current::new(rules);
        let builder = Self {
            notify: notify(rules.clone(), spool.clone(), publish),
            publishers: Publishers::new(config.plugin_key.clone(), registry),
            config: config.clone(),
            rules,
            spool,
            log,
            closing: CancellationToken::new(),
            broker,
            tls,
            own,
            families,
        };
        Ok((builder, announcer))
    }

    /// Compiles the rules of webhooks, each with its index.
    pub(super) fn compile<'a>(
        &self,
        webhooks: impl IntoIterator<Item = (WebhookIndex, &'a str, &'a [Rule])>,
    ) -> Arc<Rules> {
        self.families.compile(webhooks)
    }

    pub(super) fn lane(&self, webhook: WebhookIndex, attempts: Attempts, queue: Queue) -> Lane {
        let Attempts { config, sink } = attempts;
        let recorder = self.log.recorder(&config.name);
        let records = (self.families.lanes.of(&config.name), recorder);
        let spooled = (self.spool.clone(), queue);
        let notify = Arc::clone(&self.notify);
        Lane::new(config, webhook, sink, spooled, records, notify)
    }

    /// Returns what takes events of applications, and the way to it.
    pub(super) fn publishing(&self) -> (Publisher, Publishing) {
        let (publisher, queue) = Publisher::channel();
        let publishing = Publishing {
            queue,
            rules: self.rules.clone(),
            spool: self.spool.clone(),
            intake: self.families.intake.clone(),
            is_durable: self.config.spool.backend != Backend::Memory,
        };
        (publisher, publishing)
    }

    /// Returns counts of what came in.
    pub(super) fn came_in(&self) -> intake::Metrics {
        self.families.intake.clone()
    }

    /// Returns counts of attempts.
    pub(super) fn activities(&self) -> dispatch::Activities {
        self.families.lanes.activities()
    }

    /// Tells nothing more of how a webhook is that leaves; what was counted stays.
    pub(super) fn left(&self, webhook: &str) {
        self.families.lanes.left(webhook);
        self.spool.left(webhook);
    }

    /// Tells nothing more of a webhook that has gone.
    pub(super) fn forget(&self, webhook: &str) {
        self.families.lanes.forget(webhook);
        self.families.reports.forget(webhook);
        self.spool.forget(webhook);
    }

    /// Returns the connection of a feed, which goes by these rules until they are replaced.
    pub(super) fn messages(
        &self,
        rules: Follower,
        feed: &Arc<Feed>,
        witnesses: Option<&Witnesses>,
    ) -> (Connection<Messages>, Watched) {
        let group = feed.group();
        let name = match group {
            None => "messages".to_owned(),
            Some(group) => format!("share {group}"),
        };
        if let Some(group) = group {
            self.own.add_group(group);
        }
        let replays = if self.config.retained {
            Replays::OnNewSubscription
        } else {
            Replays::Never
        };
        let client_id = self.own.messages(group);
        let listener = Messages::new(
            rules,
            Arc::clone(feed),
            self.spool.clone(),
            self.families.intake.clone(),
            replays,
            self.config.notify.topic.clone(),
            self.publishers.another(),
        )
        .with_witness(witnesses.map(|it| it.witness(&client_id)));
        self.connection(&name, client_id, &self.broker, listener)
    }

    /// Returns what remembers devices, and what sees them, if that is configured or a rule needs it.
    pub(super) fn registrar(
        &self,
        registry: &mut Registry,
    ) -> Option<(Registrar, devices::Observer)> {
        let config = self.config.devices.clone();
        let rules = self.rules.rules();
        let webhooks = rules.device_webhooks();
        if webhooks.is_empty() && !config.enabled {
            return None;
        }
        if self.config.spool.backend == Backend::Memory {
            warn!("devices are not remembered, as that needs a spool on disk");
            return None;
        }
        let metrics = devices::Metrics::new(registry);
        let (observer, queue) = devices::channel(&config, metrics.clone());
        let (mut followed, intake) = (self.rules.follow(), self.families.intake.clone());
        let mut matcher = Matcher::default();
        let route: devices::Route = Box::new(move |happening| {
            followed.catch_up();
            let webhooks = followed.rules().route(happening, &mut matcher);
            if !webhooks.is_empty() {
                intake.event(happening.kind);
            }
            webhooks.iter().copied().collect()
        });
        let debouncer = Debouncer::new(&rules, &self.spool, debounce::DEVICES);
        let spool = self.spool.clone();
        let registrar = Registrar::new(config, queue, spool, (route, webhooks), metrics)
            .with_debouncer(debouncer)
            .with_rules(self.rules.follow());
        Some((registrar, observer))
    }

    /// Returns whether the broker tells nothing of its clients.
    pub(super) fn is_plain(&self) -> bool {
        self.config.dialect == Some(crate::dialect::Name::Plain)
    }

    /// Returns the connection over which the broker tells of its clients, and what tests that it does.
    pub(super) fn lifecycle(
        &self,
        observer: Option<devices::Observer>,
    ) -> (Connection<Lifecycle>, Probe, Watched) {
        let listener = Lifecycle::new(
            self.config.dialect,
            self.rules.follow(),
            self.spool.clone(),
            self.own.clone(),
            self.families.intake.clone(),
        )
        .with_observer(observer);
        let (hearsay, subscribed) = (listener.hearsay(), listener.on_subscribed());
        let broker = Arc::new(mqtt::Config {
            receive_maximum: LIFECYCLE_RECEIVE_MAXIMUM,
            ..(*self.broker).clone()
        });
        let client_id = self.own.lifecycle().to_owned();
        let (connection, watched) = self.connection("lifecycle", client_id, &broker, listener);
        let probe = Probe {
            config: broker,
            tls: self.tls.clone(),
            own: self.own.clone(),
            subscribed,
            hearsay,
            status: connection.status.subscribe(),
        };
        (connection, probe, watched)
    }

    fn connection<L: Listener>(
        &self,
        name: &str,
        client_id: String,
        broker: &Arc<mqtt::Config>,
        listener: L,
    ) -> (Connection<L>, Watched) {
        let status = watch::Sender::new(Status::default());
        let watched = Watched {
            name: name.to_owned(),
            status: status.subscribe(),
        };
        let connection = Connection {
            config: Arc::clone(broker),
            tls: self.tls.clone(),
            client_id,
            clean_start: broker.clean_start,
            listener,
            status,
            metrics: self.families.connections.of(name),
            closing: self.closing.clone(),
            orders: mqtt::Orders::default(),
            holds: BTreeSet::new(),
            overlap: mqtt::Overlap::default(),
        };
        (connection, watched)
    }
}

impl Receiver {
    /// Returns how it is attempted.
    pub(super) fn attempts(&self) -> Attempts {
        Attempts {
            config: dispatch::Config {
                name: self.name.clone(),
                concurrency: self.concurrency,
                retry: self.retry.clone(),
                breaker: self.breaker.clone(),
                failure_limit: self.failure_limit,
                shaping: self.shaping,
            },
            sink: Arc::clone(&self.sink),
        }
    }
}

/// Returns what turns the lanes' notices into events, and publishes them if somebody does.
fn notify(
    rules: Current,
    spool: Spool,
    publish: Option<(mpsc::Sender<Bytes>, Counter)>,
) -> dispatch::Notify {
    Arc::new(move |happening: Happening| {
        let mut matcher = Matcher::default();
        let rules = rules.rules();
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
