//! `mqhook webhooks`: some commands work on the store, others ask the mqhook that runs.

mod over_api;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use super::api_client::Access;
use super::output::{Output, Record, Table, escape};
use super::place::{Place, Spool};
use super::time;
use crate::event::Timestamp;
use crate::http::Target;
use crate::spool::store::{Backlog, Change, Defines, Definition, Status, WebhookState};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which webhooks are enabled, and since when and why not.
    List(List),
    /// Show a webhook as the mqhook that runs has it, without its secrets.
    Show(over_api::Show),
    /// Make a webhook of what a file says, in the mqhook that runs.
    Create(over_api::Write),
    /// Have a webhook that was made over the API be what a file says, in the mqhook that runs.
    ///
    /// `{"secret": true}` keeps a secret that is there, as long as requests go to the same place.
    Update(over_api::Write),
    /// Send an example of what a webhook gets, now, and show what comes of it.
    Test(over_api::Test),
    /// Have a webhook attempted again; what waits for it is delivered.
    ///
    /// It is remembered over restarts. A running mqhook follows within a second.
    Enable(Enable),
    /// Have events wait for a webhook, until it is enabled or they are too old (`spool.max_age`).
    ///
    /// It is remembered over restarts. A running mqhook follows within a second.
    Disable(Disable),
    /// Take away a webhook that was made over the API: while no mqhook runs, or with --api.
    ///
    /// What waits for it stays on disk under its name, until it is too old.
    Delete(Delete),
}

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct List {
    #[command(flatten)]
    place: Place,

    /// Write one JSON object per webhook, in a line each.
    #[arg(long)]
    json: bool,
}

const KEYS: &str = "\
Keys of a JSON object:
  webhook               its name
  state                 enabled, disabled, or disabled_due_to_errors
  since                 since when, RFC 3339; null: it never had another state
  reason                why; may be empty
  consecutive_failures  deliveries given up in a row, when it was disabled
  failing_since         when the first attempt of the row failed, when it was disabled; or null

All that were ever configured are listed, but for those with `durable = false` that were not deleted.";

#[derive(Debug, Args)]
struct Enable {
    /// The webhook's name in the configuration.
    name: String,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Disable {
    /// The webhook's name in the configuration.
    name: String,

    /// Why, for those who wonder later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Delete {
    /// The webhook's name.
    name: String,

    #[command(flatten)]
    place: Place,

    /// Have the mqhook do it that runs, whose admin API is there.
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "dir"])]
    api: Option<Target>,

    /// File that holds a token of the API. Default: `MQHOOK_TOKEN`, if it is set.
    #[arg(long, value_name = "FILE", requires = "api")]
    token_file: Option<PathBuf>,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::List(list) => list.place.with_spool(|spool, output| {
            let backlog = spool.store.backlog()?;
            if list.json {
                let mut webhooks = backlog.iter();
                webhooks.try_for_each(|webhook| output.line(&record(webhook).to_json()))
            } else {
                show(&backlog, output)
            }
        }),
        Command::Enable(enable) => enable
            .place
            .with_spool(|spool, output| set(spool, output, &enable.name, Status::Enabled, "")),
        Command::Disable(disable) => disable.place.with_spool(|spool, output| {
            let reason = &disable.reason;
            set(spool, output, &disable.name, Status::Disabled, reason)
        }),
        Command::Delete(delete) => match &delete.api {
            Some(api) => {
                let access = Access::new(api.clone(), delete.token_file.clone());
                over_api::delete(&access, &delete.name)
            }
            None => delete
                .place
                .with_spool(|spool, output| remove(spool, output, &delete.name)),
        },
        Command::Show(show) => over_api::show(show),
        Command::Create(create) => over_api::create(create),
        Command::Update(update) => over_api::update(update),
        Command::Test(test) => over_api::test(test),
    }
}

/// Returns the state of a webhook under the keys of [`KEYS`].
pub(super) fn record(webhook: &Backlog) -> Record {
    let state = &webhook.state;
    Record::default()
        .with("webhook", webhook.name.as_str())
        .with("state", state.status.name())
        .with("since", state.since.map(time::show))
        .with("reason", state.reason.as_str())
        .with("consecutive_failures", state.consecutive_failures)
        .with("failing_since", state.failing_since.map(time::show))
}

fn show(backlog: &[Backlog], output: &mut Output) -> Result<()> {
    let row = |webhook: &Backlog| {
        let state = &webhook.state;
        [
            webhook.name.clone(),
            state.status.name().to_owned(),
            state.since.map(time::show).unwrap_or_default(),
            state.reason.clone(),
        ]
    };
    let rows: Vec<_> = backlog.iter().map(row).collect();
    if rows.is_empty() {
        return output.line("no webhook was ever configured");
    }
    Table::new(["WEBHOOK", "STATE", "SINCE", "REASON"]).write(&rows, output)
}

/// Removes what defines a webhook.
fn remove(spool: &mut Spool, output: &mut Output, name: &str) -> Result<()> {
    if spool.is_running()? {
        bail!("delete a webhook beside an mqhook that runs; say where its API is: --api URL");
    }
    let definitions = spool.store.definitions()?;
    let is_it = |it: &&Definition| it.defines == Defines::Webhook && it.name == name;
    let name = escape(name);
    let Some(definition) = definitions.iter().find(is_it) else {
        bail!("find the webhook `{name}` among those that were made over the API");
    };
    // Who makes another one of this name might get what this one has left in the log.
    spool.store.register(&definition.name)?;
    spool.store.remove_definition(&definition.id)?;
    output.line(&format!("webhook {name} is deleted"))
}

/// Gives a webhook another status. What it had failed before counts no more.
fn set(
    spool: &mut Spool,
    output: &mut Output,
    name: &str,
    status: Status,
    reason: &str,
) -> Result<()> {
    let webhook = spool.webhook(name)?;
    let (name, word) = (escape(name), status.name());
    if webhook.state.status == status && webhook.state.reason == reason {
        return output.line(&format!("webhook {name} is {word} already"));
    }
    let when = if spool.is_running()? {
        "the running mqhook follows within a second"
    } else {
        "it counts from the next start of mqhook"
    };
    spool.store.commit(&[Change::State {
        webhook: webhook.webhook,
        state: WebhookState {
            status,
            since: Some(Timestamp::now()),
            reason: reason.to_owned(),
            ..WebhookState::default()
        },
    }])?;
    output.line(&format!("webhook {name} is {word}; {when}"))
}
