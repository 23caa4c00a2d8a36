//! Subscriptions that are asked for, made and ended.

use support::client::{Connect, Version};
use support::mosquitto::Mosquitto;

use super::{check, listen, listen_at};

const SUBSCRIPTIONS: [&str; 4] = [
    "on_client_subscribe",
    "on_client_unsubscribe",
    "on_session_subscribed",
    "on_session_unsubscribed",
];

#[tokio::test]
async fn a_subscription_is_told_when_asked_for_and_when_made() {
    let setup = listen(&SUBSCRIPTIONS).await;
    let connect = Connect::new(Version::V5, "dev 1").username("alice");
    let mut client = connect.open(setup.broker.port()).await;
    client.subscribe("a/+/c d", 2).await;
    client.unsubscribe("a/+/c d").await;
    check(
        &setup,
        &[
            r#"{"action":"client_subscribe","clientid":"dev 1","username":"alice","topic":"a/+/c d","opts":{"qos":2}}"#,
            r#"{"action":"session_subscribed","clientid":"dev 1","username":"alice","topic":"a/+/c d","opts":{"qos":2}}"#,
            r#"{"action":"client_unsubscribe","clientid":"dev 1","username":"alice","topic":"a/+/c d","opts":{}}"#,
            r#"{"action":"session_unsubscribed","clientid":"dev 1","username":"alice","topic":"a/+/c d"}"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn every_filter_of_a_client_is_told() {
    let setup = listen(&["on_session_subscribed"]).await;
    let mut client = setup.client("dev").await;
    for (filter, qos) in [("#", 0), ("/", 1), ("$share/g/房间/+", 1), ("a b", 2)] {
        client.subscribe(filter, qos).await;
        let body = format!(
            r#"{{"action":"session_subscribed","clientid":"dev","username":null,"topic":"{filter}","opts":{{"qos":{qos}}}}}"#
        );
        assert_eq!(setup.receiver.next().await.text(), body);
    }
}

#[tokio::test]
async fn a_denied_subscription_never_takes_effect() {
    let broker = Mosquitto::builder().log_topics();
    let broker = broker.deny_subscription("forbidden/#");
    let setup = listen_at(broker, &SUBSCRIPTIONS).await;
    let mut client = setup.client("dev").await;
    let code = client.subscribe("forbidden/#", 1).await;
    assert!(code >= 0x80, "expected a refusal, got {code}");
    // Mosquitto 2.0 does not even say that it was asked for.
    check(&setup, &[]).await;
}
