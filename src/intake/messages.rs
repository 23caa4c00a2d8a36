//! Published messages become events.

use std::pin::Pin;
use std::sync::Arc;

use super::Metrics;
use crate::dispatch::Dispatcher;
use crate::event::{self, Client, Detail, Event, Happening, Kind, Timestamp};
use crate::mqtt::{Hearing, Listener, Message, Replays};
use crate::rule::{Feed, Matcher, WebhookIndex};

/// Listens to the messages of one feed.
pub struct Messages {
    feed: Arc<Feed>,
    matcher: Matcher,
    dispatcher: Dispatcher,
    metrics: Metrics,
    /// The webhooks of the last message that was not taken.
    short_of_room: Vec<WebhookIndex>,
    /// Which retained messages that come because of a subscription are events.
    replays: Replays,
}

impl Messages {
    /// Returns a listener that hands the feed's events to the dispatcher.
    #[must_use]
    pub fn new(
        feed: Arc<Feed>,
        dispatcher: Dispatcher,
        metrics: Metrics,
        replays: Replays,
    ) -> Self {
        Self {
            feed,
            matcher: Matcher::default(),
            dispatcher,
            metrics,
            short_of_room: Vec::new(),
            replays,
        }
    }
}

impl Listener for Messages {
    fn topic_filters(&self) -> Vec<String> {
        self.feed.subscriptions().collect()
    }

    fn leftover_filters(&self) -> Vec<String> {
        Vec::new()
    }

    fn replays(&self) -> Replays {
        self.replays
    }

    fn hear(&mut self, message: Message) -> Hearing {
        if message.is_replay && self.replays == Replays::Never {
            self.metrics.replay();
            message.ticket.settle();
            return Hearing::Taken;
        }
        let webhooks = self.feed.route(&message.topic, &mut self.matcher);
        if webhooks.is_empty() {
            message.ticket.settle();
            return Hearing::Taken;
        }
        let size = Event::size_with(message.topic.as_str().len() + message.payload.len());
        if message.ticket.is_awaited() && !self.dispatcher.has_room(webhooks, size) {
            self.short_of_room = webhooks.to_vec();
            return Hearing::Full;
        }
        let happening = Happening {
            kind: Kind::MessagePublish,
            time: None,
            client: Client::default(),
            detail: Detail::Message(event::Message {
                topic: message.topic,
                payload: message.payload,
                qos: message.qos,
                retain: message.retain,
            }),
        };
        let event = Event::new(happening, Timestamp::now());
        self.metrics.event(Kind::MessagePublish);
        self.dispatcher.accept(event, webhooks, message.ticket);
        Hearing::Taken
    }

    fn subscribed(&mut self) {}

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.dispatcher.room(&self.short_of_room))
    }
}
