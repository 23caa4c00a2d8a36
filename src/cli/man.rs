//! `mqhook man`, for who makes packages.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, CommandFactory as _};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder, which must be there; mqhook.1 and a page for each command are written into it.
    folder: PathBuf,
}

/// Writes a page for mqhook and for each of its commands.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    match write(&arguments.folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> Result<()> {
    let command = super::Arguments::command().disable_help_subcommand(true);
    let written = clap_mangen::generate_to(command, folder);
    written.with_context(|| format!("write into {}", folder.display()))
}
