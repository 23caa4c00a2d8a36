//! Reads times as RFC 3339 writes them.

use super::Timestamp;

const DAY_MS: u64 = 86_400_000;

/// Days from the first of March of the year 0 to 1970-01-01. A year that begins in March ends with
/// its leap day.
const EPOCH: u64 = 719_468;

/// Reads `date-time` of RFC 3339, 5.6.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    // Section 5.6 lets `T` and `Z` be small letters, and a space stand for the `T`.
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let (ms, zone) = fraction(rest)?;
    let is_date = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    // A leap second is the first of the next minute.
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    let days = days_before(year, month, day).checked_sub(EPOCH)?;
    let local = days * DAY_MS + seconds * 1_000 + ms;
    Some(Timestamp::from_millis(
        local.checked_add_signed(-zone_ms(zone)?)?,
    ))
}

/// Returns numbers of so many digits each, with a character between them.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = number_of(part)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn number_of(digits: &str) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Returns the milliseconds of a fraction of a second, and what is behind it.
fn fraction(text: &str) -> Option<(u64, &str)> {
    let Some(digits) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let (digits, rest) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit())?);
    let first = digits.get(..3).unwrap_or(digits);
    let factor = [0, 100, 10, 1][first.len()];
    Some((number_of(first).filter(|_| factor > 0)? * factor, rest))
}

/// Returns by how much a zone is ahead of UTC.
fn zone_ms(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let part = |text: &str, below: i64| {
        let number = number_of(text).filter(|_| text.len() == 2)?;
        i64::try_from(number).ok().filter(|number| *number < below)
    };
    Some(sign * (part(hours, 24)? * 60 + part(minutes, 60)?) * 60_000)
}

/// Returns the days from the first of March of the year 0 to a date.
fn days_before(year: u64, month: u64, day: u64) -> u64 {
    let (year, month_from_march) = match month {
        3.. => (year, month - 3),
        // Before March of the year 0 there is nothing that could be asked for.
        _ => (year.saturating_sub(1), month + 9),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month_from_march + 2) / 5 + day - 1
}

fn days_in(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
