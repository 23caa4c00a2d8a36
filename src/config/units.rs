//! Durations and sizes as people write them.

use std::time::Duration;

use super::complaint::Complaint;

const DURATION_UNITS: [(&str, f64); 5] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

const SIZE_UNITS: [(&str, f64); 10] = [
    ("", 1.0),
    ("B", 1.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];

/// Reads a duration as it stands in a configuration.
///
/// # Errors
/// It is none; says why.
pub fn read_duration(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|complaint| complaint.to_string())
}

/// Reads a duration such as `500ms`, `1.5m` or `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, Complaint> {
    let (number, unit) = split(text);
    if unit.is_empty() && number.parse::<f64>().is_ok() {
        let help = format!("write \"{number}s\" if seconds are meant; also ms, m, h and d");
        return Err(Complaint::new(format!("`{text}` has no unit")).help(help));
    }
    let help = "write a number with ms, s, m, h or d, such as \"15s\"";
    let factor = DURATION_UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, factor)| factor);
    let seconds = number.parse::<f64>().ok().zip(factor);
    seconds
        .and_then(|(number, factor)| Duration::try_from_secs_f64(number * factor).ok())
        .ok_or_else(|| Complaint::new(format!("`{text}` is not a duration")).help(help))
}

/// Reads a size such as `65536`, `64KiB` or `1.5 MB`.
pub(super) fn bytes(text: &str) -> Result<u64, Complaint> {
    /// Up to here a float holds every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let (number, unit) = split(text);
    let help = "write a number of bytes, or one with KB, MB, GB, TB, KiB, MiB, GiB or TiB";
    let factor = SIZE_UNITS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
        .map(|(_, factor)| factor);
    let size = number.parse::<f64>().ok().zip(factor);
    match size.map(|(number, factor)| number * factor) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the guard keeps it within what u64 and f64 both hold"
        )]
        Some(size) if (0.0..EXACT).contains(&size) => Ok(size as u64),
        _ => Err(Complaint::new(format!("`{text}` is not a size")).help(help)),
    }
}

/// Writes a duration as it would be read, in the largest unit that fits.
pub(super) fn show_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let (size, unit) = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ]
    .into_iter()
    .find(|(size, _)| ms >= *size && ms.is_multiple_of(*size))
    .unwrap_or(if ms == 0 { (1, "s") } else { (1, "ms") });
    format!("{}{unit}", ms / size)
}

/// Writes a size as it would be read, in the largest unit that fits.
pub(super) fn show_bytes(bytes: u64) -> String {
    let units = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let (size, unit) = units
        .into_iter()
        .find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size))
        .unwrap_or((1, "B"));
    format!("{}{unit}", bytes / size)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    (&text[..text.len() - unit.len()], unit.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        let check = |text, expected: Option<u64>| {
            let duration = duration(text).ok();
            assert_eq!(duration, expected.map(Duration::from_millis), "{text}");
        };
        check("15s", Some(15_000));
        check("500ms", Some(500));
        check("1.5m", Some(90_000));
        check("7 d", Some(604_800_000));
        for bad in ["15", "", "s", "-1s", "1e99d", "15 seconds", "1..5s"] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes_may_have_one() {
        let check = |text, expected| assert_eq!(bytes(text).ok(), expected, "{text}");
        check("65536", Some(65_536));
        check("64KiB", Some(65_536));
        check("1.5 MB", Some(1_500_000));
        check("1gib", Some(1 << 30));
        check("1 TiB", Some(1 << 40));
        check("0.5TB", Some(500_000_000_000));
        for bad in ["", "-1", "1 XB", "99999999999999999999"] {
            check(bad, None);
        }
    }

    #[test]
    fn limits_show_as_they_would_be_written() {
        assert_eq!(show_duration(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(show_duration(Duration::from_hours(24)), "1d");
        assert_eq!(show_duration(Duration::ZERO), "0s");
        assert_eq!(show_bytes(65_536), "64KiB");
        assert_eq!(show_bytes(1 << 40), "1TiB");
        assert_eq!(show_bytes(100), "100B");
    }
}
