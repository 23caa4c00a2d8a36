//! Which spool is meant, and what is said where there is none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mqhook::spool::store::Store;

use super::MQHOOK;

/// Every command, with what it needs besides a place.
const COMMANDS: [&[&str]; 8] = [
    &["dead-letters", "list"],
    &["dead-letters", "show", "1"],
    &["dead-letters", "replay", "--all"],
    &["dead-letters", "drop", "1"],
    &["spool", "status"],
    &["webhooks", "list"],
    &["webhooks", "enable", "a"],
    &["webhooks", "disable", "a"],
];

fn run(dir: &Path, arguments: &[&str]) -> Output {
    let command = Command::new(MQHOOK)
        .args(arguments)
        .current_dir(dir)
        .env_remove("STATE_DIRECTORY")
        .output();
    command.expect("the binary runs")
}

/// Asserts the exit status and parts of everything that was written.
fn check(output: &Output, status: i32, parts: &[&str]) {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}");
    for part in parts {
        assert!(text.contains(part), "expected {part:?} in\n{text}");
    }
}

/// Returns a directory with a configuration whose spool is in `state`.
fn directory(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("mqhook.toml"), config).expect("write the configuration");
    dir
}

const CONFIG: &str = "spool.dir = \"state\"
[webhooks.a]
url = \"http://127.0.0.1:1/\"
events = [{ event = \"on_message_publish\" }]
";

#[test]
fn a_missing_spool_is_status_1_and_nothing_is_made() {
    let dir = directory(CONFIG);
    for command in COMMANDS {
        let parts = [
            "error: cannot find a spool in ./mqhook-spool",
            "hint: ",
            "--dir",
        ];
        check(&run(dir.path(), command), 1, &parts);
        let elsewhere = [command, &["--dir", "else/where"]].concat();
        check(
            &run(dir.path(), &elsewhere),
            1,
            &["cannot find a spool in else/where"],
        );
        let configured = [command, &["-c", "mqhook.toml"]].concat();
        check(
            &run(dir.path(), &configured),
            1,
            &["cannot find a spool in", "state"],
        );
    }
    let left = fs::read_dir(dir.path())
        .expect("a readable directory")
        .count();
    assert_eq!(left, 1, "only the configuration is there");
}

#[test]
fn the_spool_is_found_by_directory_by_configuration_and_by_default() {
    let dir = directory(CONFIG);
    for (place, arguments) in [
        ("state", &["-c", "mqhook.toml"][..]),
        ("else/where", &["--dir", "else/where"]),
        ("mqhook-spool", &[]),
    ] {
        let opened = Store::open(&dir.path().join(place)).expect("a writable directory");
        let mut store = opened.store;
        store.register(place).expect("a writable store");
        drop(store);
        let output = run(dir.path(), &[&["webhooks", "list"], arguments].concat());
        check(&output, 0, &[place]);
        let output = run(dir.path(), &[&["spool", "status"], arguments].concat());
        check(&output, 0, &["not running", place]);
    }
    let given = Command::new(MQHOOK)
        .args(["webhooks", "list"])
        .current_dir("/")
        .env("STATE_DIRECTORY", dir.path().join("state"))
        .output();
    check(&given.expect("the binary runs"), 0, &["state"]);
}

#[test]
fn what_is_no_spool_is_status_1_and_left_alone() {
    let dir = directory(CONFIG);
    let database = dir.path().join("mqhook-spool/spool.db");
    fs::create_dir(dir.path().join("mqhook-spool")).expect("a writable directory");
    let strange = "This is a letter to my aunt, and no database. ".repeat(100);
    fs::write(&database, &strange).expect("a writable directory");
    check(
        &run(dir.path(), COMMANDS[0]),
        1,
        &["error: cannot ", "mqhook-spool"],
    );
    assert_eq!(fs::read_to_string(&database).expect("it is there"), strange);
    let file = [COMMANDS[0], &["--dir", "mqhook.toml"]].concat();
    check(
        &run(dir.path(), &file),
        1,
        &["error: cannot ", "mqhook.toml"],
    );
}

#[test]
fn a_configuration_without_a_spool_on_disk_is_told() {
    let dir = directory(&CONFIG.replace("spool.dir = \"state\"", "spool.backend = \"memory\""));
    let output = run(dir.path(), &["spool", "status", "-c", "mqhook.toml"]);
    check(
        &output,
        1,
        &["error: cannot look into the spool of mqhook.toml", "memory"],
    );
    let dir = directory(&CONFIG.replace("spool.dir", "spool.dri"));
    let output = run(dir.path(), &["spool", "status", "-c", "mqhook.toml"]);
    check(&output, 78, &["spool.dri", "1 error"]);
}

#[test]
fn a_wrong_command_line_is_status_2() {
    let dir = directory(CONFIG);
    let check = |arguments: &[&str], parts: &[&str]| {
        check(&run(dir.path(), arguments), 2, parts);
    };
    for verb in ["replay", "drop"] {
        check(&["dead-letters", verb], &["required", "--all", "--webhook"]);
        check(
            &["dead-letters", verb, "1", "--all"],
            &["cannot be used with"],
        );
        check(
            &["dead-letters", verb, "--all", "--webhook", "a"],
            &["cannot be used with"],
        );
        check(
            &["dead-letters", verb, "1", "--since", "1h"],
            &["cannot be used with"],
        );
        check(&["dead-letters", verb, "one"], &["'one'", "ID"]);
    }
    let list = |more: &[&'static str]| [&["dead-letters", "list"], more].concat();
    check(
        &list(&["--since", "yesterday"]),
        &["yesterday", "2026-11-21T09:30:00Z", "2h"],
    );
    check(&list(&["--event", "abc"]), &["abc", "22 characters"]);
    check(&list(&["--dir", "a", "-c", "b"]), &["cannot be used with"]);
    check(&["dead-letters", "show"], &["<ID>"]);
    check(&["spool"], &["status"]);
    check(&["webhooks"], &["list", "enable", "disable"]);
}

#[test]
fn help_names_every_key_of_json() {
    let dir = directory(CONFIG);
    let help = |command: &[&str], parts: &[&str]| {
        check(&run(dir.path(), &[command, &["--help"]].concat()), 0, parts);
    };
    help(&[], &["dead-letters", "spool", "webhooks"]);
    let letter = ["event_id", "payload_bytes", "first_failed", "exhausted"];
    help(&["dead-letters", "list"], &letter);
    help(
        &["dead-letters", "show"],
        &["payload_encoding", "about_webhook"],
    );
    help(&["spool", "status"], &["dead_letter_bytes", "used_bytes"]);
    help(
        &["webhooks", "list"],
        &["failing_since", "disabled_due_to_errors"],
    );
}
