//! schemathesis against the running API: requests that the document allows, and ones that it does not.
//!
//! `MQHOOK_SCHEMATHESIS` names the program, and `MQHOOK_SCHEMATHESIS_SECONDS` for how long it runs; `./test` installs it.
//! Without it the test says so.

use std::io::Write as _;
use std::process::Command;

use super::{create, start};

/// What else is not told apart: which values of the right form a field refuses is said in the answer, not in the document, and a
/// method that a path does not have needs no token.
const UNCHECKED: &str = "positive_data_acceptance,ignored_auth";

/// A precondition is looked at before the content (RFC 9110, 13.2.1), so what is refused for both is refused for that.
const CONFIG: &str = r#"
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, "5xx"]
"#;

#[tokio::test]
async fn no_request_is_answered_otherwise_than_the_document_says() {
    let Some(program) = std::env::var_os("MQHOOK_SCHEMATHESIS") else {
        eprintln!("skipped: MQHOOK_SCHEMATHESIS names no program; ./test installs it");
        return;
    };
    let seconds = std::env::var("MQHOOK_SCHEMATHESIS_SECONDS");
    // The short run asks the same each time: what it finds is new because the API is.
    let seed: &[&str] = if seconds.is_ok() {
        &[]
    } else {
        &["--seed", "1"]
    };
    let seconds = seconds.unwrap_or_else(|_| "25".to_owned());
    let setup = start().await;
    let token = create(&setup.sidecar, "fuzz", &["--role", "admin"]);
    let url = format!("http://127.0.0.1:{}", setup.admin);
    let mut config = tempfile::NamedTempFile::with_suffix(".toml").expect("a place for files");
    config.write_all(CONFIG.as_bytes()).expect("it is ours");
    let command = move || {
        Command::new(program)
            .arg("--config-file")
            .arg(config.path())
            .args(["run", &format!("{url}/openapi.json"), "--url", &url])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args([
                "--max-time",
                &seconds,
                "--request-timeout",
                "20",
                // With two, some versions of Python fail within themselves (cpython#106905).
                "--workers",
                "1",
            ])
            .args(seed)
            .args([
                "--exclude-checks",
                UNCHECKED,
                "--no-color",
                "--warnings",
                "off",
            ])
            // A stream has no end.
            .args(["--exclude-path-regex", "/stream$"])
            .current_dir(std::env::temp_dir())
            .output()
    };
    let output = tokio::task::spawn_blocking(command)
        .await
        .expect("no panic");
    let output = output.expect("schemathesis runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let log = setup.sidecar.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
    assert_eq!(support::http::get(setup.admin, "/live").await.0, 200);
}
