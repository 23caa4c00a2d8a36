//! What brokers say of themselves that tells who cannot be connected.
//!
//! | topic of Mosquitto, with its plugin or without | payload | says |
//! |---|---|---|
//! | `$SYS/broker/uptime` | `17 seconds` | for how long it runs |
//! | `$SYS/broker/clients/connected` | `3` | how many connections it has, bridges and those that have not sent CONNECT included |
//!
//! Seen at 2.0.11: both come every `sys_interval`, the second behind the first, and only if it has changed. Both are
//! retained. The other brokers' counts were not captured, or there are none, and are not read.

use super::{Heard, plausible};
use crate::event::Timestamp;

/// What a broker says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vital {
    /// It has run for so many seconds. This comes again and again.
    Uptime(u64),
    /// It has so many connections, all of them counted. This comes right behind an uptime, at least if it has changed.
    Connections(u64),
}

pub(super) const MOSQUITTO: [&str; 2] = ["$SYS/broker/uptime", "$SYS/broker/clients/connected"];

/// Reads what Mosquitto says of itself.
pub(super) fn mosquitto(heard: &Heard<'_>) -> Option<Vital> {
    let [uptime, connected] = MOSQUITTO;
    let topic = heard.topic.as_str();
    if topic == uptime {
        let seconds = text(heard)?.strip_suffix(" seconds")?;
        Some(Vital::Uptime(number(seconds)?))
    } else if topic == connected {
        Some(Vital::Connections(number(text(heard)?)?))
    } else {
        None
    }
}

fn text<'a>(heard: &Heard<'a>) -> Option<&'a str> {
    std::str::from_utf8(heard.payload).ok()
}

/// Returns the time in front of a line of Mosquitto's log, in whole seconds; `None` with another
/// `log_timestamp_format` than the default.
pub(super) fn stamp(line: &[u8]) -> Option<Timestamp> {
    let end = line.iter().take(20).position(|byte| *byte == b':')?;
    let seconds = number(std::str::from_utf8(&line[..end]).ok()?)?;
    plausible(seconds.checked_mul(1_000)?)
}

fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use bytestring::ByteString;

    use super::*;
    use crate::event::TopicName;

    fn read(topic: &'static str, payload: &'static [u8]) -> Option<Vital> {
        mosquitto(&Heard {
            topic: &TopicName::try_from(ByteString::from_static(topic)).expect("a topic name"),
            payload: &Bytes::from_static(payload),
            now: Timestamp::from_millis(0),
        })
    }

    #[test]
    fn only_seconds_in_front_of_a_line_are_a_time() {
        let at = |line: &str| stamp(line.as_bytes()).map(Timestamp::as_millis);
        assert_eq!(at("1795215493: Client a"), Some(1_795_215_493_000));
        for line in [
            "",
            "1795215493",
            "17: a",
            ": a",
            "2026-11-20T23:18:13: a",
            "New: 1795215493: a",
        ] {
            assert_eq!(at(line), None, "{line}");
        }
    }

    #[test]
    fn what_mosquitto_says_of_itself_is_read() {
        let [uptime, connected] = MOSQUITTO;
        assert_eq!(read(uptime, b"17 seconds"), Some(Vital::Uptime(17)));
        assert_eq!(read(connected, b"3"), Some(Vital::Connections(3)));
        assert_eq!(read("$SYS/broker/clients/total", b"3"), None);
        for payload in [
            b"".as_slice(),
            b"-1",
            b"+1",
            b"1.5",
            b" 1",
            b"\xff",
            b"99999999999999999999",
        ] {
            assert_eq!(read(connected, payload), None, "{payload:?}");
            assert_eq!(read(uptime, payload), None, "{payload:?}");
        }
        assert_eq!(read(uptime, b"7 days"), None);
    }
}
