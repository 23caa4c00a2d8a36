//! Live streams: server-sent events of what passes by a tap.
//!
//! | event | data |
//! |---|---|
//! | `event`, `attempt` | what has passed by, as JSON |
//! | `lagged` | `{"missed": n}`: the client was too slow for so many |
//!
//! A comment comes every 15 seconds. A stream ends soon after its listener's token was taken away, and before it tells
//! anything once that concerns other webhooks than before; clients connect again. What a slow client does not take is not kept: see [`Tap`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{Api, Caller, Problem, Sight};
use crate::tap::{Heard, Listening, OF_ONE, Refusal, Tap};

/// How often something is sent, if only a comment.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often it is asked whether who listens still may.
const DOUBT: Duration = Duration::from_secs(5);

/// What is sent of one thing.
pub(super) struct Line(Bytes);

impl Line {
    /// Returns an event of the stream.
    pub(super) fn of(event: &'static str, data: &impl Serialize) -> Self {
        // JSON has no line breaks but in strings, where they are escaped.
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        Self(format!("event: {event}\ndata: {data}\n\n").into())
    }
}

#[derive(Serialize)]
struct Missed {
    missed: u64,
}

/// Who listens, and to what of which webhooks.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) api: Arc<Api>,
    pub(super) caller: Caller,
    pub(super) sight: Sight,
    /// How often what is configured had changed when that was so.
    changes: u64,
}

impl Listener {
    /// Returns who listens.
    ///
    /// # Errors
    /// It is not known what it may know of.
    pub(super) async fn new(api: &Arc<Api>, caller: Caller) -> Result<Self, Problem> {
        let changes = api.configured.catalogue.changes();
        let sight = api.sight(&caller).await?;
        Ok(Self {
            api: Arc::clone(api),
            caller,
            sight,
            changes,
        })
    }

    /// Returns whether its webhooks are those that they were, though what is configured may have changed.
    async fn sees_the_same(&mut self) -> bool {
        let changes = self.api.configured.catalogue.changes();
        if changes == self.changes {
            return true;
        }
        self.changes = changes;
        let sight = self.api.sight(&self.caller).await;
        sight.is_ok_and(|sight| sight == self.sight)
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// Too many do already, or too many with the same token.
    pub(super) fn listen<T>(&self, tap: &Tap<T>) -> Result<Listening<T>, Problem> {
        let token = self.caller.token.as_ref().map(|(id, _)| id.0);
        tap.listen(token).map_err(|refusal| match refusal {
            Refusal::All => Problem::busy("too many listen already"),
            Refusal::OfOne => {
                let detail = format!("a token may have {OF_ONE} streams of a kind open");
                let problem = Problem::of_status(StatusCode::TOO_MANY_REQUESTS, detail);
                problem.header("retry-after", "5")
            }
        })
    }

    /// Returns whether it may still listen to the same.
    async fn is_still_right(&self) -> bool {
        let sight = self.api.sight(&self.caller).await;
        sight.is_ok_and(|sight| sight == self.sight) && self.api.still_knows(&self.caller).await
    }
}

struct Open<T, F> {
    listener: Listener,
    listening: Listening<T>,
    show: F,
    doubted_at: Instant,
    is_begun: bool,
}

/// Answers with what passes by and is shown.
pub(super) fn answer<T, F>(listener: Listener, listening: Listening<T>, show: F) -> Response<Body>
where
    T: Send + Sync + 'static,
    F: FnMut(&T) -> Option<Line> + Send + 'static,
{
    let open = Open {
        listener,
        listening,
        show,
        doubted_at: Instant::now() + DOUBT,
        is_begun: false,
    };
    let lines = unfold(open, |mut open| async {
        let line = open.next().await?;
        Some((Ok::<_, Infallible>(line.0), open))
    });
    let mut response = Response::new(Body::from_stream(lines));
    let media_type = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

impl<T, F: FnMut(&T) -> Option<Line>> Open<T, F> {
    async fn next(&mut self) -> Option<Line> {
        if !std::mem::replace(&mut self.is_begun, true) {
            // So that the client knows that it listens.
            return Some(Line(Bytes::from_static(b": listening\n\n")));
        }
        let beat = Instant::now() + HEARTBEAT;
        loop {
            if Instant::now() >= self.doubted_at {
                if !self.listener.is_still_right().await {
                    return None;
                }
                self.doubted_at = Instant::now() + DOUBT;
            }
            match timeout_at(beat.min(self.doubted_at), self.listening.next()).await {
                Ok(Some(Heard::One(one))) => {
                    if !self.listener.sees_the_same().await {
                        return None;
                    }
                    if let Some(line) = (self.show)(&one) {
                        return Some(line);
                    }
                }
                Ok(Some(Heard::Missed(missed))) => {
                    return Some(Line::of("lagged", &Missed { missed }));
                }
                Ok(None) => return None,
                Err(_) if Instant::now() < beat => {}
                Err(_) => return Some(Line(Bytes::from_static(b": waiting\n\n"))),
            }
        }
    }
}
