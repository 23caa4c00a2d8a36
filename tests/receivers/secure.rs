//! Receivers over TLS.

use support::certificates::Certificates;
use support::receiver::Receiver;
use support::setup::Setup;

use super::{WEBHOOK, attempts, start_with, wait_for_deliveries};

/// Starts with a webhook whose `tls` table has these keys, and publishes an event.
async fn post(receiver: Receiver, tls: &str) -> Setup {
    let config = format!("{WEBHOOK}[webhooks.a.tls]\n{tls}\n");
    let setup = start_with(receiver, &config).await;
    setup.publish("t", "x").await;
    setup
}

async fn delivered(receiver: Receiver, tls: &str) {
    let setup = post(receiver, tls).await;
    wait_for_deliveries(&setup, 1).await;
    assert!(
        setup.receiver.requests()[0]
            .text()
            .contains("\"payload\":\"x\"")
    );
}

/// Asserts that no request is made, and that metrics and log say why.
async fn refused(receiver: Receiver, tls: &str) {
    let setup = post(receiver, tls).await;
    setup
        .wait_for_metric(&attempts("tls"), |attempts| attempts >= 2)
        .await;
    setup.sidecar.wait_for_log("error=tls").await;
    assert_eq!(setup.receiver.counts().requests, 0);
}

fn trust(certificates: &Certificates) -> String {
    format!("cacertfile = \"{}\"", certificates.ca().display())
}

#[tokio::test]
async fn a_receiver_of_a_trusted_authority_is_posted_to() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.server_config());
    delivered(receiver, &trust(&certificates)).await;
}

#[tokio::test]
async fn a_receiver_of_another_authority_is_refused() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let receiver = Receiver::start_tls(certificates.server_config());
    refused(receiver, &trust(&others)).await;
}

#[tokio::test]
async fn the_systems_authorities_are_the_default() {
    let certificates = Certificates::new();
    refused(Receiver::start_tls(certificates.server_config()), "").await;
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.other_host_server_config());
    refused(receiver, &trust(&certificates)).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.expired_server_config());
    refused(receiver, &trust(&certificates)).await;
}

#[tokio::test]
async fn verification_can_be_turned_off() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.other_host_server_config());
    delivered(receiver, "verify = false").await;
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.mutual_server_config());
    let tls = format!(
        "{}\ncertfile = \"{}\"\nkeyfile = \"{}\"",
        trust(&certificates),
        certificates.client_certificate().display(),
        certificates.client_key().display()
    );
    delivered(receiver, &tls).await;
}

#[tokio::test]
async fn without_a_client_certificate_nothing_is_posted() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.mutual_server_config());
    let setup = post(receiver, &trust(&certificates)).await;
    setup
        .receiver
        .wait_for_counts(|counts| counts.failed_handshakes >= 2)
        .await;
    assert_eq!(setup.receiver.counts().requests, 0);
}

#[tokio::test]
async fn the_name_to_be_verified_can_be_another_than_the_urls() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.other_host_server_config());
    let tls = format!(
        "{}\nserver_name = \"elsewhere.invalid\"",
        trust(&certificates)
    );
    delivered(receiver, &tls).await;
}

#[tokio::test]
async fn a_receiver_without_that_name_is_refused() {
    let certificates = Certificates::new();
    let receiver = Receiver::start_tls(certificates.server_config());
    let tls = format!(
        "{}\nserver_name = \"elsewhere.invalid\"",
        trust(&certificates)
    );
    refused(receiver, &tls).await;
}

#[tokio::test]
async fn a_client_certificate_that_is_replaced_takes_effect() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let receiver = Receiver::start_tls(certificates.mutual_server_config());
    let files = tempfile::tempdir().expect("a temporary directory");
    let [cert, key] = ["cert", "key"].map(|name| files.path().join(name));
    let show = |from: &Certificates| {
        std::fs::copy(from.client_certificate(), &cert).expect("copy the certificate");
        std::fs::copy(from.client_key(), &key).expect("copy the key");
    };
    show(&others);
    let tls = format!(
        "{}\ncertfile = \"{}\"\nkeyfile = \"{}\"",
        trust(&certificates),
        cert.display(),
        key.display()
    );
    let setup = post(receiver, &tls).await;
    setup
        .receiver
        .wait_for_counts(|counts| counts.failed_handshakes >= 2)
        .await;
    show(&certificates);
    wait_for_deliveries(&setup, 1).await;
}
