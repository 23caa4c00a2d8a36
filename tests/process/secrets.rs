//! What never appears in a log, a metric, an answer of the admin interface, or a report.

use std::process::Command;

use support::mosquitto::Mosquitto;
use support::port::free_port;
use support::receiver::{Behaviour, Receiver};
use support::setup::complete;
use support::sidecar::Sidecar;

use super::{MQHOOK, WEBHOOK};

const PASSWORD: &str = "pa55-of-the-broker";
const HEADER: &str = "t0ken-of-the-header";
const QUERY: &str = "k3y-of-the-query";
const PAYLOAD: &str = "pay10ad-of-the-message";

fn config() -> String {
    let url = format!("{{receiver}}/hook?key={QUERY}");
    let webhook = WEBHOOK.replace("{receiver}", &url);
    format!(
        "broker.username = \"mqhook\"\nbroker.password = \"{PASSWORD}\"\n{webhook}headers = {{ authorization = \"Bearer {HEADER}\" }}\n"
    )
}

fn check(what: &str, text: &str) {
    for secret in [PASSWORD, HEADER, QUERY, PAYLOAD] {
        assert!(!text.contains(secret), "{what} has {secret:?}:\n{text}");
    }
}

/// Publishes a message to answers of every kind, and looks at everything that is said meanwhile.
#[tokio::test]
async fn secrets_and_payloads_appear_nowhere() {
    let broker = Mosquitto::builder().password("mqhook", PASSWORD).start();
    let receiver = Receiver::start();
    let admin = free_port();
    let config = complete(&config(), &broker.url(), &receiver.url(), admin);
    let debug = [("MQHOOK_LOG", "debug")];
    let mut sidecar = Sidecar::start_with_environment(MQHOOK, &config, "toml", &debug);
    sidecar.wait_ready(admin).await;
    receiver.answer_in_turn([
        Behaviour::Status(503),
        Behaviour::ResetBeforeAnswer,
        Behaviour::Garbage,
        Behaviour::Status(400),
    ]);
    let connect = support::client::Connect::new(support::client::Version::V5, "dev");
    let connect = connect.username("mqhook").password(PASSWORD);
    let mut client = connect.open(broker.port()).await;
    let message = support::client::Publish::new("t", PAYLOAD).qos(1);
    client.publish(&message).await;
    let requests = receiver.wait_for(4).await;
    assert!(requests[3].text().contains(PAYLOAD));
    assert_eq!(
        requests[3].header("authorization"),
        Some(format!("Bearer {HEADER}"))
    );
    let rejected = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";
    sidecar
        .wait_for_metric(admin, rejected, |rejected| rejected >= 1.0)
        .await;
    check("/metrics", &sidecar.metrics(admin).await);
    check("/ready", &support::http::get(admin, "/ready").await.1);
    sidecar.terminate();
    sidecar.wait().await;
    let log = sidecar.log();
    assert!(
        log.contains("DEBUG"),
        "expected a log at debug level:\n{log}"
    );
    check("the log", &log);
}

#[tokio::test]
async fn a_refused_password_is_not_said() {
    let broker = Mosquitto::builder().password("mqhook", "other").start();
    let config = complete(&config(), &broker.url(), "http://127.0.0.1:1", free_port());
    let debug = [("MQHOOK_LOG", "debug")];
    let sidecar = Sidecar::start_with_environment(MQHOOK, &config, "toml", &debug);
    sidecar.wait_for_log("refuses the connection").await;
    check("the log", &sidecar.log());
}

/// Runs `check` on a configuration in TOML and looks at what it reports.
fn check_report(config: &str) {
    check_report_on("mqhook.toml", config);
}

/// Returns the report, too.
fn check_report_on(name: &str, config: &str) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join(name);
    std::fs::write(&file, config).expect("write the configuration");
    let output = Command::new(MQHOOK)
        .arg("check")
        .arg("-c")
        .arg(&file)
        .output();
    let output = output.expect("the binary runs");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    check("the report", &report);
    check("the summary", &String::from_utf8_lossy(&output.stdout));
    report
}

#[test]
fn a_good_configuration_is_described_without_its_secrets() {
    check_report(&complete(
        &config(),
        "mqtt://127.0.0.1:1",
        "http://127.0.0.1:2",
        3,
    ));
}

#[test]
fn a_wrong_configuration_is_reported_without_its_secrets() {
    let good = complete(&config(), "mqtt://127.0.0.1:1", "http://127.0.0.1:2", 3);
    check_report(&good.replace("broker.username = \"mqhook\"\n", ""));
    check_report(&good.replace(HEADER, &format!("{HEADER}\\u0001")));
    check_report(&good.replace("authorization =", "\"no name\" ="));
    check_report(&good.replace("broker.password =", "broker.passwort ="));
}

#[test]
fn what_is_secret_in_a_wrong_url_is_not_reported() {
    let check_url = |url: &str, expected: &str| {
        let toml = format!("[webhooks.a]\nurl = {url}\nevents = []\n");
        let hocon = format!("webhooks.a {{ url = {url}, events = [] }}\n");
        for (name, config) in [("mqhook.toml", toml), ("mqhook.conf", hocon)] {
            let report = check_report_on(name, &config);
            assert!(report.contains(expected), "{expected:?} in\n{report}");
        }
    };
    check_url(&format!("\"http://user:{PASSWORD}@h/hook\""), "http://****");
    check_url(&format!("\"http://u:{PASSWORD}\\u0040h/\""), "user name");
    check_url(&format!("\"h/hook?key={QUERY}\""), "begin with http://");
    check_url(&format!("http://h/hook?key={QUERY}"), "http://h/hook?****");
    check_url(&format!("h/hook?key={QUERY}"), "h/hook?****");
    let broker = format!("broker.url = \"mqtt://u:{PASSWORD}@h\"\n");
    check_report_on("mqhook.toml", &broker);
    check_report_on("mqhook.conf", &broker);
    check_report_on("mqhook.conf", &broker.replace('"', ""));
}
