//! `mqhook replay`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{ArgGroup, Args};

use super::output::{Output, Record, count};
use super::place::{Place, Spool};
use super::time;
use crate::delivery_log::{Progress, Recorded, Replay};
use crate::event::{Id, Timestamp};

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// How wide it is, in characters.
const WIDTH: u64 = 30;

#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("chosen")
        .args(["event", "webhook", "since", "until"])
        .required(true)
        .multiple(true)
), after_help = KEYS)]
pub(super) struct Arguments {
    /// The event with this id.
    #[arg(long, value_name = "ID")]
    event: Option<Id>,

    /// What goes to this webhook.
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,

    /// What was given up, or delivered, at this time or later: RFC 3339, or a duration such as 2h for that long ago.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    since: Option<Timestamp>,

    /// The same before this time.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    until: Option<Timestamp>,

    /// Also what was delivered, as far as events are kept: `delivery_log.keep_events`.
    #[arg(long)]
    include_delivered: bool,

    /// Only say how many would be replayed.
    #[arg(long)]
    dry_run: bool,

    /// Write one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

const KEYS: &str = "\
Keys of the JSON object:
  count         how many deliveries wait again, or would
  dead_letters  how many of them had been given up
  delivered     how many had been delivered";

fn time_from_now(text: &str) -> Result<Timestamp, String> {
    time::read(text, Timestamp::now())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    arguments
        .place
        .with_spool(|spool, output| replay(spool, output, arguments))
}

fn replay(spool: &mut Spool, output: &mut Output, arguments: &Arguments) -> Result<()> {
    if let Some(name) = &arguments.webhook {
        spool.webhook(name)?;
    }
    let is_running = spool.is_running()?;
    let log = Recorded::attach(&spool.dir)?;
    let replay = Replay {
        event: arguments.event,
        webhook: arguments.webhook.clone(),
        since: arguments.since,
        until: arguments.until,
        include_delivered: arguments.include_delivered,
    };
    if arguments.dry_run {
        let progress = replay.count(&spool.store, &log)?;
        return say(output, arguments, progress, "would replay ", "");
    }
    let mut bar = Bar::new();
    if bar.is_shown {
        bar.all = replay.count(&spool.store, &log)?.total();
    }
    let mut last = Progress::default();
    let done = replay.run(&mut spool.store, &log, |progress| {
        last = progress;
        bar.show(progress.total());
    });
    bar.clear();
    let done = done.with_context(|| format!("go on after {}", deliveries(last)))?;
    let then = match (done.total(), is_running) {
        (0, _) => "",
        (_, true) => "; the running mqhook takes up what is replayed within a second",
        (_, false) => "; mqhook takes up what is replayed at its next start",
    };
    say(output, arguments, done, "replayed ", then)
}

fn deliveries(progress: Progress) -> String {
    let letters = count(progress.dead_letters, "dead letter");
    match progress.delivered {
        0 => letters,
        delivered => format!("{letters} and {delivered} of what was delivered"),
    }
}

fn say(
    output: &mut Output,
    arguments: &Arguments,
    progress: Progress,
    before: &str,
    behind: &str,
) -> Result<()> {
    if !arguments.json {
        return output.line(&format!("{before}{}{behind}", deliveries(progress)));
    }
    let record = Record::default()
        .with("count", progress.total())
        .with("dead_letters", progress.dead_letters)
        .with("delivered", progress.delivered);
    output.line(&record.to_json())
}

/// How far it is, on a terminal and only there.
struct Bar {
    is_shown: bool,
    all: u64,
    drawn: Instant,
}

impl Bar {
    fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            all: 0,
            drawn: Instant::now(),
        }
    }

    fn show(&mut self, done: u64) {
        if !self.is_shown || self.drawn.elapsed() < REDRAW {
            return;
        }
        self.drawn = Instant::now();
        // There may be more than there were when they were counted.
        let all = self.all.max(done).max(1);
        let full = done * WIDTH / all;
        let (full, rest) = (usize::try_from(full), usize::try_from(WIDTH - full));
        let bar = "#".repeat(full.unwrap_or(0)) + &".".repeat(rest.unwrap_or(0));
        let mut terminal = std::io::stderr();
        // A terminal that takes nothing more does not stop a replay.
        let _ = write!(terminal, "\r[{bar}] {done} of {all}");
        let _ = terminal.flush();
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
