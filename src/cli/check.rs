//! `mqhook check`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::output::{self, Output};
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
    let mut text = format!("broker {} (dialect {dialect})\n", config.broker.url);
    for webhook in &config.webhooks {
        text.push_str(&describe(webhook));
    }
    text.push_str("the configuration is good\n");
    text
}

fn describe(webhook: &Webhook) -> String {
    let rules = webhook.rules.iter().map(|rule| {
        if rule.kind.is_message() {
            format!("  {} {}\n", rule.kind, rule.topic)
        } else {
            format!("  {}\n", rule.kind)
        }
    });
    format!(
        "webhook {} posts to {} over at most {} connections, {}\n{}",
        webhook.name,
        webhook.http.url,
        webhook.http.pool_size,
        describe_bodies(&webhook.http.body),
        rules.collect::<String>()
    )
}

fn describe_bodies(body: &envelope::Config) -> String {
    match &body.format {
        Format::Nanomq => format!("payloads {}", body.encoding),
        other => format!("bodies {}", other.name()),
    }
}
