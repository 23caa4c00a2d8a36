//! Copies of one message that come as two subscriptions match it, while one takes the other's place.
//!
//! A broker that sends a copy for each subscription sends them one behind the other, each with the identifier of its
//! subscription (MQTT 5, 3.3.2.3.8). New subscriptions have another identifier than those whose place they take;
//! so what equals the message before it and has another identifier is a copy of it. Before its SUBACK nothing
//! comes over a new subscription.

use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::link::Publish;

/// How long copies may still be on their way after an UNSUBACK.
const LATE: Duration = Duration::from_mins(1);

/// Finds copies, while there may be any.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Until when there may be any; `None`: there are none.
    until: Option<Instant>,
    /// The last message, and the subscriptions over which it came.
    last: Option<(Publish, SmallVec<[Option<usize>; 2]>)>,
}

impl Copies {
    /// Notes that from now on, for a while, a message may come more than once.
    pub(super) fn expect(&mut self, now: Instant) {
        self.until = Some(now + LATE);
    }

    /// Notes that everything is answered: copies may be on their way from now on for as long as ever.
    pub(super) fn extend(&mut self, now: Instant) {
        if self.until.is_some() {
            self.expect(now);
        }
    }

    /// Notes that the broker has answered: what comes over these subscriptions is no copy of what came before.
    pub(super) fn answered(&mut self, subscription: Option<usize>) {
        if let Some((_, seen)) = &mut self.last {
            seen.push(subscription);
        }
    }

    /// Returns whether a message is a copy of the one before it.
    pub(super) fn is_copy(&mut self, publish: &Publish, now: impl FnOnce() -> Instant) -> bool {
        let Some(until) = self.until else {
            return false;
        };
        if now() > until {
            *self = Self::default();
            return false;
        }
        let subscription = publish.subscription;
        match &mut self.last {
            Some((last, seen)) if last.says(publish) && !seen.contains(&subscription) => {
                seen.push(subscription);
                true
            }
            _ => {
                self.last = Some((publish.clone(), SmallVec::from_slice(&[subscription])));
                false
            }
        }
    }
}

impl Publish {
    /// Returns whether two messages say the same.
    fn says(&self, other: &Self) -> bool {
        self.topic == other.topic
            && self.payload == other.payload
            && self.retain == other.retain
            && self.qos == other.qos
            && self.properties == other.properties
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use bytestring::ByteString;

    use super::*;

    fn publish(payload: &'static str, subscription: Option<usize>) -> Publish {
        Publish {
            topic: Some(ByteString::from_static("t")),
            payload: Bytes::from_static(payload.as_bytes()),
            qos: 1,
            retain: false,
            packet_id: 1,
            properties: None,
            subscription,
        }
    }

    /// Messages with their subscriptions, and which of them are copies.
    fn check(stream: &[(&'static str, Option<usize>)], expected: &[bool]) {
        let mut copies = Copies::default();
        copies.expect(Instant::now());
        let is_copy = |&(payload, subscription)| {
            copies.is_copy(&publish(payload, subscription), Instant::now)
        };
        let found: Vec<bool> = stream.iter().map(is_copy).collect();
        assert_eq!(found, expected, "{stream:?}");
    }

    #[test]
    fn what_comes_over_two_subscriptions_is_taken_once() {
        const NEW: Option<usize> = Some(1);
        check(
            &[("a", None), ("a", NEW), ("b", NEW), ("b", None), ("c", NEW)],
            &[false, true, false, true, false],
        );
        // The same again is another message.
        check(
            &[("a", None), ("a", NEW), ("a", None), ("a", NEW), ("a", NEW)],
            &[false, true, false, true, false],
        );
        check(
            &[("a", None), ("a", None), ("a", None), ("a", NEW)],
            &[false, false, false, true],
        );
        check(
            &[("a", None), ("a", NEW), ("a", Some(2)), ("a", None)],
            &[false, true, true, false],
        );
    }

    #[test]
    fn what_came_before_an_answer_has_no_copy_behind_it() {
        let mut copies = Copies::default();
        copies.expect(Instant::now());
        assert!(!copies.is_copy(&publish("a", None), Instant::now));
        copies.answered(Some(2));
        assert!(!copies.is_copy(&publish("a", Some(2)), Instant::now));
        // One that was on its way before is.
        assert!(copies.is_copy(&publish("a", Some(1)), Instant::now));
    }

    #[test]
    fn copies_are_found_only_while_there_may_be_any() {
        let begin = Instant::now();
        let later = || begin + LATE * 2;
        let mut copies = Copies::default();
        assert!(!copies.is_copy(&publish("a", None), || begin));
        assert!(!copies.is_copy(&publish("a", Some(1)), || begin));
        copies.expect(begin);
        assert!(!copies.is_copy(&publish("a", None), || begin));
        assert!(!copies.is_copy(&publish("a", Some(1)), later));
        assert!(copies.last.is_none(), "expected nothing to be kept");
    }
}
