//! `mqhook import`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::output::{self, Output, count};
use crate::config::hocon;
use crate::config::import::{self, Notation};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The file: nanomq.conf of any version, `nanomq_web_hook.conf`, or EMQX 4's `emqx_web_hook.conf`.
    file: PathBuf,

    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Toml)]
    format: Format,
}

const EXAMPLES: &str = "\
The configuration goes to standard output. Its comments say what is different with mqhook, and
which lines were left out and why.

Example:
  mqhook import /etc/nanomq.conf > mqhook.toml && mqhook check -c mqhook.toml";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Toml,
    Hocon,
}

/// Writes a configuration of ours, made of somebody else's.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let notation = match arguments.format {
        Format::Toml => Notation::Toml,
        Format::Hocon => Notation::Hocon,
    };
    let imported = match import::import(&arguments.file, notation, &hocon::System) {
        Ok(imported) => imported,
        Err(reading) => {
            eprintln!("{}", reading.render(std::io::stderr().is_terminal()));
            return ExitCode::from(super::EXIT_CONFIG);
        }
    };
    if imported.left_out > 0 {
        let things = count(imported.left_out as u64, "thing");
        eprintln!("{things} left out; the comments say which and why");
    }
    let mut output = Output::new();
    let written = output
        .line(imported.text.trim_end())
        .and_then(|()| output.flush());
    match written {
        Err(error) if !output::is_broken_pipe(&error) => {
            eprintln!("error: cannot {error:#}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
