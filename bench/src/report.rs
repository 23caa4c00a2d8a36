//! The tables: medians over the rounds, sums of what was lost, doubled or out of order, and the paired ratios.

use std::fmt::Write as _;

use crate::{
    chain::Chain,
    harness::Group,
    round::{Idle, Load, Sample},
};

/// Which chain is compared with which.
const PAIRS: [(Chain, Chain); 3] = [
    (Chain::Mqhook, Chain::Bare),
    (Chain::Memory, Chain::Bare),
    (Chain::Visited, Chain::Mqhook),
];

/// Returns the table of one load, with a line of ratios for each pair that ran.
pub fn table(group: &Group) -> String {
    let Group { load, samples } = group;
    let mut out = format!("\n{}\n{}", title(load, samples), HEADER);
    for chain in [Chain::Bare, Chain::Mqhook, Chain::Memory, Chain::Visited] {
        let runs: Vec<&Sample> = samples
            .iter()
            .filter(|sample| sample.chain == chain)
            .collect();
        if !runs.is_empty() {
            out.push_str(&row(chain, &runs, load));
        }
    }
    for (chain, beside) in PAIRS {
        out.push_str(&ratios(chain, beside, samples));
    }
    out
}

/// Returns one line for a run that has just ended.
pub fn progress_line(sample: &Sample, load: &Load) -> String {
    format!(
        "qos {} round {} {:<7} {:>7.0}/s  cpu {:.2} s/100k  lost {}  stalls {}",
        load.qos,
        sample.round,
        sample.chain.name(),
        sample.events_per_second,
        per_100k(sample.chain_cpu_seconds, load),
        sample.lost,
        sample.publisher.stalls,
    )
}

/// Returns the line of a chain at rest.
pub fn idle_line(idle: &Idle) -> String {
    format!(
        "{:<6} idle: RSS {:.1} MB (peak {:.1}), CPU to start {:.2} s, {:.2} CPU s a minute",
        idle.chain.name(),
        megabytes(idle.rss_bytes),
        megabytes(idle.peak_rss_bytes),
        idle.start_cpu_seconds,
        idle.cpu_seconds_per_minute,
    )
}

const HEADER: &str = "\
| chain  | events/s | lost | dup | out of order | CPU s/100k: chain | broker | publisher | receiver | peak RSS MB: chain | broker | disk B/event | p50 ms | p99 ms |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

fn title(load: &Load, samples: &[Sample]) -> String {
    let rate = load
        .rate
        .map_or_else(|| "full speed".to_owned(), |rate| format!("{rate}/s"));
    let rounds = samples.iter().map(|sample| sample.round + 1).max();
    format!(
        "QoS {}, {rate}, {} messages of 256 B, {} topic(s), median of {} round(s), window {}:",
        load.qos,
        load.messages,
        load.topics,
        rounds.unwrap_or_default(),
        load.window,
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds and bytes of one run are far below 2^52"
)]
fn row(chain: Chain, runs: &[&Sample], load: &Load) -> String {
    let middle = |of: &dyn Fn(&Sample) -> f64| median(runs.iter().map(|sample| of(sample)));
    let sum = |of: &dyn Fn(&Sample) -> u64| runs.iter().map(|sample| of(sample)).sum::<u64>();
    let cpu = |of: &dyn Fn(&Sample) -> f64| per_100k(middle(of), load);
    let peak = |of: &dyn Fn(&Sample) -> u64| {
        megabytes(
            runs.iter()
                .map(|sample| of(sample))
                .max()
                .unwrap_or_default(),
        )
    };
    format!(
        "| {:<6} | {:.0} | {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.3} | {:.3} |\n",
        chain.name(),
        middle(&|sample| sample.events_per_second),
        sum(&|sample| sample.lost),
        sum(&|sample| sample.receiver.duplicates),
        sum(&|sample| sample.receiver.inversions),
        cpu(&|sample| sample.chain_cpu_seconds),
        cpu(&|sample| sample.broker_cpu_seconds),
        cpu(&|sample| sample.publisher.cpu_seconds),
        cpu(&|sample| sample.receiver_cpu_seconds),
        peak(&|sample| sample.chain_peak_rss_bytes),
        peak(&|sample| sample.broker_peak_rss_bytes),
        middle(&|sample| sample.chain_written_bytes as f64) / load.messages.max(1) as f64,
        middle(&|sample| sample.receiver.p50_ns as f64) / 1e6,
        middle(&|sample| sample.receiver.p99_ns as f64) / 1e6,
    )
}

/// Returns the medians of a chain's figure over another's of the same round; empty without pairs.
fn ratios(chain: Chain, beside: Chain, samples: &[Sample]) -> String {
    let ratio = |of: &dyn Fn(&Sample) -> f64| {
        let pairs = samples
            .iter()
            .filter(|sample| sample.chain == beside)
            .filter_map(|other| {
                let paired = samples
                    .iter()
                    .find(|sample| sample.chain == chain && sample.round == other.round)?;
                Some(of(paired) / of(other))
            });
        let pairs: Vec<f64> = pairs.filter(|ratio| ratio.is_finite()).collect();
        (!pairs.is_empty()).then(|| median(pairs.into_iter()))
    };
    let mut out = String::new();
    let speed = ratio(&|sample| sample.events_per_second);
    let cpu = ratio(&|sample| sample.chain_cpu_seconds);
    if let (Some(speed), Some(cpu)) = (speed, cpu) {
        writeln!(
            out,
            "{} / {}, median of the rounds' ratios: events/s {speed:.3}, chain CPU {cpu:.3}",
            chain.name(),
            beside.name()
        )
        .expect("a String takes everything");
    }
    out
}

/// Returns the median; 0 of none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        len if len % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "message counts are far below 2^52"
)]
fn per_100k(seconds: f64, load: &Load) -> f64 {
    seconds * 100_000.0 / load.messages.max(1) as f64
}

/// Returns megabytes of 10^6 bytes.
#[expect(
    clippy::cast_precision_loss,
    reason = "memory sizes are far below 2^52"
)]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_is_the_middle() {
        for (values, expected) in [
            (vec![], 0.0),
            (vec![3.0, 1.0, 2.0], 2.0),
            (vec![4.0, 1.0], 2.5),
        ] {
            let found = median(values.clone().into_iter());
            assert!((found - expected).abs() < 1e-9, "{values:?}: {found}");
        }
    }
}
