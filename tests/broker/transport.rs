//! Ways to reach a broker.

use support::certificates::Certificates;
use support::mosquitto::Mosquitto;
use support::receiver::Receiver;
use support::setup::Setup;

use super::{CLIENTS, FAILURES, MESSAGES, MQHOOK, is_not_ready, launch, logged, passes, says};

/// Launches a sidecar at a URL with the keys of `broker.tls`.
fn launch_at(broker: Mosquitto, url: &str, tls: &[String]) -> Setup {
    let lines = tls.iter().flat_map(|key| ["broker.tls.", key, "\n"]);
    let tls: String = lines.collect();
    launch(broker, &format!("broker.url = \"{url}\"\n{tls}{MESSAGES}"))
}

async fn works(mut setup: Setup) {
    setup.wait_ready().await;
    passes(&setup, "hello").await;
}

fn key(name: &str, file: &std::path::Path) -> String {
    format!("{name} = \"{}\"", file.display())
}

#[tokio::test]
async fn mqtts_with_its_authority() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder().tls(&certificates).start();
    let url = format!("mqtts://localhost:{}", broker.tls_port());
    let ca = key("cacertfile", &certificates.ca());
    works(launch_at(broker, &url, &[ca])).await;
}

#[tokio::test]
async fn mqtts_with_a_client_certificate() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder().mutual_tls(&certificates).start();
    let url = format!("mqtts://127.0.0.1:{}", broker.tls_port());
    let tls = [
        key("cacertfile", &certificates.ca()),
        key("certfile", &certificates.client_certificate()),
        key("keyfile", &certificates.client_key()),
    ];
    works(launch_at(broker, &url, &tls)).await;
}

#[tokio::test]
async fn mqtts_without_verification() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder().tls(&certificates).start();
    let url = format!("mqtts://localhost:{}", broker.tls_port());
    works(launch_at(broker, &url, &["verify = false".to_owned()])).await;
}

#[tokio::test]
async fn mqtts_with_another_authority_is_refused() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let broker = Mosquitto::builder().tls(&certificates).start();
    let url = format!("mqtts://localhost:{}", broker.tls_port());
    let setup = launch_at(broker, &url, &[key("cacertfile", &others.ca())]);
    setup
        .sidecar
        .wait_for_log("no secure connection to the broker")
        .await;
    is_not_ready(
        &setup,
        &[
            "no secure connection to the broker",
            "broker.tls.cacertfile",
        ],
    )
    .await;
}

#[tokio::test]
async fn mqtt_at_a_listener_for_tls_is_said() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder().tls(&certificates).start();
    let url = format!("mqtt://127.0.0.1:{}", broker.tls_port());
    let setup = launch_at(broker, &url, &[]);
    let line = setup.sidecar.wait_for_log("WARN").await;
    says(&line, &["closed before the broker answered", "mqtts"]);
}

#[tokio::test]
async fn mqtts_at_a_plain_listener_is_said() {
    let broker = Mosquitto::builder().start();
    let url = broker.url().replace("mqtt:", "mqtts:");
    let setup = launch_at(broker, &url, &["verify = false".to_owned()]);
    setup.sidecar.wait_for_log("WARN").await;
    is_not_ready(&setup, &["messages: "]).await;
}

#[tokio::test]
async fn mqtts_at_an_ipv6_address() {
    let Ok(free) = std::net::TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: there is no IPv6 loopback address");
        return;
    };
    let port = free.local_addr().expect("the socket is bound").port();
    drop(free);
    let certificates = Certificates::new();
    let broker = Mosquitto::builder()
        .line(&format!("listener {port} ::1"))
        .line(&format!(
            "certfile {}",
            certificates.server_certificate().display()
        ))
        .line(&format!("keyfile {}", certificates.server_key().display()))
        .start();
    let ca = key("cacertfile", &certificates.ca());
    works(launch_at(broker, &format!("mqtts://[::1]:{port}"), &[ca])).await;
}

#[tokio::test]
async fn wss_with_its_authority() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder()
        .secure_websockets(&certificates)
        .start();
    let url = format!("wss://localhost:{}", broker.ws_port());
    let ca = key("cacertfile", &certificates.ca());
    works(launch_at(broker, &url, &[ca])).await;
}

#[tokio::test]
async fn wss_with_another_authority_is_refused() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let broker = Mosquitto::builder()
        .secure_websockets(&certificates)
        .start();
    let url = format!("wss://localhost:{}/?token=hidden", broker.ws_port());
    let setup = launch_at(broker, &url, &[key("cacertfile", &others.ca())]);
    let problem = [
        "no secure connection to the broker",
        "broker.tls.cacertfile",
    ];
    let line = setup.sidecar.wait_for_log(problem[0]).await;
    says(&line, &["WARN", problem[1]]);
    is_not_ready(&setup, &problem).await;
    logged(&setup, "trying MQTT", 0);
    logged(&setup, "hidden", 0);
}

#[tokio::test]
async fn a_port_that_is_not_for_websockets_is_said() {
    // A webhook receiver speaks HTTP, but opens no WebSocket.
    let receiver = Receiver::start();
    let url = receiver.url().replace("http:", "ws:");
    let config = format!("broker.url = \"{url}/x\"\n{MESSAGES}");
    let broker = Mosquitto::builder().start();
    let setup = Setup::launch(MQHOOK, broker, receiver, &config);
    let problem = [
        "the broker opens no WebSocket",
        "check the path in broker.url",
    ];
    let line = setup.sidecar.wait_for_log(problem[0]).await;
    says(&line, &["WARN", problem[1]]);
    setup
        .wait_for_metric(FAILURES, |failures| failures >= 2)
        .await;
    logged(&setup, "trying MQTT", 0);
}

#[tokio::test]
async fn websockets_carry_messages_and_clients() {
    let broker = Mosquitto::builder().websockets().log_topics().start();
    let url = format!("ws://127.0.0.1:{}", broker.ws_port());
    let config = format!("broker.url = \"{url}\"\n{CLIENTS}{MESSAGES}");
    let mut setup = launch(broker, &config);
    setup.wait_ready().await;
    setup.publish("t", "hello").await;
    let mut targets = [setup.receiver.next().await, setup.receiver.next().await]
        .map(|request| request.target().to_owned());
    targets.sort_unstable();
    assert_eq!(targets, ["/a", "/b"]);
}

#[tokio::test]
async fn a_unix_socket_works() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let socket = directory.path().join("mqtt.sock");
    let line = format!("listener 0 {}", socket.display());
    let broker = Mosquitto::builder().line(&line).start();
    let url = format!("unix://{}", socket.display());
    works(launch_at(broker, &url, &[])).await;
}
