//! `mqhook dead-letters list`.

use std::collections::VecDeque;

use anyhow::Result;

use super::super::output::{Output, Record, Table};
use super::super::place::Spool;
use super::super::time;
use super::{List, each_page};
use crate::spool::store::{DeadLetter, Filter};

pub(super) const KEYS: &str = "\
Keys of a JSON object:
  id             number of the dead letter, for `show`, `replay` and `drop`
  time           when it was given up, RFC 3339
  webhook        the webhook that did not get the event
  event_id       the event's id, the `webhook-id` of its requests
  kind           the event's kind, such as on_message_publish
  topic          the topic of a message, otherwise null
  attempts       how many attempts failed
  why            rejected: the receiver does not want it; exhausted: the last attempt of the schedule failed
  outcome        what the last attempt met; may be empty
  first_failed   when the first attempt failed, or null
  accepted       when the event was accepted, or replayed the last time
  payload_bytes  size of a message's payload, 0 for other kinds

In columns, texts beyond 60 characters are cut; control characters are escaped as in \\n and \\u{1b}.";

const HEAD: [&str; 9] = [
    "ID",
    "TIME",
    "WEBHOOK",
    "EVENT",
    "KIND",
    "TOPIC",
    "ATTEMPTS",
    "WHY",
    "LAST OUTCOME",
];

pub(super) fn main(
    spool: &Spool,
    output: &mut Output,
    filter: &Filter,
    arguments: &List,
) -> Result<()> {
    let mut writer = Writer {
        table: (!arguments.json).then(|| Table::new(HEAD)),
        written: 0,
    };
    match arguments.limit {
        None => each_page(spool, filter, |page| writer.write(&page, output))?,
        Some(limit) => writer.write(&newest(spool, filter, limit)?, output)?,
    }
    if !arguments.json && writer.written == 0 {
        output.line("no dead letters")?;
    }
    Ok(())
}

fn newest(spool: &Spool, filter: &Filter, limit: usize) -> Result<Vec<DeadLetter>> {
    let mut newest = VecDeque::new();
    each_page(spool, filter, |page| {
        newest.extend(page);
        let excess = newest.len().saturating_sub(limit);
        newest.drain(..excess);
        Ok(())
    })?;
    Ok(newest.into())
}

/// Writes dead letters as they come.
struct Writer {
    /// `None` for JSON.
    table: Option<Table<{ HEAD.len() }>>,
    written: usize,
}

impl Writer {
    fn write(&mut self, letters: &[DeadLetter], output: &mut Output) -> Result<()> {
        self.written += letters.len();
        match &mut self.table {
            Some(_) if letters.is_empty() => Ok(()),
            Some(table) => table.write(&letters.iter().map(row).collect::<Vec<_>>(), output),
            None => letters
                .iter()
                .try_for_each(|letter| output.line(&record(letter).to_json())),
        }
    }
}

fn row(letter: &DeadLetter) -> [String; HEAD.len()] {
    [
        letter.id.0.to_string(),
        time::show(letter.at),
        letter.webhook.clone(),
        letter.event_id.to_string(),
        letter.kind.name().to_owned(),
        letter.topic.clone().unwrap_or_default(),
        letter.failures.to_string(),
        letter.reason.name().to_owned(),
        letter.outcome.clone(),
    ]
}

/// Returns a dead letter under the keys of [`KEYS`].
pub(super) fn record(letter: &DeadLetter) -> Record {
    Record::default()
        .with("id", letter.id.0)
        .with("time", time::show(letter.at))
        .with("webhook", letter.webhook.as_str())
        .with("event_id", letter.event_id.to_string())
        .with("kind", letter.kind.name())
        .with("topic", letter.topic.as_deref())
        .with("attempts", letter.failures)
        .with("why", letter.reason.name())
        .with("outcome", letter.outcome.as_str())
        .with("first_failed", letter.first_failed.map(time::show))
        .with("accepted", time::show(letter.accepted))
        .with("payload_bytes", letter.payload_bytes)
}
