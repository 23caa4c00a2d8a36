//! The keys of the spool.

use std::time::Duration;

use super::Config;
use super::complaint::Complaint;
use super::problem::Problem;
use super::schema::{Context, path};
use super::section::Section;
use super::value::Value;
use crate::spool::{Backend, DeadLetters, OnFull, default_dir};

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_hours(365 * 24);
const KIB: u64 = 1 << 10;
const TIB: u64 = 1 << 40;

/// The variable in which systemd names the folder that the unit may keep state in.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";

/// Keys that mean nothing to a spool that is in memory only.
const OF_THE_DISK: [&str; 6] = [
    "dir",
    "max_bytes",
    "max_age",
    "on_full",
    "elide",
    "dead_letters",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Sqlite,
    Memory,
}

/// Returns where events wait if the configuration does not say.
pub(super) fn default_backend(context: &Context<'_>) -> Backend {
    let state_directory = context.outside.env(STATE_DIRECTORY);
    Backend::Sqlite {
        dir: default_dir(state_directory.as_deref()),
    }
}

/// Reads the `spool` table, whose backend is the default so far.
pub(super) fn read(mut section: Section<'_>, context: &Context<'_>, config: &mut Config) {
    let names = [("sqlite", Name::Sqlite), ("memory", Name::Memory)];
    let name = section.choice("backend", &names);
    let dir = section.parse("dir", |text| match text {
        "" => Err(Complaint::new("it is empty").help("remove it for the default")),
        text => Ok(path(text, context)),
    });
    let spool = &mut config.spool;
    if name == Some(Name::Memory) {
        spool.backend = Backend::Memory;
    } else if let Some(dir) = dir {
        spool.backend = Backend::Sqlite { dir };
    }
    if let Some(size) = section.bytes("max_memory", 64 * KIB..=TIB) {
        spool.max_memory_bytes = usize::try_from(size).unwrap_or(usize::MAX);
    }
    if let Some(size) = section.bytes("max_bytes", 64 * KIB..=TIB) {
        spool.max_bytes = size;
    }
    if let Some(age) = section.duration("max_age", SECOND..=YEAR) {
        spool.max_age = age;
    }
    let choices = [
        ("block", OnFull::Block),
        ("drop_oldest", OnFull::DropOldest),
        ("drop_newest", OnFull::DropNewest),
    ];
    if let Some(on_full) = section.choice("on_full", &choices) {
        spool.on_full = on_full;
    }
    if let Some(elide) = section.bool("elide") {
        spool.elide = elide;
    }
    if let Some(section) = section.section("dead_letters") {
        dead_letters(section, &mut spool.dead_letters);
    }
    if spool.backend == Backend::Memory {
        report_disk(&section);
    }
    section.finish();
}

fn dead_letters(mut section: Section<'_>, dead_letters: &mut DeadLetters) {
    if let Some(size) = section.bytes("max_bytes", 0..=TIB) {
        dead_letters.max_bytes = size;
    }
    if let Some(age) = section.duration("max_age", SECOND..=10 * YEAR) {
        dead_letters.max_age = age;
    }
    section.finish();
}

/// Warns of what is said about a disk that is not used.
fn report_disk(section: &Section<'_>) {
    for key in OF_THE_DISK {
        let Some(entry) = section.find(&[key]) else {
            continue;
        };
        // A table may fill many lines: its key is enough.
        let span = match entry.node.value {
            Value::Table(_) => entry.key_span,
            _ => entry.node.span,
        };
        let path = section.path(key);
        let message = format!("`{path}` has no effect with `backend = \"memory\"`");
        let help = match key {
            "max_bytes" => "the memory is bounded by `max_memory`",
            _ => "remove it, or the `backend`",
        };
        section.report(Problem::warning(span, message).help(help));
    }
}

/// Warns if one message may take half of what a webhook's deliveries may take, and somebody chose so.
pub(super) fn report_small_share(root: &Section<'_>, config: &Config) {
    let share = config.spool.max_memory_bytes / config.webhooks.len().max(1);
    let largest = usize::try_from(config.broker.max_packet_size).unwrap_or(usize::MAX);
    if share >= largest.saturating_mul(2) {
        return;
    }
    let keys = [["spool", "max_memory"], ["broker", "max_packet_size"]];
    let written = keys
        .into_iter()
        .find_map(|key| Some((key.join("."), root.find(&key)?.node.span)));
    if let Some((key, span)) = written
        && !root.is_reported(span)
    {
        let message = format!(
            "`{key}`: a message of the largest size would fill a webhook's share of the memory"
        );
        let help = "raise `spool.max_memory` or lower `broker.max_packet_size`";
        root.report(Problem::warning(span, message).help(help));
    }
}
