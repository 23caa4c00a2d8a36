//! `mqhook dead-letters`.

mod change;
mod list;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand};

use super::place::{Place, Spool};
use super::time;
use crate::event::{Id, Timestamp};
use crate::spool::store::{DeadLetter, DeadLetterId, Filter};

use change::Act;

/// Dead letters that one transaction changes, so that nobody waits for it for long, or that one query
/// reads.
const PAGE: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List what was given up, the newest last.
    List(List),
    /// Say everything of one, its payload included.
    Show(Show),
    /// Have them delivered again, as if no attempt had failed; each event keeps its id.
    ///
    /// A running mqhook takes them up within a second; otherwise they are delivered after its next
    /// start. Those that are given up meanwhile are not meant.
    Replay(Chosen),
    /// Throw them away.
    Drop(Chosen),
}

/// Which are meant: those that have all that is given.
#[derive(Debug, Args)]
struct Filters {
    /// Those of this webhook.
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,

    /// Those of the event with this id.
    #[arg(long, value_name = "ID")]
    event: Option<Id>,

    /// Those given up at this time or later: RFC 3339, or a duration such as 2h for that long ago.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    since: Option<Timestamp>,

    /// Those given up before this time.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    until: Option<Timestamp>,
}

#[derive(Debug, Args)]
#[command(after_help = list::KEYS)]
struct List {
    #[command(flatten)]
    filters: Filters,

    /// At most so many: the newest of them.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Write one JSON object per dead letter, in a line each.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = show::KEYS)]
struct Show {
    /// Its number in the list.
    id: u64,

    /// Write one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

/// Filters, numbers or all; never all because nothing was said.
#[derive(Debug, Args)]
#[command(group(
    ArgGroup::new("chosen")
        .args(["ids", "all", "webhook", "event", "since", "until"])
        .required(true)
        .multiple(true)
))]
struct Chosen {
    /// Their numbers in the list.
    #[arg(value_name = "ID", conflicts_with_all = ["all", "webhook", "event", "since", "until"])]
    ids: Vec<u64>,

    /// All there are.
    #[arg(long, conflicts_with_all = ["webhook", "event", "since", "until"])]
    all: bool,

    #[command(flatten)]
    filters: Filters,

    #[command(flatten)]
    place: Place,
}

fn time_from_now(text: &str) -> Result<Timestamp, String> {
    time::read(text, Timestamp::now())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::List(list) => list.place.with_spool(|spool, output| {
            let filter = list.filters.on(spool)?;
            list::main(spool, output, &filter, list)
        }),
        Command::Show(show) => show.place.with_spool(|spool, output| {
            let id = DeadLetterId(show.id);
            if show.json {
                show::json(spool, output, id)
            } else {
                show::text(spool, output, id)
            }
        }),
        Command::Replay(chosen) => chosen.change(Act::Replay),
        Command::Drop(chosen) => chosen.change(Act::Drop),
    }
}

impl Filters {
    /// Returns the filter, if its webhook is one of the spool.
    fn on(&self, spool: &Spool) -> Result<Filter> {
        if let Some(name) = &self.webhook {
            spool.webhook(name)?;
        }
        Ok(Filter {
            webhook: self.webhook.clone(),
            event: self.event,
            since: self.since,
            until: self.until,
            ..Filter::default()
        })
    }
}

impl Chosen {
    fn change(&self, act: Act) -> ExitCode {
        self.place.with_spool(|spool, output| {
            let filter = self.filters.on(spool)?;
            let is_running = spool.is_running()?;
            let done = if self.ids.is_empty() {
                act.on_all(spool, &filter)?
            } else {
                act.on_each(spool, &self.ids)?
            };
            output.line(&act.report(done.changed, is_running))?;
            done.missing()
        })
    }
}

/// Gives a function all that a filter means, the oldest first and a page at a time.
fn each_page(
    spool: &Spool,
    filter: &Filter,
    mut give: impl FnMut(Vec<DeadLetter>) -> Result<()>,
) -> Result<()> {
    let mut after = None;
    loop {
        let page = spool.store.dead_letters(filter, after, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.id);
        give(page)?;
    }
}
