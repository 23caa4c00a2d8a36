//! The policy for addresses, as a running mqhook keeps to it.

use std::process::Command;

use support::receiver::Receiver;

use super::{fails, post, wait_for_deliveries, webhook};

/// The receiver's URL under a name that is looked up.
fn by_name(receiver: &Receiver) -> String {
    format!("http://localhost:{}/", receiver.port())
}

#[tokio::test]
async fn loopback_may_be_posted_to_by_default() {
    let receiver = Receiver::start();
    let config = webhook(&by_name(&receiver), "");
    wait_for_deliveries(&post(receiver, &config, &[]).await, 1).await;
}

#[tokio::test]
async fn a_name_whose_addresses_are_denied_is_not_connected_to() {
    let receiver = Receiver::start();
    let config = "network.deny = [\"127.0.0.0/8\", \"::1\"]\n".to_owned()
        + &webhook(&by_name(&receiver), "");
    let setup = post(receiver, &config, &[]).await;
    fails(
        &setup,
        "address",
        "127.0.0.1 of localhost is in `network.deny`",
    )
    .await;
    assert_eq!(setup.receiver.counts().connections, 0);
}

#[tokio::test]
async fn a_name_that_is_denied_is_not_connected_to_whatever_else_is_allowed() {
    let receiver = Receiver::start();
    let keys = "network = { allow = [\"10.0.0.0/8\"], deny = [\"local*\"] }";
    let config = webhook(&by_name(&receiver), keys);
    let setup = post(receiver, &config, &[]).await;
    let said = "of localhost is in `network.deny`";
    fails(&setup, "address", said).await;
    assert_eq!(setup.receiver.counts().connections, 0);
}

#[tokio::test]
async fn what_a_webhook_allows_counts_before_what_all_deny() {
    let receiver = Receiver::start();
    let keys = "network.allow = [\"127.0.0.0/8\"]";
    let config = "network.deny = [\"0.0.0.0/0\", \"::/0\"]\n".to_owned()
        + &webhook(&by_name(&receiver), keys);
    wait_for_deliveries(&post(receiver, &config, &[]).await, 1).await;
}

/// `0.0.0.0` connects to this host.
#[tokio::test]
async fn what_denies_loopback_denies_what_reaches_it() {
    let check = |keys: &str, url: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let file = folder.path().join("mqhook.toml");
        std::fs::write(&file, webhook(url, keys)).expect("write the configuration");
        let output = Command::new(super::MQHOOK)
            .arg("check")
            .arg("-c")
            .arg(&file)
            .output();
        let output = output.expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{url}");
        assert!(said.contains(expected), "{said}");
    };
    let deny = "network.deny = [\"127.0.0.0/8\", \"::1\"]";
    for host in ["0.0.0.0", "0", "[::]", "[::ffff:0.0.0.0]"] {
        let url = format!("http://{host}:8080/");
        check(deny, &url, "is in `network.deny`");
    }
    check(
        "network.deny = [\"localhost\"]",
        "http://LocalHost.:1/",
        "is in `network.deny`",
    );
    let cloud = "is where a cloud tells machines their secrets";
    check("", "http://[fd00:ec2::23]/", cloud);
    let proxy = "proxy = \"http://127.0.0.1:3128\"\nnetwork.allow = [\"*\", \"10.0.0.0/8\"]";
    check(proxy, "http://metadata.google.internal./", cloud);
}

/// Who names the address means it.
#[tokio::test]
async fn the_unspecified_address_may_be_posted_to_if_it_is_allowed() {
    let receiver = Receiver::start();
    let url = format!("http://0.0.0.0:{}/", receiver.port());
    let keys = "network = { allow = [\"0.0.0.0\"], deny = [\"127.0.0.0/8\"] }";
    wait_for_deliveries(&post(receiver, &webhook(&url, keys), &[]).await, 1).await;
}
