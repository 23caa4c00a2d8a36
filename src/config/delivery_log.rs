//! The keys of the delivery log.

use std::time::Duration;

use super::Config;
use super::complaint::Complaint;
use super::problem::Problem;
use super::section::Section;
use crate::delivery_log::Successes;
use crate::sink::Report;
use crate::spool::Backend;

const MINUTE: Duration = Duration::from_mins(1);
const YEAR: Duration = Duration::from_hours(365 * 24);
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// Keys that mean nothing to a log that is in memory only.
const OF_THE_DISK: [&str; 3] = ["keep_events", "max_age", "max_bytes"];

/// Reads the `delivery_log` table, behind that of the spool.
pub(super) fn read(mut section: Section<'_>, config: &mut Config) {
    let log = &mut config.delivery_log;
    let choices = [
        ("memory", Successes::Memory),
        ("disk", Successes::Disk),
        ("off", Successes::Off),
    ];
    if let Some(successes) = section.choice("successes", &choices) {
        log.successes = successes;
    }
    if let Some(keep) = section.bool("keep_events") {
        log.keep_events = keep;
    }
    if let Some(bytes) = section.bytes("response_bytes", 0..=Report::RESPONSE_BYTES as u64) {
        log.response_bytes = usize::try_from(bytes).unwrap_or(Report::RESPONSE_BYTES);
    }
    if let Some(age) = section.duration("max_age", MINUTE..=YEAR) {
        log.max_age = age;
    }
    if let Some(size) = section.bytes("max_bytes", 0..=TIB) {
        if size > 0 && size < MIB {
            let complaint = Complaint::new("it must be at least 1MiB, or 0 for nothing on disk");
            section.report_about("max_bytes", complaint);
        }
        log.max_bytes = size;
    }
    let is_on_disk = log.successes == Successes::Disk && log.max_bytes > 0;
    if config.spool.backend == Backend::Memory {
        report_disk(&section, config);
    } else if log.keep_events && !is_on_disk {
        let complaint = Complaint::new("only events of deliveries on disk can be kept")
            .help("set `delivery_log.successes = \"disk\"`");
        section.report_about("keep_events", complaint);
    }
    section.finish();
}

/// Warns of what is said about a disk that is not used.
fn report_disk(section: &Section<'_>, config: &Config) {
    let is_on_disk = config.delivery_log.successes == Successes::Disk;
    let keys = OF_THE_DISK
        .into_iter()
        .chain(is_on_disk.then_some("successes"));
    for key in keys {
        if let Some(entry) = section.find(&[key]) {
            let message = format!(
                "`{}` has no effect with `spool.backend = \"memory\"`",
                section.path(key)
            );
            let help = "the last attempts of each webhook are in memory then";
            section.report(Problem::warning(entry.node.span, message).help(help));
        }
    }
}
