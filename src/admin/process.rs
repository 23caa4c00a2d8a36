//! The process, under the names that Prometheus' own clients give: memory, files, time. Only what the operating
//! system tells of it in `/proc`; elsewhere there is nothing.

use std::fs;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

const PREFIX: &str = "process";

/// What `/proc/self/stat` says, in ticks and bytes; the numbers of its fields are those of proc(5).
struct Stat {
    cpu_ticks: u64,
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Returns a registry of what holds now.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    if let Some(stat) = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|text| stat(&text))
    {
        of_stat(&mut registry, &stat);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // Looking takes one itself.
        let open = files.count().saturating_sub(1);
        gauge(
            &mut registry,
            "open_fds",
            "Files, sockets and the like that are open",
            open as u64,
        );
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        gauge(&mut registry, "max_fds", "The most that may be open", most);
    }
    registry
}

#[expect(
    clippy::cast_precision_loss,
    reason = "it is exact for some million years of ticks"
)]
fn of_stat(registry: &mut Registry, stat: &Stat) {
    let second = clock_ticks_per_second() as f64;
    let cpu: Counter<f64, AtomicU64> = Counter::default();
    cpu.inc_by(stat.cpu_ticks as f64 / second);
    registry.register_with_unit(
        "cpu",
        "Time that the processors have worked for it",
        Unit::Seconds,
        cpu,
    );
    let booted = fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|text| booted(&text));
    if let Some(booted) = booted {
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(booted as f64 + stat.started_ticks as f64 / second);
        let help = "When it was started, since 1970";
        registry.register_with_unit("start_time", help, Unit::Seconds, started);
    }
    let sizes = [
        ("virtual_memory", "Its virtual memory", stat.virtual_bytes),
        (
            "resident_memory",
            "Its memory that is not swapped out",
            stat.resident_pages * page_size() as u64,
        ),
    ];
    for (name, help, bytes) in sizes {
        let size: Gauge = Gauge::default();
        size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        registry.register_with_unit(name, help, Unit::Bytes, size);
    }
}

/// The name, which is second and in parentheses, may hold anything.
fn stat(text: &str) -> Option<Stat> {
    let (_, behind) = text.rsplit_once(')')?;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        started_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// Returns when the machine was started, in seconds since 1970.
fn booted(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line?.trim().parse().ok()
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name() {
        let text = "42 (a) b) (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 2 0 1000 20000 300 184 1";
        let stat = stat(text).expect("it is one");
        assert_eq!((stat.cpu_ticks, stat.started_ticks), (300, 1_000));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (20_000, 300));
        for broken in ["", "42 (a", "42 (a) S 1", "x) -1"] {
            assert!(super::stat(broken).is_none(), "{broken}");
        }
        assert_eq!(booted("cpu 1\nbtime 1767225600\n"), Some(1_767_225_600));
        assert_eq!(booted("btime x"), None);
    }
}
