//! Published messages become events.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Metrics, Publishers};
use crate::devices::Witness;
use crate::event::{self, Detail, Event, Happening, Kind, TopicName};
use crate::mqtt::{Hearing, Listener, Message, Replays};
use crate::rule::{Feed, Follower, Matcher, WebhookIndex};
use crate::spool::Spool;

/// For how long what still comes over a feed that has gone is for those whom it was for.
const LAST_MESSAGES: Duration = Duration::from_secs(30);

/// Listens to the messages of one feed.
pub struct Messages {
    rules: Follower,
    group: Option<String>,
    /// That of the rules or, if they have none any more, the last that they had.
    feed: Arc<Feed>,
    /// Since when the rules have none.
    gone_since: Option<Instant>,
    matcher: Matcher,
    spool: Spool,
    metrics: Metrics,
    /// The webhooks of the last message that was not taken.
    short_of_room: Vec<WebhookIndex>,
    /// Which retained messages that come because of a subscription are events.
    replays: Replays,
    /// The topic of mqhook's own messages, which are not events.
    own_topic: Option<TopicName>,
    publishers: Publishers,
    /// Sees who publishes, where devices are remembered.
    witness: Option<Witness>,
}

impl Messages {
    /// Returns a listener that hands the feed's events to the spool, and follows the feed of its group when
    /// the rules are replaced.
    #[must_use]
    pub fn new(
        rules: Follower,
        feed: Arc<Feed>,
        spool: Spool,
        metrics: Metrics,
        replays: Replays,
        own_topic: Option<TopicName>,
        publishers: Publishers,
    ) -> Self {
        Self {
            rules,
            group: feed.group().map(str::to_owned),
            feed,
            gone_since: None,
            matcher: Matcher::default(),
            spool,
            metrics,
            short_of_room: Vec::new(),
            replays,
            own_topic,
            publishers,
            witness: None,
        }
    }

    /// Returns a listener that also sees who publishes.
    #[must_use]
    pub fn with_witness(self, witness: Option<Witness>) -> Self {
        Self { witness, ..self }
    }

    /// Takes over the rules that hold now.
    fn follow(&mut self) {
        if !self.rules.catch_up() {
            return;
        }
        match self.rules.rules().feed(self.group.as_deref()) {
            Some(feed) => {
                self.feed = Arc::clone(feed);
                self.gone_since = None;
            }
            None => {
                self.gone_since.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Returns whether the feed has gone, and all that was on its way.
    fn is_over(&self) -> bool {
        let since = self.gone_since;
        since.is_some_and(|since| since.elapsed() > LAST_MESSAGES)
    }

    fn is_own(&self, topic: &TopicName) -> bool {
        self.own_topic.as_ref() == Some(topic)
    }
}

impl Listener for Messages {
    fn topic_filters(&mut self) -> Vec<String> {
        self.follow();
        match self.gone_since {
            None => self.feed.subscriptions().collect(),
            Some(_) => Vec::new(),
        }
    }

    fn leftover_filters(&self) -> Vec<String> {
        Vec::new()
    }

    fn replays(&self) -> Replays {
        self.replays
    }

    fn hear(&mut self, mut message: Message) -> Hearing {
        self.follow();
        if message.is_replay && self.replays == Replays::Never {
            self.metrics.replay();
            message.ticket.settle();
            return Hearing::Taken;
        }
        if self.is_own(&message.topic) || self.is_over() {
            message.ticket.settle();
            return Hearing::Taken;
        }
        let told = self.publishers.told(&mut message);
        // What is retained may be old, and come again.
        if let (Some(witness), Some(time), false) = (&mut self.witness, told.time, message.retain) {
            witness.saw(&told.client, time);
        }
        let ticket = message.ticket;
        let message = event::Message {
            topic: message.topic,
            payload: message.payload,
            qos: told.qos.unwrap_or(message.qos),
            retain: message.retain,
            protocol_version: told.protocol_version,
            properties: message.properties,
        };
        let happening = Happening {
            kind: Kind::MessagePublish,
            time: told.time,
            client: told.client,
            detail: Detail::Message(message),
        };
        let webhooks = self.feed.route(&happening, &mut self.matcher);
        if webhooks.is_empty() {
            ticket.settle();
            return Hearing::Taken;
        }
        if ticket.is_awaited() && !self.spool.has_room(webhooks, happening.size()) {
            self.short_of_room = webhooks.to_vec();
            return Hearing::Full;
        }
        let event = Event::of(happening);
        self.metrics.event(Kind::MessagePublish);
        self.spool.accept(event, webhooks, ticket);
        Hearing::Taken
    }

    fn subscribed(&mut self) {
        if let Some(witness) = &self.witness {
            witness.subscribed();
        }
    }

    fn interrupted(&mut self) {
        if let Some(witness) = &self.witness {
            witness.interrupted();
        }
    }

    fn lags(&self) -> bool {
        self.spool.lags()
    }

    fn caught_up(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.spool.caught_up())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.spool.room(&self.short_of_room))
    }
}
