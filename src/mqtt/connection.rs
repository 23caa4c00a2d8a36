//! Keeping one session with the broker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::link::{Link, LinkEvent, Persistence, Publish, Subscribed};
use super::{Cause, Config, Hearing, Listener, Message, Metrics, Problem, Protocol, Status};
use crate::ack::{Ledger, Ticket};
use crate::backoff::Backoff;
use crate::event::TopicName;

/// Between attempts to connect; an attempt after a connection that held starts over.
const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(500),
    factor: 2.0,
    max: Duration::from_secs(30),
};

/// A connection that held for this long makes up for the failures before it.
const HELD: Duration = Duration::from_secs(10);

/// Most topic filters of one SUBSCRIBE.
const FILTERS_PER_SUBSCRIBE: usize = 100;

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
    /// What to do with messages.
    pub listener: L,
    /// Where others see how the connection is.
    pub status: watch::Sender<Status>,
    /// Counts.
    pub metrics: Metrics,
    /// From when on nothing more is taken, while the connection is kept for acknowledgements.
    pub closing: CancellationToken,
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
    /// Connects, and connects again, until `stop`; then says DISCONNECT and returns.
    ///
    /// # Cancel safety
    /// Dropping the future cuts the connection; the broker keeps the session.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut attempts = Attempts::new(self.config.protocol);
        loop {
            self.status.send_replace(Status::Connecting);
            let started = Instant::now();
            let problem = match self.converse(attempts.protocol, &stop).await {
                End::Stopped => break,
                End::Failed(problem) => problem,
            };
            self.metrics.failed();
            let spoke = self.status.borrow().clone();
            let delay = attempts.failed(&problem, &spoke, started.elapsed(), rand::random());
            self.report(&problem, delay, &mut attempts.reported);
            self.status.send_replace(Status::Waiting(problem));
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(delay) => {}
            }
        }
        self.status.send_replace(Status::Stopped);
    }

    /// Says once what is wrong, and again only if something else is.
    fn report(&self, problem: &Problem, delay: Duration, reported: &mut Option<Problem>) {
        let client_id = self.client_id.as_str();
        let remedy = problem.remedy();
        let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        if problem.cause == Cause::Restart {
            info!(client_id, "{problem}");
        } else if reported.as_ref() == Some(problem) {
            debug!(client_id, %problem, retry_ms, "still no connection to the broker");
        } else {
            let broker = &self.config.url;
            warn!(client_id, %broker, remedy, retry_ms, "{problem}");
            *reported = Some(problem.clone());
        }
    }

    async fn converse(&mut self, protocol: Protocol, stop: &CancellationToken) -> End {
        let mut link = Link::new(
            &self.config,
            &self.client_id,
            protocol,
            Persistence::Session,
            self.tls.as_ref(),
        );
        let ledger = Ledger::new(link.acknowledger());
        let end = self.listen(&mut link, &ledger, stop).await;
        ledger.close();
        for event in link.leftovers() {
            // What has QoS 1 comes again.
            if let LinkEvent::Publish(publish) = event
                && publish.qos == 0
            {
                self.hear(publish, protocol, &ledger);
            }
        }
        end
    }

    async fn listen(&mut self, link: &mut Link, ledger: &Ledger, stop: &CancellationToken) -> End {
        let protocol = link.protocol();
        let mut subscriptions = Subscriptions::default();
        let mut full = false;
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        loop {
            let event = tokio::select! {
                biased;
                () = &mut stopped => return self.farewell(link).await,
                event = self.next(link, full, &subscriptions) => event,
            };
            match event {
                Err(problem) => return problem.into(),
                Ok(Next::Link(LinkEvent::Connected { session_present })) => {
                    self.status.send_replace(Status::Subscribing);
                    self.subscribe(link, session_present, &mut subscriptions);
                }
                Ok(Next::Link(LinkEvent::Publish(publish))) => {
                    if full || self.closing.is_cancelled() {
                        self.metrics.left(publish.qos);
                        continue;
                    }
                    match self.hear(publish, protocol, ledger) {
                        Hearing::Taken => {}
                        Hearing::Full => full = true,
                        Hearing::Resubscribe => self.subscribe(link, true, &mut subscriptions),
                    }
                }
                Ok(Next::Link(LinkEvent::Subscribing(packet_id))) => {
                    subscriptions.sent(packet_id);
                }
                Ok(Next::Link(LinkEvent::Subscribed(subscribed))) => {
                    subscriptions.answered(subscribed);
                }
                Ok(Next::Link(LinkEvent::Disconnecting | LinkEvent::Other)) => {}
                Ok(Next::SubscribeAgain) => self.subscribe(link, false, &mut subscriptions),
            }
            self.follow(&mut subscriptions, protocol);
        }
    }

    /// Waits for what comes first.
    async fn next(
        &self,
        link: &mut Link,
        full: bool,
        subscriptions: &Subscriptions,
    ) -> Result<Next, Problem> {
        if !full && subscriptions.again_at.is_none() {
            return link.poll().await.map(Next::Link);
        }
        let room = async {
            if full {
                self.listener.room().await;
            } else {
                std::future::pending().await
            }
        };
        let again = async {
            match subscriptions.again_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = link.poll() => event.map(Next::Link),
            () = room => Err(Problem::new(Cause::Restart, "")),
            () = again => Ok(Next::SubscribeAgain),
        }
    }

    fn subscribe(&self, link: &Link, session_present: bool, subscriptions: &mut Subscriptions) {
        let filters = self.listener.topic_filters();
        if session_present {
            for filter in self.listener.leftover_filters() {
                link.unsubscribe(&filter);
            }
        }
        for filters in filters.chunks(FILTERS_PER_SUBSCRIBE) {
            link.subscribe(filters, self.listener.wants_replays());
        }
        subscriptions.asked(&filters);
    }

    /// Tells others when every SUBSCRIBE has been answered.
    fn follow(&mut self, subscriptions: &mut Subscriptions, protocol: Protocol) {
        match subscriptions.take_verdict() {
            None => {}
            Some(None) => {
                let (client_id, broker) = (self.client_id.as_str(), &self.config.url);
                info!(client_id, %broker, %protocol, "subscribed at the broker");
                self.metrics.subscribed();
                self.status.send_replace(Status::Subscribed(protocol));
                self.listener.subscribed();
            }
            Some(Some(problem)) => {
                let (client_id, remedy) = (self.client_id.as_str(), problem.remedy());
                if *self.status.borrow() != Status::Waiting(problem.clone()) {
                    warn!(client_id, remedy, "{problem}");
                    self.status.send_replace(Status::Waiting(problem));
                }
            }
        }
    }

    fn hear(&mut self, publish: Publish, protocol: Protocol, ledger: &Ledger) -> Hearing {
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
            is_replay: protocol == Protocol::V4 && publish.retain,
            ticket,
        })
    }

    /// Sends what was asked for, DISCONNECT last.
    async fn farewell(&self, link: &mut Link) -> End {
        link.disconnect();
        let sent =
            async { while !matches!(link.poll().await, Ok(LinkEvent::Disconnecting) | Err(_)) {} };
        let _ = tokio::time::timeout(FAREWELL, sent).await;
        End::Stopped
    }
}

enum Next {
    Link(LinkEvent),
    SubscribeAgain,
}

/// The SUBSCRIBEs of one connection and what was answered to them.
#[derive(Debug, Default)]
struct Subscriptions {
    /// What was asked for and not yet sent, per SUBSCRIBE.
    asked: VecDeque<Vec<String>>,
    sent: Vec<(u16, Vec<String>)>,
    refused: Option<Problem>,
    failures: u32,
    /// When to ask again for what was refused.
    again_at: Option<Instant>,
    changed: bool,
}

impl Subscriptions {
    fn asked(&mut self, filters: &[String]) {
        let packets = filters
            .chunks(FILTERS_PER_SUBSCRIBE)
            .map(<[String]>::to_vec);
        self.asked.extend(packets);
        self.refused = None;
        self.again_at = None;
        self.changed = true;
    }

    fn sent(&mut self, packet_id: u16) {
        if let Some(filters) = self.asked.pop_front() {
            self.sent.push((packet_id, filters));
        }
    }

    fn answered(&mut self, answer: Subscribed) {
        let Some(index) = self.sent.iter().position(|(id, _)| *id == answer.packet_id) else {
            return;
        };
        let (_, filters) = self.sent.swap_remove(index);
        for (filter, refused) in filters.iter().zip(answer.refused) {
            if let Some(reason) = refused {
                let detail = format_args!("`{filter}`: {reason}");
                self.refused = Some(Problem::new(Cause::SubscribeRefused, detail));
            }
        }
        self.changed = true;
    }

    /// Returns, once, what came of all SUBSCRIBEs when the last has been answered.
    fn take_verdict(&mut self) -> Option<Option<Problem>> {
        if !self.changed || !self.asked.is_empty() || !self.sent.is_empty() {
            return None;
        }
        self.changed = false;
        if self.refused.is_some() {
            self.failures += 1;
            self.again_at = Some(Instant::now() + BACKOFF.delay(self.failures, rand::random()));
        } else {
            self.failures = 0;
        }
        Some(self.refused.clone())
    }
}

/// Which version to try next, and when.
#[derive(Debug)]
struct Attempts {
    protocol: Protocol,
    /// Whether the version is ours to choose.
    automatic: bool,
    failures: u32,
    reported: Option<Problem>,
}

impl Attempts {
    fn new(configured: Option<Protocol>) -> Self {
        Self {
            protocol: configured.unwrap_or(Protocol::V5),
            automatic: configured.is_none(),
            failures: 0,
            reported: None,
        }
    }

    /// Returns how long to wait before the next attempt.
    fn failed(
        &mut self,
        problem: &Problem,
        last: &Status,
        lasted: Duration,
        random: f64,
    ) -> Duration {
        let connected = *last != Status::Connecting;
        if problem.cause == Cause::Restart {
            return Duration::ZERO;
        }
        if connected && lasted >= HELD {
            self.failures = 0;
            self.reported = None;
        }
        self.failures += 1;
        if self.automatic && !connected && speaks_another_version(problem) {
            self.protocol = match self.protocol {
                Protocol::V5 => Protocol::V4,
                Protocol::V4 => Protocol::V5,
            };
        }
        BACKOFF.delay(self.failures, random)
    }
}

/// Returns whether a broker that speaks only another version may have failed like this.
fn speaks_another_version(problem: &Problem) -> bool {
    matches!(
        problem.cause,
        Cause::ProtocolVersion | Cause::Protocol | Cause::Closed | Cause::Timeout
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(attempts: &mut Attempts, cause: Cause, last: &Status, lasted_s: u64) -> Duration {
        let lasted = Duration::from_secs(lasted_s);
        attempts.failed(&Problem::new(cause, ""), last, lasted, 0.0)
    }

    #[test]
    fn attempts_slow_down_until_a_connection_holds() {
        let mut attempts = Attempts::new(None);
        let mut check = |cause, last: &Status, lasted_s, expected_ms| {
            let delay = failed(&mut attempts, cause, last, lasted_s);
            assert_eq!(delay, Duration::from_millis(expected_ms), "{cause:?}");
        };
        let subscribed = Status::Subscribed(Protocol::V5);
        check(Cause::Unreachable, &Status::Connecting, 0, 500);
        check(Cause::Unreachable, &Status::Connecting, 0, 1_000);
        check(Cause::Closed, &subscribed, 1, 2_000);
        check(Cause::Closed, &subscribed, 60, 500);
        check(Cause::Restart, &subscribed, 1, 0);
    }

    #[test]
    fn the_other_version_is_tried_only_when_it_may_help() {
        let check = |configured, cause, last, expected| {
            let mut attempts = Attempts::new(configured);
            failed(&mut attempts, cause, &last, 0);
            assert_eq!(attempts.protocol, expected, "{cause:?}");
        };
        check(
            None,
            Cause::ProtocolVersion,
            Status::Connecting,
            Protocol::V4,
        );
        check(None, Cause::Closed, Status::Connecting, Protocol::V4);
        check(None, Cause::Unreachable, Status::Connecting, Protocol::V5);
        check(None, Cause::Closed, Status::Subscribing, Protocol::V5);
        check(
            Some(Protocol::V5),
            Cause::ProtocolVersion,
            Status::Connecting,
            Protocol::V5,
        );
    }

    #[test]
    fn the_verdict_waits_for_every_suback() {
        let mut subscriptions = Subscriptions::default();
        let filters: Vec<String> = (0..150).map(|i| format!("f/{i}")).collect();
        subscriptions.asked(&filters);
        assert_eq!(subscriptions.take_verdict(), None);
        subscriptions.sent(1);
        subscriptions.sent(2);
        let answer = |packet_id, refused| Subscribed { packet_id, refused };
        subscriptions.answered(answer(2, vec![None; 50]));
        assert_eq!(subscriptions.take_verdict(), None);
        let mut refused = vec![None; 100];
        refused[3] = Some(crate::event::Reason::NotAuthorized);
        subscriptions.answered(answer(1, refused));
        let verdict = subscriptions.take_verdict().expect("all are answered");
        let problem = verdict.expect("one was refused");
        assert_eq!(problem.detail, "`f/3`: not_authorized");
        assert!(subscriptions.again_at.is_some());
        assert_eq!(subscriptions.take_verdict(), None);
    }
}
