//! `mqhook tail`.

mod line;

use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use http::Uri;
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::Value;
use tokio::sync::oneshot;

use super::api_client::{Access, Client, Error};
use super::output::Record;
use super::sse::{self, Parser};
use crate::backoff::Backoff;
use crate::event::{Kind, TopicFilter};
use crate::http::{Answer, query};

/// The longest silence: mqhook says something every 15 s.
const SILENCE: Duration = Duration::from_secs(50);

const AGAIN: Backoff = Backoff {
    initial: Duration::from_millis(500),
    factor: 2.0,
    max: Duration::from_secs(10),
};

#[derive(Debug, Args)]
#[command(after_help = KEYS)]
pub(super) struct Arguments {
    #[command(flatten)]
    access: Access,

    /// Show attempts to deliver, in place of the events that are accepted.
    #[arg(long)]
    attempts: bool,

    /// Only this kind, such as `on_message_publish`.
    #[arg(long, value_name = "EVENT", value_parser = super::run::kind)]
    kind: Option<Kind>,

    /// Only messages whose topic this filter matches.
    #[arg(long, value_name = "FILTER", value_parser = super::run::topic_filter)]
    topic: Option<TopicFilter>,

    /// Only events of this client; * stands for any characters and ? for one.
    #[arg(long, value_name = "PATTERN", conflicts_with = "attempts")]
    client_id: Option<String>,

    /// Only what goes to this webhook.
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,

    /// Only attempts that ended so.
    #[arg(long, requires = "attempts")]
    outcome: Option<Outcome>,

    /// Show payloads, too; the token's role must be operator or admin.
    #[arg(long, conflicts_with = "attempts")]
    payload: bool,

    /// Write one JSON object per line, as is done where the output is not a terminal.
    #[arg(long)]
    json: bool,
}

const KEYS: &str = "\
A JSON object is what the API's /events/stream, or with --attempts /deliveries/stream, has; or
{\"missed\": N}, where N could not be shown because they came too fast.

It goes on until it is interrupted, or nobody reads it any more, and connects again when mqhook was
away. What happened meanwhile is not shown. NO_COLOR is honoured.";

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    Delivered,
    Retry,
    Rejected,
    GivenUp,
}

/// How what comes is written.
#[derive(Debug, Clone, Copy)]
enum Style {
    Json,
    People { has_colour: bool },
}

/// Shows what happens, while it does.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    arguments.access.with_api(async |client| {
        let follow = pin!(follow(arguments, client));
        let unread = pin!(unread());
        tokio::select! {
            followed = follow => followed,
            () = unread => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Ends when nobody reads the output any more, which nothing else says while there is nothing to write.
async fn unread() {
    let (gone, is_gone) = oneshot::channel();
    // It ends with the process: nothing can wake it but the reader.
    let watch = move || {
        let output = std::io::stdout();
        let mut output = [PollFd::new(&output, PollFlags::empty())];
        let polled = rustix::io::retry_on_intr(|| poll(&mut output, None));
        if polled.is_ok() {
            let _ = gone.send(());
        }
    };
    let watching = std::thread::Builder::new()
        .name("unread".to_owned())
        .spawn(watch);
    if watching.is_err() || is_gone.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Shows all that comes; whoever was heard once is asked again.
async fn follow(arguments: &Arguments, client: &Client) -> Result<ExitCode> {
    let style = arguments.style();
    let mut answer = client.stream(arguments.uri()).await?;
    loop {
        let ended = show(arguments, client, answer, style).await?;
        eprintln!("{ended}; trying again");
        answer = again(arguments, client).await?;
        eprintln!("mqhook is back");
    }
}

/// Asks until there is an answer; one that refuses is an error.
async fn again(arguments: &Arguments, client: &Client) -> Result<Answer> {
    let mut failures = 0;
    loop {
        failures += 1;
        tokio::time::sleep(AGAIN.delay(failures, rand::random())).await;
        match client.stream(arguments.uri()).await {
            Ok(answer) => return Ok(answer),
            Err(Error::Refused(refusal)) if !refusal.status.is_server_error() => {
                return Err(Error::Refused(refusal).into());
            }
            Err(_) => {}
        }
    }
}

/// Shows what comes, and returns why no more does.
async fn show(
    arguments: &Arguments,
    client: &Client,
    mut answer: Answer,
    style: Style,
) -> Result<String> {
    let mut parser = Parser::default();
    loop {
        let piece = match answer.piece(SILENCE).await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok("mqhook has ended the stream".to_owned()),
            Err(source) => return Ok(format!("cannot {}", client.torn(source))),
        };
        let Ok(events) = parser.feed(&piece) else {
            bail!("understand what mqhook sends");
        };
        let lines: String = events
            .iter()
            .filter_map(|event| arguments.line(event, style))
            .map(|line| line + "\n")
            .collect();
        let mut output = std::io::stdout().lock();
        let written = output
            .write_all(lines.as_bytes())
            .and_then(|()| output.flush());
        written.context("write to standard output")?;
    }
}

impl Arguments {
    fn style(&self) -> Style {
        let is_terminal = std::io::stdout().is_terminal();
        if self.json || !is_terminal {
            return Style::Json;
        }
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Style::People {
            has_colour: !no_colour,
        }
    }

    fn uri(&self) -> Uri {
        let path = if self.attempts {
            "/deliveries/stream"
        } else {
            "/events/stream"
        };
        let topic = self.topic.as_ref().map(ToString::to_string);
        let outcome = self.outcome.and_then(|outcome| outcome.to_possible_value());
        let outcome = outcome.as_ref().map(clap::builder::PossibleValue::get_name);
        let pairs = [
            ("kind", self.kind.map(Kind::name)),
            ("topic", topic.as_deref()),
            ("client_id", self.client_id.as_deref()),
            ("webhook", self.webhook.as_deref()),
            ("outcome", outcome),
            ("payload", self.payload.then_some("1")),
        ];
        query(path, &pairs)
    }

    /// Returns the line of something that came; none for what is not asked for.
    fn line(&self, event: &sse::Event, style: Style) -> Option<String> {
        let data: Value = serde_json::from_str(&event.data).ok()?;
        if event.name == "lagged" {
            let missed = data.get("missed").and_then(Value::as_u64).unwrap_or(0);
            return Some(match style {
                Style::Json => Record::default().with("missed", missed).to_json(),
                Style::People { .. } => format!("... {missed} missed, as they came too fast"),
            });
        }
        Some(match style {
            Style::Json => Record::from(data).to_json(),
            Style::People { has_colour } if self.attempts => line::attempt(&data, has_colour),
            Style::People { has_colour } => line::accepted(&data, has_colour),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use serde_json::json;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(line: &[&str]) -> Arguments {
        let line = std::iter::once(&"tail").chain(line);
        Line::try_parse_from(line)
            .expect("a command line")
            .arguments
    }

    fn lines(arguments: &Arguments, name: &str, data: &Value, style: Style) -> Option<String> {
        let event = sse::Event {
            name: name.to_owned(),
            data: data.to_string(),
        };
        arguments.line(&event, style)
    }

    #[test]
    fn filters_go_into_the_query() {
        let check = |line: &[&str], expected: &str| {
            assert_eq!(arguments(line).uri().to_string(), expected);
        };
        check(&[], "/events/stream");
        check(
            &[
                "--kind",
                "on_message_publish",
                "--topic",
                "a/+/#",
                "--client-id",
                "s-*",
                "--webhook",
                "x y",
                "--payload",
            ],
            "/events/stream?kind=on_message_publish&topic=a%2F%2B%2F%23&client_id=s-%2A&webhook=x%20y&payload=1",
        );
        check(
            &[
                "--attempts",
                "--outcome",
                "given_up",
                "--kind",
                "on_client_connack",
            ],
            "/deliveries/stream?kind=on_client_connack&outcome=given_up",
        );
    }

    #[test]
    fn what_was_missed_is_said() {
        let line = lines(
            &arguments(&[]),
            "lagged",
            &json!({ "missed": 3 }),
            Style::Json,
        );
        assert_eq!(line.as_deref(), Some("{\"missed\":3}"));
        let style = Style::People { has_colour: true };
        let line = lines(&arguments(&[]), "lagged", &json!({ "missed": 3 }), style);
        assert_eq!(line.as_deref(), Some("... 3 missed, as they came too fast"));
    }
}
