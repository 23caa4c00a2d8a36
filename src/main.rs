//! The `mqhook` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mqhook::cli::main()
}
