//! The command line.
//!
//! | exit status | meaning |
//! |---|---|
//! | 0 | done, or stopped by a signal in order |
//! | 1 | failed while running |
//! | 2 | the command line is wrong |
//! | 78 | the configuration is wrong, or the admin API would be open (`EX_CONFIG`) |
//!
//! `dead-letters`, `deliveries`, `devices`, `replay`, `spool`, `tokens` and most of `webhooks` open the database of a spool beside the mqhook that runs on
//! it, or without one. They write for people, or with `--json` one object per line, whose keys their
//! `--help` names. When nobody reads what they write any more, they end with status 0.

mod api_client;
mod check;
mod completions;
mod dead_letters;
mod deliveries;
mod devices;
mod import;
mod man;
mod output;
mod place;
mod reload;
mod replay;
mod run;
mod spool;
mod sse;
mod status;
mod tail;
mod time;
mod tokens;
mod webhooks;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::problem::Severity;
use crate::config::{self, Config, hocon};

/// The configuration is wrong: `EX_CONFIG` of sysexits.h.
const EXIT_CONFIG: u8 = 78;

/// Turns what happens at an MQTT broker into HTTP requests.
///
/// mqhook runs beside a broker (NanoMQ, Mosquitto, EMQX, RMQTT, Aedes or any other), hears which
/// messages are published and which clients come and go, and posts each event to every webhook
/// whose rules match.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  Post every message under sensors/ of a broker on this host:
    mqhook run --broker mqtt://127.0.0.1:1883 --post http://127.0.0.1:8080/hook --topic 'sensors/#'

  Do what the webhook block of NanoMQ's own configuration says:
    mqhook run -c /etc/nanomq.conf

  Say all that is wrong with a file, without running:
    mqhook check -c /etc/mqhook/mqhook.toml

  See how the mqhook that runs does, and what comes in:
    mqhook status
    mqhook tail --topic 'sensors/#'

  See what waits, and have what was given up in the last two hours delivered again:
    mqhook spool status -c /etc/mqhook/mqhook.toml
    mqhook dead-letters replay --since 2h -c /etc/mqhook/mqhook.toml

Exit status: 0 done, 1 failed, 2 wrong command line, 78 wrong configuration.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until SIGTERM or SIGINT; a second one stops at once.
    Run(Box<run::Arguments>),
    /// Report every problem of a configuration file, and what it would do.
    Check(check::Arguments),
    /// Write a shell's completions to standard output.
    Completions(completions::Arguments),
    /// List, show, replay or drop deliveries that were given up.
    DeadLetters(dead_letters::Arguments),
    /// List attempts, and say where an event went.
    Deliveries(deliveries::Arguments),
    /// List, show or remove devices.
    Devices(devices::Arguments),
    /// Make a configuration out of NanoMQ's or EMQX's.
    Import(import::Arguments),
    /// Write the manual's pages into a folder.
    #[command(hide = true)]
    Man(man::Arguments),
    /// Have what was given up, or delivered, delivered again; each event keeps its id.
    Replay(Box<replay::Arguments>),
    /// Say what waits on disk.
    Spool(spool::Arguments),
    /// Say how the mqhook that runs does, and what to do next.
    Status(status::Arguments),
    /// Show events, or attempts to deliver them, while they happen.
    Tail(tail::Arguments),
    /// Make, list or remove tokens of the admin API.
    Tokens(tokens::Arguments),
    /// List, show, create, update, test, enable, disable or delete webhooks.
    Webhooks(webhooks::Arguments),
}

/// Which file to read.
#[derive(Debug, Args)]
struct File {
    /// Configuration file: TOML if its name ends in .toml, otherwise HOCON (nanomq.conf included).
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Does what the command line says, and returns the exit status.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Completions(arguments) => completions::main(&arguments),
        Command::DeadLetters(arguments) => dead_letters::main(&arguments),
        Command::Deliveries(arguments) => deliveries::main(&arguments),
        Command::Devices(arguments) => devices::main(&arguments),
        Command::Import(arguments) => import::main(&arguments),
        Command::Man(arguments) => man::main(&arguments),
        Command::Replay(arguments) => replay::main(&arguments),
        Command::Spool(arguments) => spool::main(&arguments),
        Command::Status(arguments) => status::main(&arguments),
        Command::Tail(arguments) => tail::main(&arguments),
        Command::Tokens(arguments) => tokens::main(&arguments),
        Command::Webhooks(arguments) => webhooks::main(&arguments),
    }
}

/// Reads a configuration and writes its problems to standard error.
fn load(path: &Path) -> Result<Config, ExitCode> {
    usable(path, config::load(path, &hocon::System))
}

/// Returns a configuration that was read, and writes its problems to standard error; if that takes nothing, the
/// exit status says enough.
fn usable(path: &Path, reading: config::Reading) -> Result<Config, ExitCode> {
    let problems = reading.render(std::io::stderr().is_terminal());
    if !problems.is_empty() {
        let _ = writeln!(std::io::stderr(), "{problems}\n");
    }
    let errors = reading.count(Severity::Error);
    reading.config.ok_or_else(|| {
        let plural = if errors == 1 { "" } else { "s" };
        let _ = writeln!(
            std::io::stderr(),
            "{}: {errors} error{plural}",
            path.display()
        );
        ExitCode::from(EXIT_CONFIG)
    })
}
