//! What the mqhook that runs does with webhooks: show, create, update, test, delete.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use http::header::IF_MATCH;
use http::{Method, Uri};
use serde_json::{Value, json};

use crate::cli::EXIT_CONFIG;
use crate::cli::api_client::{Access, Client, Error, Refusal};
use crate::cli::output::{Output, Record, escape, pretty};
use crate::config::draft::{self, Draft};
use crate::config::hocon::{MAX_BYTES, System};
use crate::config::json::Mistake;
use crate::config::problem::Severity;
use crate::http::query;
use crate::payload::percent::Set;

/// Stands for standard input.
const STANDARD_INPUT: &str = "-";

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The webhook's name or id.
    name: String,

    /// Write its definition alone, as `update` takes it.
    #[arg(long, conflicts_with = "json")]
    definition: bool,

    /// Write what GET /webhooks/{id} answers, in a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    access: Access,
}

const FILES: &str = "\
FILE has the keys of `webhooks.<name>` in a configuration, `group` included: TOML if its name ends in
.toml, otherwise HOCON, and so JSON; `-` is standard input. It cannot name files of the host, nor set
`network`, `proxy` and `enable`.

Exit status: 0 done, 1 failed, 2 wrong command line, 78 what FILE says cannot be used.";

#[derive(Debug, Args)]
#[command(after_help = FILES)]
pub(super) struct Write {
    /// The webhook's name.
    name: String,

    /// What it is to be.
    file: PathBuf,

    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 the receiver took it, 1 it did not, or it was not sent.")]
pub(super) struct Test {
    /// The webhook's name or id.
    name: String,

    /// Write what POST /webhooks/{id}/test answers, in a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    access: Access,
}

pub(super) fn show(arguments: &Show) -> ExitCode {
    arguments.access.with_api(async |client| {
        let mut webhook = client.get(path(&arguments.name, "")).await?;
        let mut output = Output::new();
        if arguments.json {
            output.line(&Record::from(webhook).to_json())?;
        } else {
            let mut definition = webhook["definition"].take();
            if arguments.definition {
                if let (Some(group), Some(keys)) =
                    (webhook["group"].as_str(), definition.as_object_mut())
                {
                    keys.insert("group".to_owned(), group.into());
                }
            } else {
                let keys = webhook.as_object_mut();
                keys.map(|keys| keys.remove("definition"));
                let lines = Record::from(webhook).to_lines();
                lines.iter().try_for_each(|line| output.line(line))?;
                output.line("definition")?;
            }
            output.line(&pretty(&definition))?;
        }
        output.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

pub(super) fn create(arguments: &Write) -> ExitCode {
    write(arguments, &async |client, draft| {
        let name = arguments.name.as_str();
        let body = json!({"name": name, "group": draft.group, "definition": draft.definition});
        let uri = Uri::from_static("/webhooks");
        client.ask(Method::POST, uri, Some(&body), &[]).await
    })
}

pub(super) fn update(arguments: &Write) -> ExitCode {
    write(arguments, &async |client, draft| {
        let body = json!({"group": draft.group, "definition": draft.definition});
        let uri = path(&arguments.name, "");
        // The file says all of it, whatever it was before.
        let any = [(IF_MATCH, "*")];
        client.ask(Method::PUT, uri, Some(&body), &any).await
    })
}

/// Sends what a file says, and tells what is wrong with it, or odd about it.
fn write(
    arguments: &Write,
    send: &impl AsyncFn(&Client, &Draft) -> Result<Value, Error>,
) -> ExitCode {
    let colour = std::io::stderr().is_terminal();
    let draft = match read(&arguments.file, colour) {
        Ok(draft) => draft,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    arguments.access.with_api(async |client| {
        let answer = match send(client, &draft).await {
            Err(Error::Refused(refusal)) if has_places(&refusal) => {
                let mistakes = mistakes(&refusal.problem["errors"], Severity::Error);
                eprintln!("{}", draft.render(&mistakes, colour));
                return Ok(ExitCode::from(EXIT_CONFIG));
            }
            answer => answer?,
        };
        let warnings = mistakes(&answer["warnings"], Severity::Warning);
        if !warnings.is_empty() {
            eprintln!("{}\n", draft.render(&warnings, colour));
        }
        let mut output = Output::new();
        let name = escape(&arguments.name);
        output.line(&format!(
            "webhook {name} takes events as {} says",
            arguments.file.display()
        ))?;
        output.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

fn read(file: &Path, colour: bool) -> Result<Draft, String> {
    if file != Path::new(STANDARD_INPUT) {
        return draft::load(file, &System, colour);
    }
    let mut text = String::new();
    // One byte more shows that there are too many.
    let mut input = std::io::stdin().take(MAX_BYTES as u64 + 1);
    let read = input.read_to_string(&mut text);
    read.map_err(|error| format!("error: cannot read standard input: {error}"))?;
    draft::read(file, text, &System, colour)
}

/// Returns whether a refusal is about what the file says.
fn has_places(refusal: &Refusal) -> bool {
    let errors = refusal.problem["errors"].as_array();
    errors.is_some_and(|errors| errors.iter().any(|error| error["pointer"].is_string()))
}

/// Returns what an answer lists, with pointers into the file.
fn mistakes(list: &Value, severity: Severity) -> Vec<Mistake> {
    let text = |value: &Value| value.as_str().map(escape);
    let mistake = |flaw: &Value| {
        let pointer = flaw["pointer"].as_str().unwrap_or_default();
        let pointer = pointer.strip_prefix("/definition").unwrap_or(pointer);
        Mistake {
            severity,
            pointer: pointer.to_owned(),
            detail: text(&flaw["detail"]).unwrap_or_default(),
            help: text(&flaw["help"]),
        }
    };
    list.as_array().into_iter().flatten().map(mistake).collect()
}

pub(super) fn test(arguments: &Test) -> ExitCode {
    arguments.access.with_api(async |client| {
        let uri = path(&arguments.name, "/test");
        let answer = client.ask(Method::POST, uri, None, &[]).await?;
        let is_delivered = answer["outcome"] == "delivered";
        let mut output = Output::new();
        if arguments.json {
            output.line(&Record::from(answer).to_json())?;
        } else {
            tell(answer, &mut output)?;
        }
        output.flush()?;
        Ok(if is_delivered {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })
}

/// Writes what was sent, and what came of it.
fn tell(mut answer: Value, output: &mut Output) -> Result<()> {
    let (request, response) = (answer["request"].take(), answer["response"].take());
    let outcome = Record::from(answer).to_lines();
    outcome.iter().try_for_each(|line| output.line(line))?;
    for (what, body) in [("request", request), ("response", response)] {
        if !body.is_null() {
            output.line(&format!("{what}\n{}", pretty(&body)))?;
        }
    }
    Ok(())
}

pub(super) fn delete(access: &Access, name: &str) -> ExitCode {
    access.with_api(async |client| {
        let any = [(IF_MATCH, "*")];
        let uri = path(name, "");
        client.ask(Method::DELETE, uri, None, &any).await?;
        let mut output = Output::new();
        output.line(&format!("webhook {} is deleted", escape(name)))?;
        output.flush().context("say so")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns the path of a webhook, or of what is below it.
fn path(name: &str, below: &str) -> Uri {
    query(
        &format!("/webhooks/{}{below}", Set::Component.encode(name)),
        &[],
    )
}
