//! The headers of requests.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

use super::{Config, configured, content};
use crate::event::{Id, Timestamp};

/// Names the event, the same on every attempt (Standard Webhooks).
pub(super) const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// When the attempt was made, in seconds since the Unix epoch (Standard Webhooks).
pub(super) const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");

/// What a request says of its sender unless a header is configured.
pub(super) const AGENT: &str = concat!("mqhook/", env!("CARGO_PKG_VERSION"));

/// The headers of one receiver's requests.
#[derive(Debug)]
pub(super) struct Headers {
    /// Those of the last request but for its `webhook-id`, which is empty: a copy costs less than
    /// headers that are put together, and most requests differ in nothing else.
    last: HeaderMap,
    /// Where the value of `webhook-id` is among those of all headers.
    id_at: usize,
    /// Until when what the last `webhook-timestamp` said is so; then the system's clock is asked again.
    second_ends: Option<Instant>,
    /// What the last `content-length` said.
    body_bytes: usize,
}

impl Headers {
    /// Returns mqhook's own headers, but those that are configured, and behind them the configured
    /// ones.
    pub(super) fn new(config: &Config) -> Self {
        let own = [
            (HOST, config.url.host_header()),
            (USER_AGENT, HeaderValue::from_static(AGENT)),
            (CONTENT_TYPE, content::content_type(config)),
        ];
        // Those that are made of each event replace ours, too.
        let configured = configured(config);
        let mut last = HeaderMap::new();
        let own = own.into_iter();
        last.extend(own.filter(|(name, _)| !configured.contains(name)));
        for (name, value) in &config.headers {
            last.append(name, value.clone());
        }
        last.extend(config.auth.lasting());
        last.insert(WEBHOOK_ID, HeaderValue::from_static(""));
        last.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(0));
        last.insert(CONTENT_LENGTH, HeaderValue::from(0));
        Self {
            id_at: last
                .iter()
                .position(|(name, _)| name == WEBHOOK_ID)
                .expect("it was just inserted"),
            last,
            second_ends: None,
            body_bytes: 0,
        }
    }

    /// Returns the headers of a request that is made at `now`, about the event `id`, with a body of
    /// so many bytes. `clock` says what time it is, and is asked once a second.
    pub(super) fn of_request(
        &mut self,
        id: Id,
        now: Instant,
        clock: impl FnOnce() -> Timestamp,
        body_bytes: usize,
    ) -> HeaderMap {
        if self.second_ends.is_none_or(|end| now >= end) {
            let time = clock();
            let left = Duration::from_millis(1_000 - time.as_millis() % 1_000);
            self.second_ends = now.checked_add(left);
            self.last
                .insert(WEBHOOK_TIMESTAMP, HeaderValue::from(time.as_secs()));
        }
        if self.body_bytes != body_bytes {
            self.body_bytes = body_bytes;
            self.last
                .insert(CONTENT_LENGTH, HeaderValue::from(body_bytes));
        }
        let mut headers = self.last.clone();
        let id = HeaderValue::from_bytes(&id.digits()).expect("base62 digits are ASCII");
        if let Some(value) = headers.values_mut().nth(self.id_at) {
            *value = id;
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_own_id_time_and_length() {
        let mut config = Config::new("http://h/".parse().expect("a URL"));
        let tag = HeaderName::from_static("x-tag");
        config.headers = vec![
            (USER_AGENT, HeaderValue::from_static("ours")),
            (tag.clone(), HeaderValue::from_static("a")),
            (tag, HeaderValue::from_static("b")),
        ];
        let mut headers = Headers::new(&config);
        let start = Instant::now();
        let mut check = |id: &str, now_ms, body_bytes, expected: [&str; 3]| {
            let id = id.parse().expect("an id");
            let now = start + Duration::from_millis(now_ms);
            let clock = || Timestamp::from_millis(now_ms);
            let headers = headers.of_request(id, now, clock, body_bytes);
            let values: Vec<&HeaderValue> = headers.values().collect();
            let first = ["h", "application/json", "ours", "a", "b"];
            assert_eq!(values, [first.as_slice(), &expected].concat());
        };
        let (one, two) = ("0000000000000000000001", "0000000000000000000002");
        check(one, 1_999, 5, [one, "1", "5"]);
        check(two, 2_000, 5, [two, "2", "5"]);
        check(two, 2_000, 12, [two, "2", "12"]);
        check(one, 2_999, 0, [one, "2", "0"]);
        check(one, 3_000, 0, [one, "3", "0"]);
    }
}
