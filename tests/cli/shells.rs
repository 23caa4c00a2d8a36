//! What packages bring beside the binary: completions and the manual.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::MQHOOK;

fn run(arguments: &[&str]) -> String {
    let output = Command::new(MQHOOK).args(arguments).output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}

/// Has a program read a text, and returns what it writes; `None` if it is not installed.
fn ask(program: &str, arguments: &[&str], text: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("not tested: {program} is not installed");
        return None;
    };
    let mut input = child.stdin.take().expect("it is a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.is_empty(),
        "{program}: {said}"
    );
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn shells_understand_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let text = run(&["completions", shell]);
        assert!(text.contains("dead-letters"), "{shell}");
        ask(shell, &["-n"], &text);
    }
    for shell in ["elvish", "powershell"] {
        assert!(
            run(&["completions", shell]).contains("dead-letters"),
            "{shell}"
        );
    }
}

#[test]
fn bash_and_fish_complete_commands_and_options() {
    let script = run(&["completions", "bash"]);
    let asks = "\nCOMP_WORDS=(mqhook st); COMP_CWORD=1; _mqhook mqhook st mqhook; echo \"${COMPREPLY[@]}\"
COMP_WORDS=(mqhook tail --att); COMP_CWORD=2; _mqhook mqhook --att tail; echo \"${COMPREPLY[@]}\"\n";
    if let Some(said) = ask("bash", &["--norc"], &(script + asks)) {
        assert_eq!(said, "status\n--attempts\n");
    }
    let script = run(&["completions", "fish"]);
    let asks = "\ncomplete -C 'mqhook dead-letters re'\n";
    if let Some(said) = ask("fish", &["--no-config"], &(script + asks)) {
        assert!(said.starts_with("replay\t"), "{said}");
    }
}

#[test]
fn every_command_has_a_page_of_the_manual() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    run(&["man", folder.path().to_str().expect("its name is ASCII")]);
    let help = run(&["help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let mut pages = vec!["mqhook".to_owned()];
    pages.extend(commands.filter_map(|line| {
        let command = line.split_whitespace().next()?;
        (command != "help").then(|| format!("mqhook-{command}"))
    }));
    assert!(pages.len() > 8, "{help}");
    for page in pages {
        let path = folder.path().join(format!("{page}.1"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{page} has no page"));
        // What is broken is an error to mandoc, and what is only untidy is not.
        let said = ask("mandoc", &["-Werror", "-Tascii"], &text);
        assert!(
            said.is_none_or(|said| said.contains("NNAAMMEE") || said.contains("N\u{8}N")),
            "{page}"
        );
    }
    assert!(!Path::new(&folder.path().join("mqhook-man.1")).exists());
}
