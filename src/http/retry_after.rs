//! `Retry-After`: how long a receiver asks to wait (RFC 9110, 10.2.3).
//!
//! | value | meaning |
//! |---|---|
//! | `120` | so many seconds, however many there are |
//! | an HTTP date | until then; none if it is past |
//! | anything else | nothing: the header is as good as absent |
//!
//! How long a wait is too long is not decided here.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

/// Returns how long to wait from `now` on, if the headers say so in a way that can be understood.
///
/// A date is compared with the `Date` beside it, if there is one, so that a receiver whose clock is
/// not ours means what it says.
pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number that is too large is none.
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = date(value)?;
    let now = text(headers, &DATE).and_then(date).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn headers(retry_after: &[u8], date: Option<&[u8]>) -> HeaderMap {
        let value = |bytes| HeaderValue::from_bytes(bytes).expect("a value that HTTP can carry");
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value(retry_after));
        if let Some(date) = date {
            headers.insert(DATE, value(date));
        }
        headers
    }

    #[test]
    fn seconds_and_dates_are_understood_and_all_else_is_nothing() {
        let check = |value: &[u8], expected: Option<Duration>| {
            let wait = read(&headers(value, None), now());
            assert_eq!(wait, expected, "{}", value.escape_ascii());
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        check(b"0", seconds(0));
        check(b"120", seconds(120));
        check(b" 120 ", seconds(120));
        check(b"000120", seconds(120));
        check(b"1000000000", seconds(1_000_000_000));
        check(b"18446744073709551615", seconds(u64::MAX));
        check(b"99999999999999999999999999", Some(Duration::MAX));

        check(b"Sun, 06 Nov 1994 08:50:37 GMT", seconds(60));
        check(b"Sunday, 06-Nov-94 08:50:37 GMT", seconds(60));
        check(b"Sun Nov  6 08:50:37 1994", seconds(60));
        check(b"Sun, 06 Nov 1994 08:49:37 GMT", seconds(0));
        check(b"Thu, 01 Jan 1970 00:00:00 GMT", seconds(0));
        check(b"Fri, 31 Dec 9999 23:59:59 GMT", seconds(252_618_189_022));

        for garbage in [
            &b""[..],
            b"1e9",
            b"-1",
            b"+1",
            b"1.5",
            b"120s",
            b"1 2",
            b"soon",
            b"Sun, 06 Nov 1994",
            b"Sun, 31 Feb 1994 08:49:37 GMT",
            b"Mon, 06 Nov 1994 08:50:37 GMT",
            b"Sun, 06 Nov 1994 25:50:37 GMT",
            b"Sun, 06 Nov 99999 08:50:37 GMT",
            b"Sun, 06 Nov 1994 08:50:37 CET",
            b"\xff\xfe",
            b"120\xff",
            "١٢٠".as_bytes(),
        ] {
            check(garbage, None);
        }
    }

    #[test]
    fn a_date_counts_from_the_receivers_own_clock() {
        let check = |date: &[u8], expected| {
            let headers = headers(b"Fri, 02 Jan 1970 00:01:00 GMT", Some(date));
            let wait = read(&headers, now());
            let expected = Duration::from_secs(expected);
            assert_eq!(wait, Some(expected), "{}", date.escape_ascii());
        };
        check(b"Fri, 02 Jan 1970 00:00:00 GMT", 60);
        check(b"Fri, 02 Jan 1970 00:02:00 GMT", 0);
        check(b"yesterday", 0);
        check(b"\xff", 0);
    }

    #[test]
    fn without_the_header_there_is_nothing_to_wait_for() {
        assert_eq!(read(&HeaderMap::new(), now()), None);
    }

    proptest! {
        #[test]
        fn whatever_the_headers_hold_is_data(
            retry_after in "[\\x20-\\x7e\\x80-\\u{ff}]{0,40}|[0-9]{0,30}|(Sun|Mon), [0-9]{2} Feb [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
            date in "[\\x20-\\x7e]{0,40}|Sun, [0-9]{2} Nov [0-9]{4} 08:49:37 GMT",
        ) {
            let _ = read(&headers(retry_after.as_bytes(), Some(date.as_bytes())), now());
        }
    }
}
