//! Prometheus' own tool, if it is there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Returns what asks promtool; `None`, and says so, if it is not installed.
fn promtool() -> Option<Command> {
    let ours = std::env::var_os("MQHOOK_PROMTOOL").map(PathBuf::from);
    let program = ours.filter(|path| path.exists());
    let program = program.unwrap_or_else(|| PathBuf::from("promtool"));
    let found = Command::new(&program).arg("--version").output();
    if found.is_err() {
        eprintln!("not tested: promtool is not installed");
        return None;
    }
    Some(Command::new(program))
}

/// Has promtool look at something, and panics if it finds anything.
pub fn check(arguments: &[&str], directory: &Path, input: &str) {
    let Some(mut command) = promtool() else {
        return;
    };
    command.args(arguments).current_dir(directory);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it ran before");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}
