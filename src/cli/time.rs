//! Points in time as people write and read them: RFC 3339, and "so long ago".

use std::time::Duration;

use crate::event::Timestamp;

/// Returns a time as RFC 3339 has it, in UTC to the millisecond.
pub(super) fn show(time: Timestamp) -> String {
    time.rfc3339()
}

/// Reads a time as RFC 3339 has it, or as a duration such as `90s`, `15m`, `2h`, `7d` or `1w`: that
/// long before `now`.
///
/// A duration that reaches behind 1970 means 1970.
pub(super) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Some(ago) = duration(text) {
        let ms = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(Timestamp::from_millis(now.as_millis().saturating_sub(ms)));
    }
    Timestamp::from_rfc3339(text).ok_or_else(|| {
        "it is neither a time since 1970, such as 2026-11-21T09:30:00Z, nor a duration, such as 2h".to_owned()
    })
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01, as `date -u -d @1767225600` says.
    const NEW_YEAR_2026: u64 = 1_767_225_600_000;

    /// Days in 400 years, after which the calendar repeats.
    const ERA: u64 = 146_097;

    const DAY_MS: u64 = 86_400_000;

    const NOW: Timestamp = Timestamp::from_millis(NEW_YEAR_2026);

    #[test]
    fn times_are_shown_in_utc() {
        let check = |ms, expected: &str| assert_eq!(show(Timestamp::from_millis(ms)), expected);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_000, "2000-03-01T00:00:00.000Z");
        check(NEW_YEAR_2026 - 1, "2025-12-31T23:59:59.999Z");
        check(NEW_YEAR_2026, "2026-01-01T00:00:00.000Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
        check(253_402_300_799_999, "9999-12-31T23:59:59.999Z");
        // Whatever a broker tells.
        check(u64::MAX, "584556019-04-03T14:25:51.615Z");
    }

    #[test]
    fn every_day_of_an_era_reads_back() {
        for day in 0..ERA {
            let time = Timestamp::from_millis(day * DAY_MS + day);
            assert_eq!(
                Timestamp::from_rfc3339(&show(time)),
                Some(time),
                "day {day}"
            );
        }
    }

    #[test]
    fn rfc_3339_is_read_in_every_zone() {
        let check = |text, expected| {
            let ms = read(text, NOW).map(Timestamp::as_millis);
            assert_eq!(ms, Ok(expected), "{text}");
        };
        check("2026-01-01T00:00:00Z", NEW_YEAR_2026);
        check("2026-01-01t00:00:00z", NEW_YEAR_2026);
        check("2026-01-01 01:30:00+01:30", NEW_YEAR_2026);
        check("2025-12-31T16:00:00-08:00", NEW_YEAR_2026);
        check("2026-01-01T00:00:00.2Z", NEW_YEAR_2026 + 200);
        check("2026-01-01T00:00:00.25+00:00", NEW_YEAR_2026 + 250);
        check("2026-01-01T00:00:00.250999999Z", NEW_YEAR_2026 + 250);
        check("2025-12-31T23:59:60Z", NEW_YEAR_2026);
        check("1970-01-01T00:00:00Z", 0);
    }

    #[test]
    fn a_duration_is_that_long_ago() {
        let check = |text, seconds| {
            let expected = Timestamp::from_millis(NEW_YEAR_2026 - seconds * 1_000);
            assert_eq!(read(text, NOW), Ok(expected), "{text}");
        };
        check("0s", 0);
        check("90s", 90);
        check("15m", 900);
        check("2h", 7_200);
        check("7d", 604_800);
        check("1w", 604_800);
        check("999999999999999999w", NEW_YEAR_2026 / 1_000);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "yesterday",
            "2",
            "2x",
            "-2h",
            "h",
            "99999999999999999999h",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-1-01T00:00:000Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.5",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Zulu",
            "+026-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "0000-01-01T00:00:00Z",
            "2026\u{2014}01-01T00:00:00Z",
            "2026-01-01T00:00:00\u{e9}",
        ] {
            assert!(read(text, NOW).is_err(), "{text:?} was taken for a time");
        }
    }
}
