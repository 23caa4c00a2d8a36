//! `mqhook webhooks`, as far as it asks the mqhook that runs.

use std::io::Write as _;
use std::process::{Command, Stdio};

use support::setup::Setup;

use super::{FILE, MQHOOK, start, token, wait_for};

/// Runs `mqhook webhooks` on the API, and returns status, output and errors.
fn run(setup: &Setup, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(MQHOOK);
    command.arg("webhooks").args(arguments).arg("--api");
    command.arg(format!("http://127.0.0.1:{}", setup.admin));
    command.env_remove("MQHOOK_TOKEN").env_remove("MQHOOK_API");
    command.current_dir(setup.sidecar.directory());
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Who does not read it has closed it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn a_webhook_is_made_shown_changed_tested_and_deleted() {
    let setup = start(FILE).await;
    let url = setup.receiver.url();
    let file = setup.sidecar.directory().join("mine.toml");
    let text = format!(
        "url = \"{url}/mine\"\ngroup = \"plant\"\nbody.format = \"json\"\nheaders = {{ x-api-key = \"sesame\" }}\n"
    );
    std::fs::write(&file, text).expect("writable");
    let (status, out, err) = run(&setup, &["create", "mine", "mine.toml"], "");
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(out, "webhook mine takes events as mine.toml says\n");
    setup.publish("plant/1", "one").await;
    wait_for(&setup, "/mine", "one").await;

    let (status, shown, err) = run(&setup, &["show", "mine"], "");
    assert_eq!(status, Some(0), "{err}");
    assert!(shown.contains("origin                 api\n"), "{shown}");
    assert!(!shown.contains("sesame"), "{shown}");
    let (_, definition, _) = run(&setup, &["show", "mine", "--definition"], "");
    let moved = definition.replace("/mine", "/moved");
    let (status, _, err) = run(&setup, &["update", "mine", "-"], &moved);
    assert_eq!(status, Some(0), "{err}");
    setup.publish("plant/1", "two").await;
    let requests = wait_for(&setup, "/moved", "two").await;
    let request = requests.iter().find(|it| it.target() == "/moved");
    let secret = request.and_then(|it| it.header("x-api-key"));
    assert_eq!(secret.as_deref(), Some("sesame"));

    let (status, tried, err) = run(&setup, &["test", "mine"], "");
    assert_eq!(status, Some(0), "{err}");
    assert!(tried.contains("outcome     delivered\n"), "{tried}");
    let (status, out, err) = run(&setup, &["delete", "mine"], "");
    assert_eq!(
        (status, out.as_str()),
        (Some(0), "webhook mine is deleted\n"),
        "{err}"
    );
    let (status, _, err) = run(&setup, &["test", "mine", "--json"], "");
    assert_eq!(status, Some(1));
    assert!(err.contains("there is no such webhook"), "{err}");
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_shown_at_its_place() {
    let setup = start(FILE).await;
    let wrong = "url = \"http://h/\"\ngroup = \"office\"\npool_size = \"many\"\n";
    let file = setup.sidecar.directory().join("wrong.toml");
    std::fs::write(&file, wrong).expect("writable");
    let (status, out, err) = run(&setup, &["create", "wrong", "wrong.toml"], "");
    assert_eq!((status, out.as_str()), (Some(78), ""), "{err}");
    for part in ["wrong.toml:2:1", "unknown group `office`", "wrong.toml:3:1"] {
        assert!(err.contains(part), "expected {part:?} in {err}");
    }
    let (status, _, err) = run(&setup, &["create", "torn", "-"], "{\"url\": ");
    assert_eq!(status, Some(78), "{err}");
    let (status, _, err) = run(&setup, &["create", "none", "nowhere.toml"], "");
    assert_eq!(status, Some(78), "{err}");
    assert!(err.contains("no such file"), "{err}");
    // Of the file, and so not changed here.
    let good = "{\"url\": \"http://127.0.0.1:1/\", \"group\": \"plant\"}";
    let (status, _, err) = run(&setup, &["update", "of_file", "-"], good);
    assert_eq!(status, Some(1));
    assert!(err.contains("`webhooks.of_file`"), "{err}");
}

#[tokio::test]
async fn it_is_done_for_those_only_who_may() {
    let setup = start(FILE).await;
    let text = token(&setup, &["watcher", "--role", "viewer"]);
    let file = setup.sidecar.directory().join("token");
    std::fs::write(&file, text).expect("writable");
    let with_token = ["--token-file", "token"];
    let (status, ..) = run(
        &setup,
        &[&["show", "of_file"][..], &with_token].concat(),
        "",
    );
    assert_eq!(status, Some(0));
    let good = "{\"url\": \"http://127.0.0.1:1/\", \"group\": \"plant\"}";
    for arguments in [
        &["create", "a", "-"][..],
        &["test", "of_file"],
        &["delete", "of_file"],
    ] {
        let (status, _, err) = run(&setup, &[arguments, &with_token].concat(), good);
        assert_eq!(status, Some(1), "{arguments:?}: {err}");
        let (status, _, err) = run(&setup, arguments, good);
        assert!(err.contains("--token-file"), "{err}");
        assert_eq!(status, Some(1));
    }
}
