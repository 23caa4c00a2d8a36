//! `mqhook status` and `mqhook tail`, on the mqhook that runs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::setup::Setup;
use support::wait;
use tokio::sync::mpsc;

use crate::{MQHOOK, start};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a command wrote, and how it ended.
#[derive(Debug)]
struct Said {
    status: Option<i32>,
    out: String,
    err: String,
}

fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = Command::new(MQHOOK);
    command.args(arguments).arg("--api");
    command.arg(format!("http://127.0.0.1:{}", setup.admin));
    command.env_remove("MQHOOK_TOKEN").env_remove("MQHOOK_API");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn say(setup: &Setup, arguments: &[&str]) -> Said {
    ended(&mut command(setup, arguments)).await
}

async fn ended(command: &mut Command) -> Said {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let child = child.expect("it runs");
    let output = tokio::task::spawn_blocking(|| child.wait_with_output());
    let output = tokio::time::timeout(PATIENCE, output)
        .await
        .expect("it ends");
    let output = output.expect("no panic").expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Said {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A command that goes on, and the lines that it writes.
struct Tail {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tail {
    fn start(setup: &Setup, arguments: &[&str]) -> Self {
        let arguments = [&["tail"], arguments].concat();
        let mut child = command(setup, &arguments).spawn().expect("it runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (line, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|text| line.send(text))
        });
        Self { child, lines }
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        let line = line.expect("something comes").expect("it goes on");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"))
    }

    /// Returns the next line, while something is published again and again: nobody knows when the command has
    /// begun to listen.
    async fn first(&mut self, setup: &Setup, topic: &str) -> Value {
        let publishing = async {
            loop {
                setup.publish(topic, "{\"x\": 2}").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            line = self.next() => line,
            () = publishing => unreachable!("it never ends"),
        }
    }
}

#[tokio::test]
async fn status_says_that_all_is_well() {
    let setup = start().await;
    let said = say(&setup, &["status"]).await;
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{said:?}");
    for part in [
        "is ready",
        "mqtt://127.0.0.1",
        "messages: subscribed",
        "2 webhooks: 2 enabled",
        "WEBHOOK",
        "b.C-d_9",
    ] {
        assert!(said.out.contains(part), "expected {part}: {}", said.out);
    }
    assert!(!said.out.contains("Next:"), "{}", said.out);
    let said = say(&setup, &["status", "--json"]).await;
    let object: Value = serde_json::from_str(&said.out).expect("it is one object");
    assert_eq!(object["ready"], true);
    assert_eq!(object["status"]["webhooks"]["total"], 2);
    assert_eq!(object["webhooks"][0]["name"], "a");
    assert_eq!(object["next"], serde_json::json!([]));
}

#[tokio::test]
async fn status_says_what_is_wrong_and_what_to_do() {
    let mut setup = start().await;
    setup.broker.stop();
    let said = wait::until(PATIENCE, "status is 1", async || {
        let said = say(&setup, &["status"]).await;
        (said.status == Some(1)).then_some(said)
    })
    .await;
    for part in ["is NOT READY", "Next:", "look at the broker"] {
        assert!(said.out.contains(part), "expected {part}: {}", said.out);
    }
    setup.sidecar.kill();
    let said = say(&setup, &["status"]).await;
    assert_eq!((said.status, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(
        said.err
            .contains("is it running, and is `admin.listen` set?"),
        "{said:?}"
    );
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
}

#[tokio::test]
async fn whoever_answers_instead_of_mqhook_is_named() {
    let setup = start().await;
    let url = setup.receiver.url();
    let said = ended(Command::new(MQHOOK).args(["status", "--api", &url])).await;
    assert_eq!(said.status, Some(1), "{said:?}");
    assert!(said.err.contains("it is not mqhook's"), "{said:?}");
}

#[tokio::test]
async fn tail_shows_events_as_they_come_and_only_those_asked_for() {
    let setup = start().await;
    let mut tail = Tail::start(
        &setup,
        &[
            "--kind",
            "on_message_publish",
            "--topic",
            "b/#",
            "--payload",
        ],
    );
    let event = tail.first(&setup, "b/first").await;
    assert_eq!(
        (&event["topic"], &event["kind"]),
        (&"b/first".into(), &"on_message_publish".into())
    );
    assert_eq!(
        event["webhooks"],
        serde_json::json!(["a", "b.C-d_9"]),
        "{event}"
    );
    assert!(
        event["payload"]
            .as_str()
            .is_some_and(|payload| payload.contains("\"x\"")),
        "{event}"
    );
    setup.publish("c/other", "{\"x\": 2}").await;
    setup.publish("b/last", "{\"x\": 2}").await;
    let topics = async {
        loop {
            let event = tail.next().await;
            assert_ne!(event["topic"], "c/other");
            if event["topic"] == "b/last" {
                break;
            }
        }
    };
    topics.await;
}

#[tokio::test]
async fn tail_shows_attempts() {
    let setup = start().await;
    let mut tail = Tail::start(&setup, &["--attempts", "--webhook", "a", "--topic", "t/#"]);
    let attempt = tail.first(&setup, "t/1").await;
    assert_eq!(
        (&attempt["webhook"], &attempt["outcome"]),
        (&"a".into(), &"delivered".into()),
        "{attempt}"
    );
    assert_eq!(
        (&attempt["topic"], &attempt["status"]),
        (&"t/1".into(), &200.into()),
        "{attempt}"
    );
}

#[tokio::test]
async fn tail_comes_back_when_mqhook_does() {
    let mut setup = start().await;
    let mut tail = Tail::start(&setup, &[]);
    tail.first(&setup, "b/1").await;
    setup.sidecar.kill();
    setup.sidecar.start_again();
    setup.wait_ready().await;
    loop {
        if tail.first(&setup, "b/again").await["topic"] == "b/again" {
            break;
        }
    }
    let mut errors = tail.child.stderr.take().expect("a pipe");
    drop(tail);
    let mut said = String::new();
    errors.read_to_string(&mut said).expect("it can be read");
    assert!(
        said.contains("trying again") && said.contains("mqhook is back"),
        "{said}"
    );
}

#[tokio::test]
async fn tail_ends_when_nobody_reads_even_if_nothing_happens() {
    let setup = start().await;
    let mut child = command(&setup, &["tail", "--topic", "never"])
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let ended = tokio::task::spawn_blocking(move || child.wait());
    let status = tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("it ends");
    let status = status.expect("no panic").expect("it ran");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn tokens_come_from_a_file_or_the_environment_and_are_not_shown() {
    let setup = start().await;
    let made = setup
        .sidecar
        .command(&["tokens", "create", "watcher", "--role", "viewer"]);
    let text = String::from_utf8_lossy(&made.stdout).into_owned();
    let token = text
        .split_whitespace()
        .find(|word| word.starts_with("mqh_"));
    let token = token.unwrap_or_else(|| panic!("a token: {made:?}"));
    let said = wait::until(PATIENCE, "a token is asked for", async || {
        let said = say(&setup, &["status"]).await;
        (said.status == Some(1)).then_some(said)
    })
    .await;
    assert!(
        said.err.contains("MQHOOK_TOKEN") && said.err.contains("tokens create"),
        "{said:?}"
    );
    let said = ended(command(&setup, &["status"]).env("MQHOOK_TOKEN", token)).await;
    assert_eq!(said.status, Some(0), "{said:?}");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("token");
    let path = path.to_str().expect("its name is ASCII");
    std::fs::write(path, format!("{token}\n")).expect("it can be written");
    let said = say(&setup, &["status", "--token-file", path]).await;
    assert_eq!(said.status, Some(0), "{said:?}");
    std::fs::write(path, "two words").expect("it can be written");
    let said = say(&setup, &["status", "--token-file", path]).await;
    assert_eq!(said.status, Some(1));
    assert!(
        !said.err.contains("words") && said.err.contains("use the token"),
        "{said:?}"
    );
    let wrong = "mqh_wrongwrongwrong";
    let said = ended(command(&setup, &["status"]).env("MQHOOK_TOKEN", wrong)).await;
    assert_eq!(said.status, Some(1));
    assert!(!said.err.contains(wrong), "{said:?}");
}
