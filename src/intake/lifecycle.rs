//! What the broker tells of its clients becomes events.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Hearsay, Metrics, OwnClients};
use crate::ack::Ticket;
use crate::debounce::{self, Debouncer, Split};
use crate::devices;
use crate::dialect::{self, Dialect, Heard, Name, Vital};
use crate::event::{Event, Happening, Kind, KindSet, Timestamp};
use crate::mqtt::{Hearing, Listener, Message, Replays};
use crate::rule::{Follower, Matcher, Rules, WebhookIndex};
use crate::spool::{Spool, Told};
use crate::telemetry::Throttle;

/// Matches whatever any broker tells of itself.
const EVERYTHING: &str = "$SYS/#";

/// How often the log may say that something could not be read.
const UNREADABLE_LOG_INTERVAL: Duration = Duration::from_mins(1);

/// Happenings that there is always room for; a message that tells more makes more.
const TOLD_KEPT: usize = 64;

/// Listens to what the broker tells of its clients.
pub struct Lifecycle {
    dialect: Option<Box<dyn Dialect>>,
    /// Whether the dialect is not to be found out.
    is_configured: bool,
    rules: Follower,
    /// The webhooks that want any of what is told.
    webhooks: Vec<WebhookIndex>,
    spool: Spool,
    own: OwnClients,
    metrics: Metrics,
    hearsay: watch::Sender<Hearsay>,
    /// Wakes the probe when the subscriptions are made.
    subscribed: Arc<Notify>,
    told: Vec<Happening>,
    matcher: Matcher,
    unreadable_log: Throttle,
    /// Sees what happens to clients, where devices are remembered.
    observer: Option<devices::Observer>,
    /// Holds back what rules want only of clients that stay away.
    debouncer: Option<Debouncer>,
}

impl Lifecycle {
    /// Returns a listener; without a dialect it finds out which one it hears.
    #[must_use]
    pub fn new(
        dialect: Option<Name>,
        rules: Follower,
        spool: Spool,
        own: OwnClients,
        metrics: Metrics,
    ) -> Self {
        let hearsay = Hearsay {
            dialect,
            ..Hearsay::default()
        };
        Self {
            dialect: dialect.map(Name::decoder),
            is_configured: dialect.is_some(),
            webhooks: rules.rules().lifecycle_webhooks(),
            debouncer: Debouncer::new(rules.rules(), &spool, debounce::CLIENTS),
            rules,
            spool,
            own,
            metrics,
            hearsay: watch::Sender::new(hearsay),
            subscribed: Arc::new(Notify::new()),
            told: Vec::new(),
            matcher: Matcher::default(),
            unreadable_log: Throttle::new(UNREADABLE_LOG_INTERVAL),
            observer: None,
        }
    }

    /// Returns a listener that also has devices remembered.
    #[must_use]
    pub fn with_observer(mut self, observer: Option<devices::Observer>) -> Self {
        if let Some(observer) = &observer {
            // Who looks after devices wants probes, too.
            self.subscribed = observer.probe();
        }
        Self { observer, ..self }
    }

    /// Returns where others see what is known of how the broker tells.
    #[must_use]
    pub fn hearsay(&self) -> watch::Sender<Hearsay> {
        self.hearsay.clone()
    }

    /// Returns what wakes when the subscriptions are made.
    #[must_use]
    pub fn on_subscribed(&self) -> Arc<Notify> {
        Arc::clone(&self.subscribed)
    }

    /// Settles on a dialect, if the message gives one away and none is known, or none as good.
    fn recognise(&mut self, heard: &Heard<'_>) -> bool {
        if self.is_configured {
            return false;
        }
        let Some(name) = dialect::recognise(heard) else {
            return false;
        };
        let known = self.hearsay.borrow().dialect;
        if known.is_some_and(|known| !name.supersedes(known)) {
            return false;
        }
        info!(dialect = %name, "found out how the broker tells of its clients");
        self.dialect = Some(name.decoder());
        self.hearsay
            .send_modify(|hearsay| hearsay.dialect = Some(name));
        warn_of_untold(self.rules.rules(), name);
        true
    }

    /// Takes over the rules that hold now.
    fn follow(&mut self) {
        if !self.rules.catch_up() {
            return;
        }
        let rules = self.rules.rules();
        self.webhooks = rules.lifecycle_webhooks();
        Debouncer::follow(&mut self.debouncer, rules, &self.spool, debounce::CLIENTS);
        if let Some(name) = self.hearsay.borrow().dialect {
            warn_of_untold(rules, name);
        }
    }

    fn decode(&mut self, heard: &Heard<'_>) {
        let Some(dialect) = &mut self.dialect else {
            return;
        };
        if let Err(error) = dialect.decode(heard, &mut self.told) {
            self.metrics.unreadable();
            if let Some(held_back) = self.unreadable_log.pass(Instant::now()) {
                warn!(topic = ?heard.topic.as_str(), %error, held_back, "cannot read what the broker tells");
            }
        }
        if !self.hearsay.borrow().heard {
            self.hearsay.send_modify(|hearsay| hearsay.heard = true);
        }
    }

    /// Returns whether there is room for what a message may tell. Decoding changes what the dialect
    /// knows, so a message must not be decoded and then come again.
    fn has_room(&self, message: &Message) -> bool {
        let size = 2 * Event::size_with(message.payload.len());
        if !message.ticket.is_awaited() {
            return true;
        }
        let observer = self.observer.as_ref();
        self.spool.has_room(&self.webhooks, size)
            && observer.is_none_or(devices::Observer::has_room)
    }

    /// Hands on what was told.
    fn hand_on(&mut self, ticket: &Ticket, heard: &Heard<'_>) {
        let mut told = std::mem::take(&mut self.told);
        for happening in told.drain(..) {
            self.hand_on_one(happening, ticket, heard);
        }
        told.shrink_to(TOLD_KEPT);
        self.told = told;
    }

    /// Notes what the broker tells of a connection of mqhook's own.
    fn hear_own(&mut self, id: &str, happening: &Happening, heard: &Heard<'_>) {
        match (happening.kind, self.own.probed(id)) {
            (Kind::ClientConnected, Some(probed)) => {
                // Another connection of ours may come right behind the probe, and must not hide it.
                let id = Some(id.to_owned());
                self.hearsay.send_modify(|hearsay| hearsay.probe = id);
                // It came behind all that the broker had kept.
                if let Some(observer) = &mut self.observer {
                    let clock = || self.dialect.as_ref()?.clock(heard);
                    observer.caught_up(happening.time.or_else(clock), probed);
                }
            }
            (Kind::ClientConnected, None) => {
                if let Some(observer) = &self.observer {
                    observer.own_connected(id);
                }
            }
            (Kind::ClientDisconnected, _) => {
                if let Some(observer) = &self.observer {
                    observer.own_ended(id);
                }
            }
            _ => {}
        }
    }

    fn hand_on_one(&mut self, happening: Happening, ticket: &Ticket, heard: &Heard<'_>) {
        let now = heard.now;
        if let Some(id) = happening.client.id.as_deref()
            && self.own.contains(id)
        {
            self.hear_own(id, &happening, heard);
            return;
        }
        // A probe of an earlier run is no device.
        let is_like_probe = |id: &str| self.own.is_like_probe(id);
        if let Some(observer) = &mut self.observer
            && !happening.client.id.as_deref().is_some_and(is_like_probe)
        {
            observer.observe(&happening, ticket, now);
        }
        let webhooks = self.rules.rules().route(&happening, &mut self.matcher);
        if let Some(debouncer) = &mut self.debouncer {
            let split = debouncer.split(&happening, webhooks, now);
            if !split.back.is_empty() {
                let share = ticket.share();
                self.spool.record_taking_back(&split.back, [], [], share);
            }
            if !webhooks.is_empty() {
                self.metrics.event(happening.kind);
                self.accept_split(&Event::new(happening, now), split, ticket);
            }
            return;
        }
        if webhooks.is_empty() {
            return;
        }
        self.metrics.event(happening.kind);
        let event = Event::new(happening, now);
        self.spool.accept(event, webhooks, ticket.share());
    }

    /// Has an event told to some now, and to others later.
    fn accept_split(&mut self, event: &Event, split: Split, ticket: &Ticket) {
        if !split.now.is_empty() {
            let now = event.clone();
            self.spool.accept(now, &split.now, ticket.share());
        }
        let Split { later, .. } = split;
        let client_id = event.client.id.clone();
        if let (Some(debouncer), Some(client_id)) = (&mut self.debouncer, client_id)
            && !later.is_empty()
        {
            let told = Told {
                event: event.compact(),
                now: SmallVec::new(),
                later: later.clone(),
            };
            for seq in self.spool.record([], [told], ticket.share()) {
                debouncer.held_back(&client_id, &later, seq);
            }
        }
    }

    fn filters(&self) -> Vec<String> {
        match &self.dialect {
            None => vec![EVERYTHING.to_owned()],
            Some(dialect) => dialect
                .topic_filters()
                .iter()
                .map(|&filter| filter.to_owned())
                .collect(),
        }
    }
}

impl Listener for Lifecycle {
    fn topic_filters(&mut self) -> Vec<String> {
        self.follow();
        let kinds = self.rules.rules().lifecycle_kinds();
        if self.observer.is_none() && kinds.is_empty() {
            // Nobody wants it any more.
            return Vec::new();
        }
        self.filters()
    }

    /// An earlier run may have listened to everything, or to another broker at this address.
    fn leftover_filters(&self) -> Vec<String> {
        let wanted = self.filters();
        let passing = self.passing_filters();
        let filters_of = |dialect: Box<dyn Dialect>| {
            let filters = dialect.topic_filters().iter();
            filters.chain(dialect.vital_filters())
        };
        let mut leftover: Vec<String> = Name::ALL
            .iter()
            .flat_map(|name| filters_of(name.decoder()))
            .chain(&[EVERYTHING])
            .map(|&filter| filter.to_owned())
            .filter(|filter| !wanted.contains(filter) && !passing.contains(filter))
            .collect();
        leftover.sort_unstable();
        leftover.dedup();
        leftover
    }

    /// What the broker says of itself is of use for devices only.
    fn passing_filters(&self) -> Vec<String> {
        let dialect = self.observer.as_ref().and(self.dialect.as_ref());
        let filters = dialect.map_or(&[][..], |dialect| dialect.vital_filters());
        filters.iter().map(|&filter| filter.to_owned()).collect()
    }

    /// Retained messages do not tell what happens, but may give the broker away.
    fn replays(&self) -> Replays {
        match self.dialect {
            None => Replays::Always,
            Some(_) => Replays::Never,
        }
    }

    fn hear(&mut self, message: Message) -> Hearing {
        self.follow();
        let now = Timestamp::now();
        let heard = Heard {
            topic: &message.topic,
            payload: &message.payload,
            now,
        };
        if !self.has_room(&message) {
            // From here on nothing of QoS 1 is heard until the connection begins anew.
            self.interrupted();
            return Hearing::Full;
        }
        let recognised = self.recognise(&heard);
        if let Some(observer) = &mut self.observer
            && let Some(vital) = self.dialect.as_ref().and_then(|it| it.vital(&heard))
        {
            // A count that is retained is the last, and an uptime says nothing of now.
            if !message.retain || matches!(vital, Vital::Connections(_)) {
                observer.vital(vital);
            }
        } else if !message.retain {
            self.decode(&heard);
            self.hand_on(&message.ticket, &heard);
        }
        message.ticket.settle();
        if recognised {
            Hearing::Resubscribe
        } else {
            Hearing::Taken
        }
    }

    fn subscribed(&mut self) {
        if let Some(observer) = &self.observer {
            observer.subscribed();
        }
        self.subscribed.notify_one();
    }

    fn interrupted(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.interrupted();
        }
    }

    fn lags(&self) -> bool {
        self.spool.lags()
    }

    fn caught_up(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.spool.caught_up())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.spool.room(&self.webhooks).await;
            if let Some(observer) = &self.observer {
                observer.room().await;
            }
        })
    }
}

/// Says which rules can never match at this broker.
fn warn_of_untold(rules: &Rules, name: Name) {
    let plugin_kinds = name.decoder().plugin_kinds();
    let wanted: KindSet = rules.lifecycle_kinds();
    let is_untold = |kind: &Kind| !name.tells(*kind) && !plugin_kinds.contains(*kind);
    for kind in wanted.iter().filter(is_untold) {
        warn!("{}", dialect::untold(kind, Some(name)));
    }
}
