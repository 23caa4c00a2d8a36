//! A latency histogram: log-linear buckets, error below 1 %.

const SUB_BITS: u32 = 7;
const SUB_COUNT: usize = 1 << SUB_BITS;

/// Counts of durations in nanoseconds.
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Returns an empty histogram.
    pub fn new() -> Self {
        let groups = (u64::BITS - SUB_BITS + 1) as usize;
        Self {
            counts: vec![0; groups * SUB_COUNT],
            total: 0,
        }
    }

    /// Counts one duration.
    pub fn record(&mut self, value_ns: u64) {
        self.counts[bucket_of(value_ns)] += 1;
        self.total += 1;
    }

    /// Returns the lower edge, in nanoseconds, of the bucket that holds the given share (0 to 1) of all
    /// durations; 0 when nothing was counted.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay far below 2^52 and the share is between 0 and 1"
    )]
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return lower_edge(bucket);
            }
        }
        0
    }
}

/// Values below `SUB_COUNT` have a bucket each; above, every power of two is cut into `SUB_COUNT` parts.
fn bucket_of(value: u64) -> usize {
    let bits = u64::BITS - value.leading_zeros();
    let group = bits.saturating_sub(SUB_BITS);
    if group == 0 {
        return usize::try_from(value).expect("below SUB_COUNT");
    }
    let within = (value >> (group - 1)) & (SUB_COUNT as u64 - 1);
    group as usize * SUB_COUNT + usize::try_from(within).expect("masked to SUB_BITS bits")
}

fn lower_edge(bucket: usize) -> u64 {
    let (group, within) = (bucket / SUB_COUNT, (bucket % SUB_COUNT) as u64);
    if group == 0 {
        return within;
    }
    (SUB_COUNT as u64 | within) << (group - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut histogram = Histogram::new();
        (1..=100_000).for_each(|value| histogram.record(value * 1_000));
        for (share, expected) in [(0.5, 50_000_000.0), (0.99, 99_000_000.0)] {
            #[expect(clippy::cast_precision_loss, reason = "small in this test")]
            let found = histogram.quantile(share) as f64;
            assert!(
                (found / expected - 1.0).abs() < 0.01,
                "{share}: {found} instead of {expected}"
            );
        }
    }

    #[test]
    fn every_value_is_at_or_above_its_bucket_edge() {
        for value in [0, 1, 127, 128, 129, 255, 256, 1_000_000, u64::MAX] {
            assert!(lower_edge(bucket_of(value)) <= value, "{value}");
        }
    }
}
