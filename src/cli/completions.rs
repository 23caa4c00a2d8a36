//! `mqhook completions`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Whose.
    shell: Shell,
}

const EXAMPLES: &str = "\
Where shells look for them:
  bash  mqhook completions bash > ~/.local/share/bash-completion/completions/mqhook
  zsh   mqhook completions zsh > \"${fpath[1]}/_mqhook\"
  fish  mqhook completions fish > ~/.config/fish/completions/mqhook.fish";

/// Writes what a shell must know of all commands.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let mut text = Vec::new();
    let mut command = super::Arguments::command();
    generate(arguments.shell, &mut command, "mqhook", &mut text);
    match io::stdout().write_all(&text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
