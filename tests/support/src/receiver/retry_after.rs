//! `Retry-After` in every shape that receivers send it (RFC 9110 section 10.2.3), good and bad.

use std::time::{Duration, SystemTime};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const LONG_DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A value of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds, as meant.
    Seconds(u64),
    /// A date in the form that senders must use, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    Date(SystemTime),
    /// The same in the obsolete form of RFC 850, which recipients must understand.
    Rfc850(SystemTime),
    /// The same in the form of C's `asctime`, which recipients must understand.
    Asctime(SystemTime),
    /// Seconds below zero.
    Negative,
    /// Seconds with a fraction, which the grammar does not have.
    Fraction,
    /// `1e9`, which the grammar does not have.
    Scientific,
    /// More seconds than 64 bits hold.
    Overflow,
    /// A date that no calendar has.
    ImpossibleDate,
    /// Words.
    Garbage,
    /// Nothing.
    Empty,
    /// Bytes that are not UTF-8.
    NotUtf8,
}

impl RetryAfter {
    /// Returns one of every shape. The good ones ask for less than `short`, but two: 10^9 seconds,
    /// and a date in 2100.
    #[must_use]
    pub fn every_shape(short: Duration) -> Vec<Self> {
        let now = SystemTime::now();
        let past = now - Duration::from_secs(3_600);
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
        vec![
            Self::Seconds(0),
            Self::Seconds(short.as_secs()),
            Self::Seconds(1_000_000_000),
            Self::Date(now + short),
            Self::Date(past),
            Self::Date(far),
            Self::Rfc850(past),
            Self::Asctime(past),
            Self::Negative,
            Self::Fraction,
            Self::Scientific,
            Self::Overflow,
            Self::ImpossibleDate,
            Self::Garbage,
            Self::Empty,
            Self::NotUtf8,
        ]
    }

    /// Returns the bytes of the value.
    #[must_use]
    pub fn value(self) -> Vec<u8> {
        match self {
            Self::Seconds(seconds) => seconds.to_string().into_bytes(),
            Self::Date(time) => Moment::of(time).imf_fixdate().into_bytes(),
            Self::Rfc850(time) => Moment::of(time).rfc850().into_bytes(),
            Self::Asctime(time) => Moment::of(time).asctime().into_bytes(),
            Self::Negative => b"-120".to_vec(),
            Self::Fraction => b"0.5".to_vec(),
            Self::Scientific => b"1e9".to_vec(),
            Self::Overflow => b"99999999999999999999999999".to_vec(),
            Self::ImpossibleDate => b"Mon, 31 Feb 2026 25:61:61 GMT".to_vec(),
            Self::Garbage => b"soon, please".to_vec(),
            Self::Empty => Vec::new(),
            Self::NotUtf8 => b"\xff\xfe\x80".to_vec(),
        }
    }
}

/// A second of the Gregorian calendar in UTC.
struct Moment {
    year: u64,
    month: usize,
    day: u64,
    /// From Thursday, the first day of 1970.
    weekday: usize,
    seconds: u64,
}

impl Moment {
    /// A time before 1970 is taken for its first second.
    fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        let days = seconds / 86_400;
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            weekday: usize::try_from(days % 7).expect("below 7"),
            seconds: seconds % 86_400,
        }
    }

    fn clock(&self) -> String {
        let seconds = self.seconds;
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }

    fn imf_fixdate(&self) -> String {
        let (day, month) = (self.day, MONTHS[self.month]);
        let (weekday, year, clock) = (DAYS[self.weekday], self.year, self.clock());
        format!("{weekday}, {day:02} {month} {year} {clock} GMT")
    }

    fn rfc850(&self) -> String {
        let (day, month) = (self.day, MONTHS[self.month]);
        let (weekday, year, clock) = (LONG_DAYS[self.weekday], self.year % 100, self.clock());
        format!("{weekday}, {day:02}-{month}-{year:02} {clock} GMT")
    }

    fn asctime(&self) -> String {
        let (day, month) = (self.day, MONTHS[self.month]);
        let (weekday, year, clock) = (DAYS[self.weekday], self.year, self.clock());
        format!("{weekday} {month} {day:2} {clock} {year}")
    }
}

/// Returns year, month from 0 and day from 1 of a day since 1970.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    while days >= days_of(year) {
        days -= days_of(year);
        year += 1;
    }
    let february = days_of(year) - 337;
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month, days + 1)
}

fn days_of(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    365 + u64::from(leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, expected: [&str; 3]) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let shapes = [RetryAfter::Date, RetryAfter::Rfc850, RetryAfter::Asctime];
        let found = shapes.map(|shape| String::from_utf8(shape(time).value()).expect("text"));
        assert_eq!(found, expected, "{seconds}");
    }

    #[test]
    fn dates_are_those_of_the_specification() {
        check(
            784_111_777,
            [
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "Sunday, 06-Nov-94 08:49:37 GMT",
                "Sun Nov  6 08:49:37 1994",
            ],
        );
    }

    #[test]
    fn leap_days_and_years_are_known() {
        check(
            951_782_400,
            [
                "Tue, 29 Feb 2000 00:00:00 GMT",
                "Tuesday, 29-Feb-00 00:00:00 GMT",
                "Tue Feb 29 00:00:00 2000",
            ],
        );
        check(
            4_107_542_399,
            [
                "Sun, 28 Feb 2100 23:59:59 GMT",
                "Sunday, 28-Feb-00 23:59:59 GMT",
                "Sun Feb 28 23:59:59 2100",
            ],
        );
    }

    #[test]
    fn no_two_shapes_are_alike() {
        let mut values: Vec<_> = RetryAfter::every_shape(Duration::from_secs(1))
            .into_iter()
            .map(RetryAfter::value)
            .collect();
        let shapes = values.len();
        values.sort();
        values.dedup();
        assert_eq!(values.len(), shapes);
    }
}
