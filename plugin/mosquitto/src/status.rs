//! What the plugin tells of itself.

use std::time::{Duration, Instant};

/// How often the plugin says how it is, if something has changed.
const INTERVAL: Duration = Duration::from_secs(10);

/// What happened to messages since the broker started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Got a seal.
    pub(crate) sealed: u64,
    /// Were for topics that are not wanted.
    pub(crate) passed: u64,
    /// Should have got a seal, and went on without.
    pub(crate) failed: u64,
    /// Events that the broker did not take.
    pub(crate) untold: u64,
    /// Panics, each of a callback that then did nothing.
    pub(crate) panics: u64,
}

/// Says when the counts are to be told.
#[derive(Debug, Default)]
pub(crate) struct Status {
    told: Option<(Instant, Counts)>,
}

/// What is to be told now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Telling {
    /// One JSON object.
    pub(crate) json: String,
    /// How much more went wrong than the last time.
    pub(crate) new_failures: u64,
}

impl Status {
    /// Returns what is to be told, with whether events are published, if anything has changed and it is time.
    pub(crate) fn tell(&mut self, counts: Counts, events: bool, now: Instant) -> Option<Telling> {
        let before = match self.told {
            Some((at, _)) if now < at + INTERVAL => return None,
            Some((_, before)) if before == counts => return None,
            Some((_, before)) => before,
            None => Counts::default(),
        };
        self.told = Some((now, counts));
        let failures = |counts: Counts| counts.failed + counts.untold + counts.panics;
        Some(Telling {
            json: json(counts, events),
            new_failures: failures(counts).saturating_sub(failures(before)),
        })
    }
}

fn json(counts: Counts, events: bool) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let Counts {
        sealed,
        passed,
        failed,
        untold,
        panics,
    } = counts;
    format!(
        r#"{{"version":"{version}","events":{events},"sealed":{sealed},"passed":{passed},"failed":{failed},"untold":{untold},"panics":{panics}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_at_most_every_ten_seconds() {
        let mut status = Status::default();
        let start = Instant::now();
        let mut tell = |failed, after| {
            let counts = Counts {
                failed,
                ..Counts::default()
            };
            let telling = status.tell(counts, false, start + Duration::from_secs(after));
            telling.map(|telling| telling.new_failures)
        };
        assert_eq!(tell(0, 0), Some(0));
        assert_eq!(tell(3, 9), None);
        assert_eq!(tell(5, 10), Some(5));
        assert_eq!(tell(5, 30), None);
        assert_eq!(tell(6, 31), Some(1));
    }
}
