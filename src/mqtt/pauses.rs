//! How long a connection may be left alone while its listener lags. Pure: time comes from outside.
//!
//! Packets that were read from the socket together come out of rumqttc one by one without another look at
//! the socket, so not each of them may have a pause of its own: all of them share one, which grows
//! again while there is none.

use tokio::time::{Duration, Instant};

/// Longest time without a look at the connection, far below any Keep Alive.
const LONGEST: Duration = Duration::from_secs(1);

/// The pauses of one connection: a second of each two at most.
#[derive(Debug)]
pub(super) struct Pauses {
    /// What pauses took, less what has passed since.
    taken: Duration,
    /// The end of the last pause, or when it was last asked for one.
    since: Instant,
}

impl Pauses {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            taken: Duration::ZERO,
            since: now,
        }
    }

    /// Returns how long a pause may be that begins now.
    pub(super) fn longest(&mut self, now: Instant) -> Duration {
        let polled = now.saturating_duration_since(self.since);
        self.taken = self.taken.saturating_sub(polled);
        self.since = now;
        LONGEST.saturating_sub(self.taken)
    }

    /// Notes a pause, which was asked for when it began.
    pub(super) fn paused(&mut self, began: Instant, now: Instant) {
        self.taken += now.saturating_duration_since(began);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn packets_read_together_share_one_pause() {
        let mut now = Instant::now();
        let mut pauses = Pauses::new(now);
        let mut total = Duration::ZERO;
        for _ in 0..9 {
            let pause = pauses.longest(now).min(ms(900));
            pauses.paused(now, now + pause);
            now += pause;
            total += pause;
        }
        assert_eq!(total, ms(1_000));
    }

    #[test]
    fn a_pause_may_be_as_long_as_there_was_none() {
        let start = Instant::now();
        let mut pauses = Pauses::new(start);
        assert_eq!(pauses.longest(start), ms(1_000));
        pauses.paused(start, start + ms(1_000));
        assert_eq!(pauses.longest(start + ms(1_300)), ms(300));
        assert_eq!(pauses.longest(start + ms(9_000)), ms(1_000));
    }
}
