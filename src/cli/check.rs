//! `mqhook check`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::output::{self, Output, escape};
use crate::config::{Config, Webhook};
use crate::envelope::{self, Format};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: super::File,
}

/// Reports the problems of a file and, if it can run, what it would do.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match super::load(&arguments.file.config) {
        Err(status) => status,
        Ok(config) => write(&summary(&config)),
    }
}

/// Writes what was found out. That nobody reads it is no failure.
fn write(text: &str) -> ExitCode {
    let mut output = Output::new();
    let written = output.line(text.trim_end()).and_then(|()| output.flush());
    match written {
        Err(error) if !output::is_broken_pipe(&error) => {
            // If standard error cannot be written either, the exit status is all that is left.
            let _ = writeln!(std::io::stderr(), "error: cannot {error:#}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn summary(config: &Config) -> String {
    let dialect = config.dialect.map_or("auto", |name| name.as_str());
    let mut text = format!("broker {} (dialect {dialect})\n", shown(&config.broker.url));
    for webhook in &config.webhooks {
        text.push_str(&describe(webhook));
    }
    text.push_str("the configuration is good\n");
    text
}

fn describe(webhook: &Webhook) -> String {
    let rules = webhook.rules.iter().map(|rule| {
        if rule.kind.is_message() {
            format!("  {} {}\n", rule.kind, shown(&rule.topic))
        } else {
            format!("  {}\n", rule.kind)
        }
    });
    format!(
        "webhook {} posts to {} over at most {} connections, {}\n{}",
        shown(&webhook.name),
        shown(&webhook.http.url),
        webhook.http.pool_size,
        describe_bodies(&webhook.http.body),
        rules.collect::<String>()
    )
}

/// Returns what a file says as a terminal shows it.
fn shown(text: &impl ToString) -> String {
    escape(&text.to_string())
}

fn describe_bodies(body: &envelope::Config) -> String {
    match &body.format {
        Format::Nanomq => format!("payloads {}", body.encoding),
        other => format!("bodies {}", other.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, TopicFilter};
    use crate::rule::Rule;

    #[test]
    fn what_a_file_says_is_shown_and_not_obeyed() {
        let url = "http://h/".parse().expect("it is a URL");
        let mut webhook = Webhook::new("b\u{7}", url);
        let topic = TopicFilter::try_from("a\u{202e}").expect("it is a filter");
        webhook.rules = vec![Rule::new(Kind::MessagePublish, topic)];
        let text = describe(&webhook);
        assert!(text.contains("b\\u{7}"), "{text}");
        assert!(text.contains("a\\u{202e}"), "{text}");
    }
}
