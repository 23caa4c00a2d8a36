//! Where deliveries end: a [`Sink`] attempts one, and says what came of it.
//!
//! What a receiver answers is an [`Outcome`], never an error of ours. The usual sink is
//! an HTTP webhook; a program that embeds mqhook brings its own, as a closure if it likes.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::event::Event;

/// A future that a sink returns.
pub type Attempt = Pin<Box<dyn Future<Output = Report> + Send>>;

/// Events that go together; there is one, unless the webhook has batches.
pub type Events = SmallVec<[Arc<Event>; 1]>;

/// A receiver of events.
pub trait Sink: Send + Sync {
    /// Attempts to deliver events once and together, within a time that the sink bounds. Several that are rejected with status 400, 413 or 422,
    /// [`Class::Request`] or [`Class::Other`] are tried again in halves; another rejection ends them all.
    ///
    /// # Cancel safety
    /// Dropping the future ends the attempt; the receiver may have got the event all the same.
    fn deliver(self: Arc<Self>, events: Events) -> Attempt;

    /// Returns how many connections it has; `None` for what has none, as most sinks of other programs.
    fn connections(&self) -> Option<Connections> {
        None
    }

    /// Keeps no connection that is idle, as another sink has taken its place; attempts under way go on.
    fn retire(&self) {}
}

/// The connections of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Those that are open, or being made.
    pub open: usize,
    /// The most there may be.
    pub most: usize,
}

impl<F, Answer> Sink for F
where
    F: Fn(Arc<Event>) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Outcome> + Send + 'static,
{
    /// Calls the closure for one event after the other, until it does not deliver one. What it rejects of
    /// several is tried again in halves, as it has not seen all: those that it has taken come twice.
    fn deliver(self: Arc<Self>, events: Events) -> Attempt {
        if let [event] = events.as_slice() {
            let answer = self(Arc::clone(event));
            return Box::pin(async move { answer.await.into() });
        }
        Box::pin(async move {
            for event in events {
                match self(event).await {
                    Outcome::Delivered => {}
                    Outcome::Rejected(failure) => {
                        let class = Class::Other;
                        return Outcome::Rejected(Failure { class, ..failure }).into();
                    }
                    retry @ Outcome::Retry(_) => return retry.into(),
                }
            }
            Outcome::Delivered.into()
        })
    }
}

/// What came of an attempt, and what the receiver answered, for those who look into deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What came of it.
    pub outcome: Outcome,
    /// The status code of the answer; `None` if there was none, or the sink is not HTTP.
    pub status: Option<u16>,
    /// The beginning of the answer's body, at most [`RESPONSE_BYTES`](Self::RESPONSE_BYTES) of it. May share a
    /// larger buffer: who keeps it copies it.
    pub response: Bytes,
}

impl Report {
    /// The most of an answer's body that is told.
    pub const RESPONSE_BYTES: usize = 1_024;
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            status: None,
            response: Bytes::new(),
        }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has the event.
    Delivered,
    /// It may not have it; another attempt may succeed.
    Retry(Failure),
    /// It does not want it; another attempt would fail alike.
    Rejected(Failure),
}

/// Why an attempt did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure, for metrics and decisions.
    pub class: Class,
    /// What is known beyond it, for the log; may be empty. Holds no payload and no secret.
    pub detail: String,
    /// How long the receiver asked to wait before the next attempt, uncapped; `None` if it did not
    /// say. Means nothing to a rejection.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Returns a failure with what an error and its causes say as detail.
    pub fn because(class: Class, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut detail = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !detail.ends_with(&text) {
                detail = format!("{detail}: {text}");
            }
            source = cause.source();
        }
        Self {
            detail,
            ..class.into()
        }
    }

    /// Returns how long the receiver asked to be left alone with every event, not only this one: that
    /// is what `Retry-After` means beside 429 and 503 (RFC 6585, 4; RFC 9110, 15.6.4). What gives out
    /// tokens, and a sink that is not HTTP, always mean that.
    #[must_use]
    pub fn hold_off(&self) -> Option<Duration> {
        match self.class {
            Class::Status(429 | 503) | Class::Auth | Class::Other => self.retry_after,
            _ => None,
        }
    }
}

impl From<Class> for Failure {
    fn from(class: Class) -> Self {
        Self {
            class,
            detail: String::new(),
            retry_after: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.class, self.detail.as_str()) {
            (Class::Status(code), _) => write!(f, "answered {code}"),
            (class, "") => f.write_str(class.as_str()),
            (class, detail) => write!(f, "{}: {detail}", class.as_str()),
        }
    }
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The receiver answered with this status code.
    Status(u16),
    /// Its name has no address, or could not be looked up.
    Dns,
    /// It has no address that may be connected to, so nothing was sent.
    Address,
    /// The proxy could not be reached, or did not connect to the receiver.
    Proxy,
    /// No connection could be made.
    Connect,
    /// No secure connection could be made.
    Tls,
    /// The time for the attempt was up.
    Timeout,
    /// The connection ended before the answer did; whether the receiver has the event is not known.
    Closed,
    /// The answer was not HTTP.
    Protocol,
    /// There is nothing to show the receiver who the request is from, so nothing was sent.
    Auth,
    /// No request can be made of the event: a template lacks something, or it is too much for headers.
    Request,
    /// A sink that is not HTTP failed.
    Other,
}

impl Class {
    /// One of each word that [`Self::as_str`] has.
    pub const WORDS: [Self; 16] = [
        Self::Status(100),
        Self::Status(200),
        Self::Status(300),
        Self::Status(400),
        Self::Status(500),
        Self::Dns,
        Self::Address,
        Self::Proxy,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::Auth,
        Self::Request,
        Self::Other,
    ];

    /// Returns the word that metrics and the log use; of all status codes, one per hundred.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status(100..200) => "status_1xx",
            Self::Status(200..300) => "status_2xx",
            Self::Status(300..400) => "status_3xx",
            Self::Status(400..500) => "status_4xx",
            Self::Status(_) => "status_5xx",
            Self::Dns => "dns",
            Self::Address => "address",
            Self::Proxy => "proxy",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Auth => "auth",
            Self::Request => "request",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Client, Connection, Detail, Happening, Kind, Timestamp};

    fn event() -> Arc<Event> {
        let happening = Happening {
            kind: Kind::ClientConnected,
            time: None,
            client: Client::default(),
            detail: Detail::Connection(Connection::default()),
        };
        Arc::new(Event::new(happening, Timestamp::now()))
    }

    #[tokio::test]
    async fn what_a_closure_rejects_of_several_does_not_end_the_others() {
        let reject = |_: Arc<Event>| async { Outcome::Rejected(Failure::from(Class::Status(404))) };
        let reject = Arc::new(reject);
        let alone = Arc::clone(&reject).deliver([event()].into()).await;
        let together = reject
            .deliver([event(), event()].into_iter().collect())
            .await;
        let rejected = |class| Report::from(Outcome::Rejected(Failure::from(class)));
        assert_eq!(alone, rejected(Class::Status(404)));
        assert_eq!(together, rejected(Class::Other));
    }

    #[test]
    fn only_some_failures_speak_for_the_whole_receiver() {
        let check = |class, expected: bool| {
            let retry_after = Some(Duration::from_secs(7));
            let failure = Failure {
                retry_after,
                ..Failure::from(class)
            };
            let expected = retry_after.filter(|_| expected);
            assert_eq!(failure.hold_off(), expected, "{class:?}");
            assert_eq!(Failure::from(class).hold_off(), None, "{class:?}");
        };
        check(Class::Status(429), true);
        check(Class::Status(503), true);
        check(Class::Auth, true);
        check(Class::Other, true);
        check(Class::Status(408), false);
        check(Class::Status(500), false);
        check(Class::Timeout, false);
    }
}
