//! The policy for addresses, as a running mqhook keeps to it.

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
async fn what_a_webhook_allows_counts_before_what_all_deny() {
    let receiver = Receiver::start();
    let keys = "network.allow = [\"127.0.0.0/8\"]";
    let config = "network.deny = [\"0.0.0.0/0\", \"::/0\"]\n".to_owned()
        + &webhook(&by_name(&receiver), keys);
    wait_for_deliveries(&post(receiver, &config, &[]).await, 1).await;
}
