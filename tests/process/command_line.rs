//! Arguments and exit statuses.

use std::path::Path;
use std::process::{Command, Stdio};

use support::mosquitto::Mosquitto;
use support::port::free_port;
use support::receiver::Receiver;
use support::setup::complete;
use support::sidecar::Sidecar;

use super::{MQHOOK, WEBHOOK};

/// Runs a command that ends by itself and returns its exit status and everything it wrote.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(MQHOOK).args(arguments).output();
    let output = output.expect("the binary runs");
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

/// Runs a command and asserts its exit status and parts of what it wrote.
fn check(arguments: &[&str], status: i32, parts: &[&str]) {
    let (code, text) = run(arguments);
    assert_eq!(code, Some(status), "{arguments:?} wrote:\n{text}");
    for part in parts {
        assert!(
            text.contains(part),
            "{arguments:?}: expected {part:?} in\n{text}"
        );
    }
}

/// Writes a configuration and returns its path.
fn file(directory: &Path, name: &str, config: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, config).expect("write the configuration");
    path.display().to_string()
}

#[test]
fn help_has_examples_to_start_from() {
    let examples = [
        "Examples:",
        "mqhook run --broker mqtt://127.0.0.1:1883 --post http://",
        "mqhook run -c /etc/nanomq.conf",
        "mqhook check -c",
        "78 wrong configuration",
    ];
    check(&["--help"], 0, &examples);
    check(
        &["run", "--help"],
        0,
        &["--config", "--broker", "--post", "--topic", "--event"],
    );
    check(&["check", "--help"], 0, &["--config"]);
    check(
        &["--version"],
        0,
        &[concat!("mqhook ", env!("CARGO_PKG_VERSION"))],
    );
}

#[test]
fn a_wrong_command_line_is_status_2_and_named() {
    check(&[], 2, &["Usage", "run", "check"]);
    check(&["rum"], 2, &["rum", "run"]);
    check(&["run"], 2, &["--config"]);
    check(&["run", "--pst", "http://h/"], 2, &["--pst", "--post"]);
    let post = ["run", "--post", "http://h/"];
    let with = |more: &[&'static str]| [&post[..], more].concat();
    check(&with(&["-c", "x.toml"]), 2, &["cannot be used with"]);
    check(&with(&["--topic", "a/#/b"]), 2, &["a/#/b", "last"]);
    check(
        &with(&["--event", "connected"]),
        2,
        &["connected", "on_client_connected"],
    );
    check(
        &with(&["--broker", "http://h"]),
        2,
        &["http://h", "mqtt://"],
    );
    check(&["run", "--post", "nonsense"], 2, &["nonsense", "http://"]);
}

#[test]
fn a_wrong_configuration_is_status_78_with_every_problem() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = "shutdown_grce = \"1s\"
[broker]
url = \"127.0.0.1\"
[webhooks.a]
url = \"ftp://h/\"
pool_size = 0
events = [ { event = \"on_message_publsh\", topic = \"a/#/b\" } ]
";
    let file = file(directory.path(), "wrong.toml", config);
    let problems = [
        "wrong.toml:1:1",
        "shutdown_grace",
        "wrong.toml:3:7",
        "mqtt://",
        "wrong.toml:5:7",
        "http://",
        "wrong.toml:6:13",
        "pool_size",
        "wrong.toml:7:22",
        "on_message_publish",
        "wrong.toml:7:51",
        "6 errors",
    ];
    check(&["check", "-c", &file], 78, &problems);
    check(&["run", "-c", &file], 78, &problems);
}

#[test]
fn a_missing_or_cut_file_is_status_78() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let missing = directory.path().join("missing.toml").display().to_string();
    check(&["check", "-c", &missing], 78, &["missing.toml"]);
    check(&["run", "-c", &missing], 78, &["missing.toml"]);
    for (name, text) in [
        ("cut.toml", "[webhooks.a\n"),
        ("cut.conf", "webhook = {\n url = \"http"),
    ] {
        let file = file(directory.path(), name, text);
        check(&["check", "-c", &file], 78, &[name]);
    }
}

#[test]
fn a_good_configuration_is_status_0_and_described() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = complete(WEBHOOK, "mqtt://127.0.0.1:1", "http://127.0.0.1:2/hook", 3);
    let file = file(directory.path(), "good.toml", &config);
    let parts = [
        "mqtt://127.0.0.1:1",
        "http://127.0.0.1:2/hook",
        "on_message_publish",
    ];
    check(&["check", "-c", &file], 0, &parts);
}

#[test]
fn output_that_cannot_be_written_ends_in_no_panic() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = complete(WEBHOOK, "mqtt://127.0.0.1:1", "http://127.0.0.1:2/hook", 3);
    let good = file(directory.path(), "good.toml", &config);
    let bad = file(directory.path(), "bad.toml", "nonsense = 1\n");
    let full = || {
        let full = std::fs::File::options().write(true).open("/dev/full");
        full.expect("Linux has it")
    };
    let status = |path: &str, stdout: Stdio, stderr: Stdio| {
        let mut command = Command::new(MQHOOK);
        let command = command.args(["check", "-c", path]);
        let status = command.stdout(stdout).stderr(stderr).status();
        status.expect("the binary runs").code()
    };
    assert_eq!(status(&good, full().into(), full().into()), Some(1));
    assert_eq!(status(&bad, Stdio::null(), full().into()), Some(78));
    // Nobody reads, as behind `| true`.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    assert_eq!(status(&good, writer.into(), Stdio::null()), Some(0));
}

#[test]
fn a_taken_admin_port_is_status_1_and_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = complete(WEBHOOK, "mqtt://127.0.0.1:1", "http://127.0.0.1:2", port);
    let file = file(directory.path(), "taken.toml", &config);
    let address = format!("127.0.0.1:{port}");
    check(&["run", "-c", &file], 1, &[&address, "admin.listen"]);
}

#[test]
fn an_admin_api_for_everybody_is_status_78_as_no_restart_mends_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for spool in ["backend = \"memory\"", "dir = \"spool\""] {
        let config = format!(
            "admin.listen = \"0.0.0.0:{}\"\nwebhooks = {{}}\n[spool]\n{spool}\n",
            free_port()
        );
        let file = file(directory.path(), "open.toml", &config);
        check(&["run", "-c", &file], 78, &["token", "admin.listen"]);
    }
}

#[tokio::test]
async fn one_command_line_runs_without_a_file() {
    let (broker, receiver) = (Mosquitto::builder().log_topics().start(), Receiver::start());
    let (from, to) = (broker.url(), receiver.url() + "/hook");
    let arguments = [
        "run",
        "--broker",
        &from,
        "--post",
        &to,
        "--topic",
        "sensors/#",
    ];
    let events = ["--topic", "other", "--event", "on_client_connack"];
    let mut sidecar =
        Sidecar::start_with_arguments(MQHOOK, &[&arguments[..], &events[..]].concat());
    sidecar
        .wait_for_log("subscribed at the broker client_id=\"mqhook-")
        .await;
    sidecar
        .wait_for_log("INFO the broker tells of its clients")
        .await;
    let connect = support::client::Connect::new(support::client::Version::V311, "dev");
    let mut client = connect.open(broker.port()).await;
    let request = receiver.next().await;
    assert_eq!(request.target(), "/hook");
    assert!(
        request.text().contains("\"client_connack\""),
        "got {request:?}"
    );
    for topic in ["not/this", "sensors/1/t", "other"] {
        client
            .publish(&support::client::Publish::new(topic, "21.5").qos(1))
            .await;
    }
    let mut requests =
        [receiver.next().await, receiver.next().await].map(|request| request.text().to_owned());
    requests.sort_unstable_by_key(|text| text.contains("sensors"));
    for (text, topic) in requests.iter().zip(["other", "sensors/1/t"]) {
        assert!(
            text.contains(&format!("\"topic\":\"{topic}\"")),
            "got {requests:?}"
        );
    }
    sidecar.interrupt();
    assert_eq!(sidecar.wait().await.code(), Some(0));
}

#[tokio::test]
async fn the_log_can_be_json() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = complete(
        WEBHOOK,
        "mqtt://127.0.0.1:1",
        "http://127.0.0.1:2",
        free_port(),
    );
    let file = file(directory.path(), "mqhook.toml", &config);
    let arguments = ["run", "-c", &file, "--log-format", "json"];
    let sidecar = Sidecar::start_with_arguments(MQHOOK, &arguments);
    let line = sidecar.wait_for_log("\"level\":\"WARN\"").await;
    assert!(line.starts_with('{') && line.ends_with('}'), "got {line}");
    assert!(line.contains("\"client_id\":\"mqhook\""), "got {line}");
}
