//! The sidecar's harness, with a shell script in place of the binary and a receiver in place of its
//! admin interface.
//!
//! The script is a file of the repository and not written by the tests: a process that another test
//! forks meanwhile would hold it open, and the kernel does not execute a file open for writing.

use support::receiver::{Answer, Behaviour, Receiver};
use support::sidecar::Sidecar;

const STAND_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in.sh");

#[tokio::test]
async fn it_runs_with_its_configuration_and_environment() {
    let script = r#"echo "$1 $2 in $(basename "$3") with $NAME"; echo problem >&2; exit 64"#;
    let environment = [("NAME", "value")];
    let mut sidecar = Sidecar::start_with_environment(STAND_IN, script, "toml", &environment);
    assert_eq!(sidecar.wait().await.code(), Some(64));
    assert!(
        sidecar.log().contains("run -c in mqhook.toml with value\n"),
        "{}",
        sidecar.log()
    );
    assert!(sidecar.log().contains("problem\n"));
    sidecar.write_config("echo changed");
    sidecar.start_again();
    sidecar.wait_for_log("changed").await;
}

#[tokio::test]
async fn it_is_terminated_and_killed() {
    let script = "trap 'exit 3' TERM; touch spool; echo up; while :; do sleep 0.01; done";
    let mut sidecar = Sidecar::start(STAND_IN, script, "conf");
    sidecar.wait_for_log("up").await;
    assert!(
        sidecar.directory().join("spool").exists(),
        "it runs in its own directory"
    );
    sidecar.terminate();
    assert_eq!(sidecar.wait().await.code(), Some(3));
    sidecar.start_again();
    sidecar.kill();
    assert_eq!(sidecar.wait().await.code(), None);
}

#[tokio::test]
async fn readiness_and_metrics_are_asked_for() {
    let admin = Receiver::start();
    let metrics = "# HELP a b\nx_total{k=\"v\"} 3\nx_total 1.5 1700000000\n";
    admin.answer_in_turn([
        Behaviour::CloseBeforeAnswer,
        Behaviour::Status(503),
        Behaviour::Status(200),
        Behaviour::Answer(Answer::new(200).body(metrics)),
    ]);
    let mut sidecar = Sidecar::start(STAND_IN, "exec sleep 60", "toml");
    sidecar.wait_ready(admin.port()).await;
    assert_eq!(admin.requests().len(), 3);
    let series = |name: &'static str| sidecar.metric(admin.port(), name);
    assert!((series("x_total{k=\"v\"}").await - 3.0).abs() < f64::EPSILON);
    assert!((series("x_total").await - 1.5).abs() < f64::EPSILON);
    sidecar
        .wait_for_metric(admin.port(), "x_total", |value| value > 1.0)
        .await;
}

#[tokio::test]
#[should_panic(expected = "it ended with exit status: 7")]
async fn waiting_for_readiness_ends_with_the_process() {
    let mut sidecar = Sidecar::start(STAND_IN, "exit 7", "toml");
    sidecar.wait_ready(support::port::free_port()).await;
}
