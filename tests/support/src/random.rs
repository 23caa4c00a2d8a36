//! Random moments that can be had again: a seeded generator (`SplitMix64`).

use std::env;
use std::ops::Range;
use std::time::{Duration, SystemTime};

/// The environment variable that fixes the seed.
const SEED: &str = "MQHOOK_SEED";

/// A generator; the same seed gives the same values.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Returns a generator with the seed in `MQHOOK_SEED`, or one of the clock's, and prints it so
    /// that a failure can be repeated. A repetition has the same moments, not the same races.
    ///
    /// # Panics
    /// When the variable is not a number.
    #[must_use]
    pub fn announced(story: &str) -> Self {
        let seed = match env::var(SEED) {
            Ok(text) => text.parse().expect("expected a number in MQHOOK_SEED"),
            Err(_) => from_clock(),
        };
        println!("{story}: {SEED}={seed}");
        Self::seeded(seed)
    }

    /// Returns a generator with this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `bound`.
    ///
    /// # Panics
    /// When the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns a time in a range, to the microsecond.
    pub fn duration(&mut self, range: Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_micros();
        let width = u64::try_from(width).expect("a range of less than 500,000 years");
        range.start + Duration::from_micros(self.below(width.max(1)))
    }

    /// Returns one of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let place = self.below(choices.len() as u64);
        &choices[usize::try_from(place).expect("below the number of choices")]
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        value ^ value >> 31
    }
}

fn from_clock() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::from(now.subsec_nanos()) << 20 ^ now.as_secs()
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_sequence_is_that_of_the_reference() {
        let mut random = Random::seeded(1_234_567);
        let found = [(); 3].map(|()| random.next());
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(found, expected);
    }
}
