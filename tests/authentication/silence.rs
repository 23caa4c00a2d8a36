//! No secret of `sign` or `auth` appears in a log, a metric, or a report.

use std::process::Command;

use support::mosquitto::Mosquitto;
use support::port::free_port;
use support::receiver::{Answer, Behaviour, Receiver};
use support::setup::complete;
use support::sidecar::Sidecar;

use super::{MQHOOK, WEBHOOK};

const SIGNING: &str = "5ecretOfTheSignature5ecretOfTheSignature";
const CLIENT: &str = "5ecret-of-the-client";
const TOKEN: &str = "t0ken-of-the-endpoint";
const QUERY: &str = "k3y-of-the-endpoint";

fn check(what: &str, text: &str) {
    for secret in [SIGNING, CLIENT, TOKEN, QUERY] {
        assert!(!text.contains(secret), "{what} has {secret:?}:\n{text}");
    }
}

fn config(endpoint: &str) -> String {
    format!(
        "{WEBHOOK}sign.secret = \"whsec_{SIGNING}\"\n[webhooks.a.auth]\ntype = \"oauth2\"\n\
         token_url = \"{endpoint}/token?key={QUERY}\"\nclient_id = \"c\"\nclient_secret = \"{CLIENT}\"\n"
    )
}

#[tokio::test]
async fn secrets_appear_nowhere_while_mqhook_runs() {
    let (broker, receiver, endpoint) = (
        Mosquitto::builder().start(),
        Receiver::start(),
        Receiver::start(),
    );
    let admin = free_port();
    let config = complete(
        &config(&endpoint.url()),
        &broker.url(),
        &receiver.url(),
        admin,
    );
    let debug = [("MQHOOK_LOG", "trace")];
    let mut sidecar = Sidecar::start_with_environment(MQHOOK, &config, "toml", &debug);
    sidecar.wait_ready(admin).await;
    // An endpoint that says the credentials back, and two tokens that are refused.
    let echo = format!("{{\"error\":\"{CLIENT}\",\"error_description\":\"{TOKEN}\"}}");
    let grant = format!("{{\"access_token\":\"{TOKEN}\"}}");
    endpoint.answer_in_turn([
        Behaviour::Answer(Answer::new(400).body(echo)),
        Behaviour::ResetBeforeAnswer,
        Behaviour::Answer(Answer::new(200).body(grant)),
    ]);
    receiver.set(Behaviour::Status(401));
    let connect = support::client::Connect::new(support::client::Version::V5, "dev");
    let mut client = connect.open(broker.port()).await;
    let message = support::client::Publish::new("t", "x").qos(1);
    client.publish(&message).await;
    let rejected = "mqhook_deliveries_total{webhook=\"a\",outcome=\"rejected\"}";
    sidecar
        .wait_for_metric(admin, rejected, |rejected| rejected >= 1.0)
        .await;
    check("/metrics", &sidecar.metrics(admin).await);
    check("/ready", &support::http::get(admin, "/ready").await.1);
    sidecar.terminate();
    sidecar.wait().await;
    let log = sidecar.log();
    assert!(log.contains("the token endpoint: it answered 400"), "{log}");
    check("the log", &log);
}

#[test]
fn reports_have_no_secret() {
    let report = |config: &str| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("mqhook.toml");
        std::fs::write(&file, config).expect("write the configuration");
        let output = Command::new(MQHOOK)
            .arg("check")
            .arg("-c")
            .arg(&file)
            .output();
        let output = output.expect("the binary runs");
        check("the report", &String::from_utf8_lossy(&output.stderr));
        check("the summary", &String::from_utf8_lossy(&output.stdout));
        output.status.success()
    };
    let good = complete(
        &config("http://127.0.0.1:1"),
        "mqtt://127.0.0.1:1",
        "http://127.0.0.1:2",
        3,
    );
    assert!(report(&good));
    assert!(!report(&good.replace("whsec_", "wh_")));
    assert!(!report(&good.replace("whsec_", "whsec_!")));
    assert!(!report(
        &good.replace("http://127.0.0.1:1/token", "127.0.0.1:1/token")
    ));
    assert!(!report(&good.replace("sign.secret", "sign.sekret")));
    assert!(!report(&good.replace("client_secret", "client_sekret")));
    assert!(!report(
        &good.replace("type = \"oauth2\"", "type = \"oauth\"")
    ));
    assert!(!report(&good.replace(CLIENT, &format!("{CLIENT}\\x"))));
}
