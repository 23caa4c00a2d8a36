//! Whether a lane gets on with what it has in memory.

/// Over how many ticks the pace of a lane is measured: one alone may fall into a pause of the whole
/// process.
const SAMPLES: usize = 4;

/// How one webhook's lane gets on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// How many deliveries had left memory at the last ticks, as a ring.
    released: [u64; SAMPLES],
    oldest: usize,
    /// Whether all that is in memory would have left it within [`Flow::TICKS`] at the pace of the last
    /// ticks.
    pub(super) gets_on: bool,
}

impl Default for Flow {
    /// Returns that of a lane that has nothing to get on with.
    fn default() -> Self {
        Self {
            released: [0; SAMPLES],
            oldest: 0,
            gets_on: true,
        }
    }
}

impl Flow {
    /// Ticks within which a lane that gets on has left nothing of what is in memory now.
    pub(super) const TICKS: u32 = 16;

    /// Notes with a tick how many deliveries are in memory, and how many have left it so far.
    pub(super) fn note(&mut self, (waiting, released): (u64, u64)) {
        let before = std::mem::replace(&mut self.released[self.oldest], released);
        self.oldest = (self.oldest + 1) % SAMPLES;
        let pace = u64::from(Self::TICKS) / SAMPLES as u64;
        self.gets_on = waiting <= (released - before).saturating_mul(pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_gets_on_while_its_pace_suffices() {
        let mut flow = Flow::default();
        let mut check = |waiting, released, gets_on| {
            flow.note((waiting, released));
            assert_eq!(flow.gets_on, gets_on, "{waiting} {released}");
        };
        check(0, 0, true);
        check(1, 0, false);
        check(400, 100, true);
        check(401, 100, false);
        // A pause of two ticks.
        check(400, 100, true);
        check(400, 100, true);
        check(400, 100, false);
        check(1, 100, false);
        check(1, 101, true);
    }
}
