//! `mqhook tokens`.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::output::{Output, Record, Table, count, escape};
use super::place::{Place, Spool};
use super::time;
use crate::admin;
use crate::event::Timestamp;
use crate::spool::store::{Defines, Limit, MAX_TOKENS, Made, NewToken, Role, TokenRow};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token, and write it; it is shown this once.
    ///
    /// From the first token on, the admin API answers nobody without one. A running mqhook follows
    /// within a second.
    Create(Create),
    /// List the tokens, but for their texts, which nobody has.
    List(List),
    /// Remove tokens; they are valid for a second longer at most.
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct Create {
    /// Its name, which logs show: letters, digits, dots, `_` and `-`.
    #[arg(value_parser = admin::token_name)]
    name: String,

    /// What it allows.
    #[arg(long, value_enum)]
    role: Word,

    /// Let it concern only the webhooks of the group of this name.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Let it concern only the webhook of this name.
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    webhook: Option<String>,

    /// Write one JSON object.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
struct List {
    /// Write one JSON object per token, in a line each.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: Place,
}

const KEYS: &str = "\
Keys of a JSON object:
  id            its number
  name          its name
  role          viewer, operator, admin, or publisher
  group         the only group that it concerns; or null
  webhook       the only webhook that it concerns; or null
  created_at    when it was made, RFC 3339
  last_used_at  when it was used, in steps of an hour; or null
  token         the token itself, of `create` only";

#[derive(Debug, Args)]
struct Remove {
    /// Their names or numbers.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    #[command(flatten)]
    place: Place,
}

/// A role as it is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Word {
    /// See everything but tokens, secrets and payloads.
    Viewer,
    /// Also see payloads, enable, disable, test, replay and drop.
    Operator,
    /// Also change what is configured.
    Admin,
    /// Publish events over HTTP, and nothing else.
    Publisher,
}

impl Word {
    const fn role(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Operator => Role::Operator,
            Self::Admin => Role::Admin,
            Self::Publisher => Role::Publisher,
        }
    }
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        Command::Create(arguments) => arguments
            .place
            .with_new_spool(|spool, output| create(spool, output, arguments)),
        Command::List(arguments) => arguments
            .place
            .with_spool(|spool, output| list(spool, output, arguments)),
        Command::Remove(arguments) => arguments
            .place
            .with_spool(|spool, output| remove(spool, output, &arguments.names)),
    }
}

fn create(spool: &mut Spool, output: &mut Output, arguments: &Create) -> Result<()> {
    let role = arguments.role.role();
    let limit = admin::token_limit(role, arguments.group.clone(), arguments.webhook.clone());
    let limit = match limit {
        Ok(limit) => limit,
        Err(why) => bail!("make the token: {why}"),
    };
    if let Some(limit) = &limit {
        warn_of_unknown(spool, arguments, limit)?;
    }
    let (token, hash) = admin::new_token();
    let new = NewToken {
        name: arguments.name.clone(),
        hash,
        role,
        limit,
    };
    match spool.store.make_token(&new, Timestamp::now())? {
        Made::Token(row) if arguments.json => {
            output.line(&record(&row).with("token", token).to_json())
        }
        Made::Token(_) => output.line(&token),
        Made::NameTaken => bail!("make the token, as there is one of this name"),
        Made::TooMany => bail!("make the token, as there are {MAX_TOKENS} already"),
    }
}

/// Warns if neither the spool nor the configuration knows what a token is limited to; one that comes later counts.
fn warn_of_unknown(spool: &Spool, arguments: &Create, limit: &Limit) -> Result<()> {
    let configured = arguments.place.configuration();
    let (defines, name) = match limit {
        Limit::Group(name) => (Defines::Group, name),
        Limit::Webhook(name) => (Defines::Webhook, name),
    };
    let definitions = spool.store.definitions()?;
    let mut known: Vec<String> = definitions
        .into_iter()
        .filter(|it| it.defines == defines)
        .map(|it| it.name)
        .collect();
    match (defines, configured) {
        (Defines::Group, Some(config)) => known.extend(config.groups.into_iter().map(|it| it.name)),
        (Defines::Webhook, Some(config)) => {
            known.extend(config.webhooks.into_iter().map(|it| it.name));
        }
        // The spool does not have those of the file.
        (Defines::Group, None) => return Ok(()),
        (Defines::Webhook, None) => {
            known.extend(spool.store.backlog()?.into_iter().map(|it| it.name));
        }
    }
    if !known.contains(name) {
        let (kind, name) = (defines.name(), escape(name));
        eprintln!(
            "warning: there is no {kind} `{name}` yet; the token concerns nothing until there is"
        );
    }
    Ok(())
}

fn list(spool: &Spool, output: &mut Output, arguments: &List) -> Result<()> {
    let tokens = spool.store.tokens()?;
    if arguments.json {
        let mut tokens = tokens.iter();
        return tokens.try_for_each(|row| output.line(&record(row).to_json()));
    }
    if tokens.is_empty() {
        return output.line("no tokens: programs on this host may do everything, others nothing");
    }
    let rows: Vec<_> = tokens.iter().map(row).collect();
    Table::new(["ID", "NAME", "ROLE", "LIMITED TO", "CREATED", "LAST USED"]).write(&rows, output)
}

fn row(row: &TokenRow) -> [String; 6] {
    let limit = match &row.token.limit {
        None => String::new(),
        Some(Limit::Group(name)) => format!("group {name}"),
        Some(Limit::Webhook(name)) => format!("webhook {name}"),
    };
    [
        row.id.0.to_string(),
        row.token.name.clone(),
        row.token.role.name().to_owned(),
        limit,
        time::show(row.created_at),
        row.last_used_at.map(time::show).unwrap_or_default(),
    ]
}

/// Returns a token under the keys of [`KEYS`].
fn record(row: &TokenRow) -> Record {
    let (group, webhook) = match &row.token.limit {
        None => (None, None),
        Some(Limit::Group(name)) => (Some(name.as_str()), None),
        Some(Limit::Webhook(name)) => (None, Some(name.as_str())),
    };
    Record::default()
        .with("id", row.id.0)
        .with("name", row.token.name.as_str())
        .with("role", row.token.role.name())
        .with("group", group)
        .with("webhook", webhook)
        .with("created_at", time::show(row.created_at))
        .with("last_used_at", row.last_used_at.map(time::show))
}

fn remove(spool: &mut Spool, output: &mut Output, names: &[String]) -> Result<()> {
    let tokens = spool.store.tokens()?;
    let (mut removed, mut missing) = (0, Vec::new());
    for name in names {
        let done = match admin::find_token(&tokens, name) {
            Some(id) => spool.store.remove_token(id),
            None => Ok(false),
        };
        if done.with_context(|| format!("go on after {}", count(removed, "token")))? {
            removed += 1;
        } else {
            missing.push(escape(name));
        }
    }
    output.line(&format!("removed {}", count(removed, "token")))?;
    if !missing.is_empty() {
        bail!("find {} in the list of tokens", missing.join(", "));
    }
    Ok(())
}
