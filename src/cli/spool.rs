//! `mqhook spool`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::output::{Output, Record, Table, escape, show_size};
use super::place::{Place, Spool};
use super::{time, webhooks};
use crate::spool::store::Backlog;

/// What the names of the spool's files begin with.
const FILES: &str = "spool.";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what waits for each webhook, and how much of the disk it takes.
    Status(Status),
}

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct Status {
    #[command(flatten)]
    place: Place,

    /// Write one JSON object.
    #[arg(long)]
    json: bool,
}

const KEYS: &str = "\
Keys of the JSON object:
  dir         the spool's directory
  running     whether an mqhook runs on it
  disk_bytes  size of the spool's files, damaged databases that were set aside included
  used_bytes  what events that wait take of `spool.max_bytes`
  webhooks    an array with an object for every webhook that was ever configured:
    webhook, state, since, reason, consecutive_failures, failing_since
                       as `mqhook webhooks list --json` has them
    fresh              deliveries that wait for their first attempt
    retrying           deliveries that wait for another attempt, replayed ones included
    oldest             when the oldest event that waits was accepted or replayed; null: none waits
    dead_letters       deliveries that were given up and are kept
    dead_letter_bytes  what they take of `spool.dead_letters.max_bytes`

What is delivered within milliseconds is never written, and so never shown here.";

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let Command::Status(status) = &arguments.command;
    status.place.with_spool(|spool, output| {
        if status.json {
            output.line(&record(spool)?.to_json())
        } else {
            show(spool, output)
        }
    })
}

fn record(spool: &Spool) -> Result<Record> {
    let webhook = |backlog: &Backlog| {
        let counts = Record::default()
            .with("fresh", backlog.fresh)
            .with("retrying", backlog.retrying)
            .with("oldest", backlog.oldest.map(time::show))
            .with("dead_letters", backlog.dead_letters)
            .with("dead_letter_bytes", backlog.dead_letter_bytes);
        Value::from(webhooks::record(backlog).and(counts))
    };
    let backlog = spool.store.backlog()?;
    Ok(Record::default()
        .with("dir", spool.dir.display().to_string())
        .with("running", spool.is_running()?)
        .with("disk_bytes", disk_bytes(&spool.dir)?)
        .with("used_bytes", spool.store.used_bytes()?)
        .with("webhooks", backlog.iter().map(webhook).collect::<Vec<_>>()))
}

fn show(spool: &Spool, output: &mut Output) -> Result<()> {
    let runs = if spool.is_running()? {
        "running"
    } else {
        "not running"
    };
    output.line(&format!(
        "spool    {}",
        escape(&spool.dir.display().to_string())
    ))?;
    output.line(&format!("mqhook   {runs}"))?;
    let (disk, used) = (disk_bytes(&spool.dir)?, spool.store.used_bytes()?);
    output.line(&format!(
        "on disk  {}; events that wait take {}",
        show_size(disk),
        show_size(used)
    ))?;
    let row = |backlog: &Backlog| {
        [
            backlog.name.clone(),
            backlog.state.status.name().to_owned(),
            backlog.fresh.to_string(),
            backlog.retrying.to_string(),
            backlog.oldest.map(time::show).unwrap_or_default(),
            backlog.dead_letters.to_string(),
        ]
    };
    let rows: Vec<_> = spool.store.backlog()?.iter().map(row).collect();
    if rows.is_empty() {
        return output.line("no webhook was ever configured");
    }
    output.line("")?;
    let head = [
        "WEBHOOK",
        "STATE",
        "FRESH",
        "RETRYING",
        "OLDEST",
        "DEAD LETTERS",
    ];
    Table::new(head).write(&rows, output)
}

/// Returns the size of the spool's files.
fn disk_bytes(dir: &Path) -> Result<u64> {
    let size = || {
        let mut size = 0;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(FILES) {
                // One that is gone by now takes nothing.
                size += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok::<u64, std::io::Error>(size)
    };
    size().with_context(|| format!("look into {}", dir.display()))
}
