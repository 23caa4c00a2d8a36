//! Keeping one session with the broker.

mod changes;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use changes::Overlap;
use changes::{Leaving, Progress};
use waiting::Next;

use super::attempts::Attempts;
use super::link::{Link, LinkEvent, Persistence, Publish};
use super::orders::{Orders, Waiters};
use super::pauses::Pauses;
use super::subscriptions::Subscriptions;
use super::{Cause, Config, Hearing, Listener, Message, Metrics, Problem, Protocol, Status};
use crate::ack::{Ledger, Ticket};
use crate::event::TopicName;

/// Longest time that saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// One session with the broker, kept for ever.
pub struct Connection<L> {
    /// How to reach the broker.
    pub config: Arc<Config>,
    /// TLS for it; present if the broker's URL asks for TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// This session's client identifier.
    pub client_id: String,
    /// Whether to drop first what an earlier run left at the broker.
    pub clean_start: bool,
    /// What to do with messages.
    pub listener: L,
    /// Where others see how the connection is.
    pub status: watch::Sender<Status>,
    /// Counts.
    pub metrics: Metrics,
    /// From when on nothing more is taken, while the connection is kept for acknowledgements.
    pub closing: CancellationToken,
    /// What others tell the connection.
    pub orders: Orders,
    /// What the session may be subscribed to at the broker; empty at first.
    pub holds: BTreeSet<String>,
    /// What comes twice while subscriptions change.
    pub overlap: Overlap,
}

/// Why a conversation with the broker ended.
enum End {
    Stopped,
    Failed(Problem),
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl<L: Listener> Connection<L> {
    /// Connects, and connects again, until `stop`; then says DISCONNECT and returns. When it is
    /// [told to leave](Orders::leave), it returns after the broker has nothing left for it.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection; the broker keeps the session.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut attempts = Attempts::new(self.config.protocol);
        loop {
            self.status.send_replace(Status::Connecting);
            let started = Instant::now();
            let problem = match self.converse(&mut attempts, &stop).await {
                End::Stopped => break,
                End::Failed(problem) => problem,
            };
            if problem.cause != Cause::Restart {
                self.metrics.failed();
            }
            let spoke = self.status.borrow().clone();
            let delay = attempts.failed(&problem, &spoke, started.elapsed(), rand::random());
            self.report(&problem, delay, &mut attempts);
            self.status.send_replace(Status::Waiting(problem));
            if !self.overlap.was_asked() && self.orders.go() {
                // There is no session that would have to be ended.
                break;
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(delay) => {}
            }
        }
        self.metrics.ended();
        self.status.send_replace(Status::Stopped);
    }

    /// Says once what is wrong, and again only if something else is.
    fn report(&self, problem: &Problem, delay: Duration, attempts: &mut Attempts) {
        let client_id = self.client_id.as_str();
        let remedy = problem.remedy();
        let reported = &mut attempts.reported;
        let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        if problem.cause == Cause::Restart {
            info!(client_id, "{problem}");
        } else if attempts.switched {
            let protocol = attempts.protocol;
            info!(client_id, %problem, "trying MQTT {protocol}");
        } else if reported.as_ref() == Some(problem) {
            debug!(client_id, %problem, retry_ms, "still no connection to the broker");
        } else {
            let broker = &self.config.url;
            warn!(client_id, %broker, remedy, retry_ms, "{problem}");
            *reported = Some(problem.clone());
        }
    }

    async fn converse(&mut self, attempts: &mut Attempts, stop: &CancellationToken) -> End {
        let protocol = attempts.protocol;
        if self.clean_start {
            let visit = self.link(protocol, Persistence::None).await.visit();
            match stop.run_until_cancelled(Box::pin(visit)).await {
                None => return End::Stopped,
                Some(Err(problem)) => return problem.into(),
                Some(Ok(())) => {
                    self.clean_start = false;
                    attempts.accepted();
                }
            }
        }
        let mut link = self.link(protocol, Persistence::Session).await;
        let ledger = Ledger::new(link.acknowledger());
        let end = self.listen(&mut link, &ledger, stop).await;
        ledger.close();
        while let Some(event) = link.take_received() {
            self.hear_out(event, protocol, &ledger);
        }
        self.listener.interrupted();
        end
    }

    /// Takes what still came over a connection that has ended: messages of QoS 0, as others come again.
    fn hear_out(&mut self, event: LinkEvent, protocol: Protocol, ledger: &Ledger) {
        if let LinkEvent::Publish(publish) = event
            && publish.qos == 0
        {
            self.hear(publish, protocol, ledger);
        }
    }

    async fn link(&self, protocol: Protocol, persistence: Persistence) -> Link {
        let tls = self.tls.as_ref();
        Link::new(&self.config, &self.client_id, protocol, persistence, tls).await
    }

    async fn listen(&mut self, link: &mut Link, ledger: &Ledger, stop: &CancellationToken) -> End {
        let mut progress = Progress {
            subscriptions: Subscriptions::new(self.config.connect_timeout),
            full: false,
            pauses: Pauses::new(Instant::now()),
            leaving: Leaving::No,
            waiters: Waiters::default(),
            was_subscribed: false,
        };
        let called = self.orders.attention(stop).cancelled_owned();
        tokio::pin!(called);
        loop {
            let event = tokio::select! {
                biased;
                event = async {
                    // However much comes, it is seen soon that the connection shall stop.
                    tokio::task::consume_budget().await;
                    self.wait_for_listener(&mut progress.pauses).await;
                    self.next(link, ledger, &progress).await
                } => event,
                () = &mut called => {
                    if stop.is_cancelled() {
                        return self.farewell(link, ledger).await;
                    }
                    called.set(self.orders.attention(stop).cancelled_owned());
                    self.heed(&mut progress, link.protocol());
                    self.follow(link, &mut progress);
                    continue;
                }
            };
            match event {
                Err(problem) => {
                    if problem.cause == Cause::Restart {
                        // What is delivered shall not come again: its PUBACKs go out first.
                        self.farewell(link, ledger).await;
                    }
                    return problem.into();
                }
                Ok(Next::Link(event)) => {
                    let protocol = link.protocol();
                    self.take(event, protocol, ledger, &mut progress);
                    while let Some(event) = link.take_received() {
                        self.take(event, protocol, ledger, &mut progress);
                    }
                }
                Ok(Next::SubscribeAgain) => {
                    self.subscribe(&mut progress.subscriptions, link.protocol());
                }
                Ok(Next::Rested) => {}
                Ok(Next::Paid) => progress.probe(),
            }
            self.follow(link, &mut progress);
            if progress.has_nothing_left(ledger) && self.orders.go() {
                self.farewell(link, ledger).await;
                return self.end_session(link.protocol(), stop).await;
            }
        }
    }

    fn take(
        &mut self,
        event: LinkEvent,
        protocol: Protocol,
        ledger: &Ledger,
        progress: &mut Progress,
    ) {
        let subscriptions = &mut progress.subscriptions;
        match event {
            LinkEvent::Connected { session_present } => {
                self.status.send_replace(Status::Subscribing);
                if session_present {
                    self.holds.extend(self.listener.leftover_filters());
                    self.overlap.copies.part();
                } else {
                    self.holds.clear();
                    self.overlap.forget();
                }
                self.subscribe(subscriptions, protocol);
                progress.leaving = Leaving::of(&self.orders);
            }
            LinkEvent::Publish(publish) if progress.full && publish.qos > 0 => {}
            LinkEvent::Publish(publish) if self.overlap.copies.is_copy(&publish, Instant::now) => {
                progress.leaving.heard();
                if publish.qos > 0 {
                    ledger.open(publish.packet_id).settle();
                }
            }
            LinkEvent::Publish(publish) => {
                progress.leaving.heard();
                match self.hear(publish, protocol, ledger) {
                    Hearing::Taken => {}
                    Hearing::Full => {
                        ledger.withdraw();
                        progress.full = true;
                        self.say_full();
                    }
                    Hearing::Resubscribe => {
                        // Until the old ones are given up, messages may come twice.
                        if self.change(subscriptions, protocol) {
                            self.status.send_replace(Status::Subscribing);
                        }
                    }
                }
            }
            LinkEvent::Asked(packet_id) => subscriptions.sent(packet_id),
            LinkEvent::Subscribed(subscribed) => {
                let refused = subscriptions.subscribed(subscribed);
                self.overlap.copies.subscribed(&refused);
            }
            LinkEvent::Unsubscribed(packet_id) => {
                if let Some(filter) = subscriptions.unsubscribed(packet_id) {
                    self.unsubscribed(&filter, subscriptions);
                }
            }
            LinkEvent::Acknowledged => ledger.sent(),
            LinkEvent::Published | LinkEvent::Disconnecting | LinkEvent::Other => {}
        }
    }

    fn say_full(&self) {
        let client_id = self.client_id.as_str();
        warn!(
            client_id,
            "no room for more events; the broker keeps those of QoS 1"
        );
        self.status.send_replace(Status::Full);
    }

    fn hear(&mut self, publish: Publish, protocol: Protocol, ledger: &Ledger) -> Hearing {
        if self.closing.is_cancelled() {
            self.metrics.left(publish.qos);
            return Hearing::Taken;
        }
        let ticket = match publish.qos {
            0 => Ticket::none(),
            _ => ledger.open(publish.packet_id),
        };
        let topic = publish.topic.map(TopicName::try_from);
        let Some(Ok(topic)) = topic else {
            self.metrics.malformed();
            ticket.settle();
            return Hearing::Taken;
        };
        self.listener.hear(Message {
            topic,
            payload: publish.payload,
            qos: publish.qos,
            // Before MQTT 5 the flag marks a replay, and the publisher's is not known.
            retain: publish.retain,
            properties: publish.properties,
            is_replay: protocol == Protocol::V4 && publish.retain,
            ticket,
        })
    }

    /// Sends what was asked for, DISCONNECT last, and waits until the broker closes.
    ///
    /// Closing before would reset a connection over which messages still come, and a reset
    /// discards what the broker has not read yet.
    async fn farewell(&mut self, link: &mut Link, ledger: &Ledger) -> End {
        let protocol = link.protocol();
        let closed = async {
            let mut is_leaving = false;
            loop {
                if !is_leaving && !ledger.has_unsent() {
                    ledger.close();
                    link.disconnect();
                    is_leaving = true;
                }
                match link.poll().await {
                    Ok(LinkEvent::Acknowledged) => ledger.sent(),
                    Ok(event) => self.hear_out(event, protocol, ledger),
                    Err(_ended) => return,
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, closed).await;
        End::Stopped
    }
}
