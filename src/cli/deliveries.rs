//! `mqhook deliveries`: what the delivery log has on disk.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::output::{Output, Record, Table};
use super::place::{Place, Spool};
use super::time;
use crate::delivery_log::{Attempt, Destination, Ending, Filter, Recorded, Trace};
use crate::event::{Id, Kind, Timestamp, TopicFilter};

/// Attempts that one query reads.
const PAGE: usize = 500;

/// How many are listed if nobody says otherwise.
const LIMIT: usize = 50;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List attempts, the newest first: those that failed, and with `delivery_log.successes = "disk"` all.
    List(Box<List>),
    /// Say where an event went: for each webhook, how its delivery stands, and its attempts.
    Show(Show),
}

/// Those that have all that is given.
#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct List {
    /// Those of this webhook.
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,

    /// Those of the event with this id.
    #[arg(long, value_name = "ID")]
    event: Option<Id>,

    /// Those of events of this kind, such as `on_message_publish`.
    #[arg(long, value_name = "EVENT", value_parser = kind)]
    kind: Option<Kind>,

    /// Those of messages whose topic this filter matches.
    #[arg(long, value_name = "FILTER", value_parser = topic_filter)]
    topic: Option<TopicFilter>,

    /// Those that ended so.
    #[arg(long)]
    outcome: Option<Outcome>,

    /// Those that failed in this way, such as `timeout` or `status_5xx`.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Those that ended at this time or later: RFC 3339, or a duration such as 2h for that long ago.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    since: Option<Timestamp>,

    /// Those that ended before this time.
    #[arg(long, value_name = "TIME", value_parser = time_from_now)]
    until: Option<Timestamp>,

    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    limit: usize,

    /// Write one JSON object per attempt, in a line each.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = STATES)]
struct Show {
    /// The event's id: `webhook-id` of its requests.
    #[arg(value_name = "EVENT_ID")]
    event: Id,

    /// Write one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    Delivered,
    Retry,
    Rejected,
    GivenUp,
}

impl Outcome {
    const fn ending(self) -> Ending {
        match self {
            Self::Delivered => Ending::Delivered,
            Self::Retry => Ending::Retry,
            Self::Rejected => Ending::Rejected,
            Self::GivenUp => Ending::GivenUp,
        }
    }
}

const KEYS: &str = "\
Keys of a JSON object:
  id          names the attempt
  at          when it ended, RFC 3339
  webhook     the webhook's name
  event_id    the event
  kind        what kind of event
  topic       of a message; otherwise null
  attempt     which attempt of the delivery it was; the first is 1
  outcome     delivered, retry (there will be another), rejected, or given_up (it was the last)
  status      the status code of the answer; null if there was none
  class       how it failed, such as timeout or status_5xx; null if it did not
  detail      what is known beyond that
  latency_ms  how long it took
  response    the beginning of the answer's body
  left_out    how many attempts of the webhook just before it were left out, as there were too many";

const STATES: &str = "\
States of a delivery:
  waiting      it will be attempted, or is being so
  delivered    the receiver has the event
  dead_letter  it was given up and is kept; see `mqhook dead-letters`
  dropped      it was given up and is not kept
  unknown      the last attempt that is remembered failed, and nothing is known of what followed

Successes are in the memory of the mqhook that runs, unless `delivery_log.successes = \"disk\"`; its API shows them.";

fn time_from_now(text: &str) -> Result<Timestamp, String> {
    time::read(text, Timestamp::now())
}

fn kind(text: &str) -> Result<Kind, String> {
    text.parse()
        .map_err(|()| "it is not a kind of event, such as on_message_publish".to_owned())
}

fn topic_filter(text: &str) -> Result<TopicFilter, String> {
    TopicFilter::try_from(text).map_err(|error| error.to_string())
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::List(arguments) => arguments
            .place
            .with_spool(|spool, output| list(spool, output, arguments)),
        Command::Show(arguments) => arguments
            .place
            .with_spool(|spool, output| show(spool, output, arguments)),
    }
}

impl List {
    fn filter(&self) -> Filter {
        Filter {
            webhook: self.webhook.clone(),
            event: self.event,
            kind: self.kind,
            topic: self.topic.clone(),
            ending: self.outcome.map(Outcome::ending),
            class: self.class.clone(),
            since: self.since,
            until: self.until,
        }
    }
}

fn list(spool: &Spool, output: &mut Output, arguments: &List) -> Result<()> {
    if let Some(name) = &arguments.webhook {
        spool.webhook(name)?;
    }
    let log = Recorded::attach(&spool.dir)?;
    let filter = arguments.filter();
    let mut table = Table::new([
        "AT", "WEBHOOK", "OUTCOME", "ANSWER", "MS", "ATTEMPT", "EVENT ID", "TOPIC",
    ]);
    let (mut left, mut cursor, mut is_empty) = (arguments.limit, None, true);
    while left > 0 {
        let page = log.attempts(&filter, cursor, left.min(PAGE))?;
        left -= page.attempts.len();
        is_empty &= page.attempts.is_empty();
        if arguments.json {
            let line = |attempt: &Attempt| output.line(&record(attempt).to_json());
            page.attempts.iter().try_for_each(line)?;
        } else if !page.attempts.is_empty() {
            let rows: Vec<_> = page.attempts.iter().map(row).collect();
            table.write(&rows, output)?;
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if is_empty && !arguments.json {
        output.line("no attempts")?;
    }
    Ok(())
}

/// Returns what the receiver answered, or why it did not, in a word.
fn answer(attempt: &Attempt) -> String {
    match (attempt.status, &attempt.class) {
        (Some(status), _) => status.to_string(),
        (None, Some(class)) => class.to_string(),
        (None, None) => String::new(),
    }
}

fn row(attempt: &Attempt) -> [String; 8] {
    [
        time::show(attempt.at),
        attempt.webhook.to_string(),
        attempt.ending.name().to_owned(),
        answer(attempt),
        attempt.latency.as_millis().to_string(),
        attempt.number.to_string(),
        attempt.event.to_string(),
        attempt
            .topic
            .clone()
            .unwrap_or_else(|| attempt.kind.name().to_owned()),
    ]
}

/// Returns an attempt under the keys of [`KEYS`].
fn record(attempt: &Attempt) -> Record {
    let micros = u32::try_from(attempt.latency.as_micros()).unwrap_or(u32::MAX);
    Record::default()
        .with("id", attempt.id.to_string())
        .with("at", time::show(attempt.at))
        .with("webhook", &*attempt.webhook)
        .with("event_id", attempt.event.to_string())
        .with("kind", attempt.kind.name())
        .with("topic", attempt.topic.as_deref())
        .with("attempt", attempt.number)
        .with("outcome", attempt.ending.name())
        .with("status", attempt.status)
        .with("class", attempt.class.as_deref())
        .with("detail", attempt.detail.as_str())
        .with("latency_ms", f64::from(micros) / 1e3)
        .with("response", attempt.response.as_str())
        .with("left_out", attempt.left_out)
}

fn show(spool: &Spool, output: &mut Output, arguments: &Show) -> Result<()> {
    let id = arguments.event;
    let filter = Filter {
        event: Some(id),
        ..Filter::default()
    };
    let log = Recorded::attach(&spool.dir)?;
    let attempts = log.attempts(&filter, None, PAGE)?.attempts;
    let whereabouts = spool.store.whereabouts(id)?;
    let Some(trace) = Trace::of(id, attempts, Some(&whereabouts), Timestamp::now()) else {
        bail!(
            "find the event {id}: it neither waits nor was given up, and the log has no attempt of it"
        );
    };
    let head = Record::default()
        .with("id", id.to_string())
        .with("kind", trace.kind.name())
        .with("topic", trace.topic.as_deref())
        .with("at", time::show(trace.at));
    if arguments.json {
        let deliveries = trace.destinations.iter();
        let deliveries = deliveries.map(|it| destination(it).into());
        let deliveries: Vec<serde_json::Value> = deliveries.collect();
        return output.line(&head.with("deliveries", deliveries).to_json());
    }
    let mut lines = head.to_lines().into_iter();
    lines.try_for_each(|line| output.line(&line))?;
    let mut table = Table::new([
        "WEBHOOK", "STATE", "AT", "OUTCOME", "ANSWER", "MS", "ATTEMPT",
    ]);
    let rows: Vec<_> = trace.destinations.iter().flat_map(rows).collect();
    output.line("")?;
    table.write(&rows, output)
}

fn destination(destination: &Destination) -> Record {
    let attempts = destination.attempts.iter();
    let attempts: Vec<serde_json::Value> = attempts.map(|it| record(it).into()).collect();
    Record::default()
        .with("webhook", destination.webhook.as_str())
        .with("state", destination.state.name())
        .with("dead_letter", destination.dead_letter.map(|id| id.0))
        .with("attempts", attempts)
}

/// Returns a row for each attempt, or one if none is known.
fn rows(destination: &Destination) -> Vec<[String; 7]> {
    let head = [
        destination.webhook.clone(),
        destination.state.name().to_owned(),
    ];
    let full = |attempt: Option<&Attempt>| {
        let [webhook, state] = head.clone();
        let [at, outcome, answer, ms, number] = attempt.map_or_else(Default::default, |attempt| {
            [
                time::show(attempt.at),
                attempt.ending.name().to_owned(),
                answer(attempt),
                attempt.latency.as_millis().to_string(),
                attempt.number.to_string(),
            ]
        });
        [webhook, state, at, outcome, answer, ms, number]
    };
    if destination.attempts.is_empty() {
        return vec![full(None)];
    }
    destination
        .attempts
        .iter()
        .map(|attempt| full(Some(attempt)))
        .collect()
}
