//! Connections and sessions that end.

use support::client::{Connect, Property, Version};

use super::{check, listen};

/// Lets a client connect as `alice` and end, and asserts how that is told.
async fn ends(version: Version, end: impl AsyncFnOnce(support::client::Client), reason: &str) {
    let setup = listen(&["on_client_disconnected"]).await;
    let connect = Connect::new(version, "dev").username("alice");
    end(connect.open(setup.broker.port()).await).await;
    let body = format!(
        r#"{{"reason":"{reason}","username":"alice","clientid":"dev","action":"client_disconnected"}}"#
    );
    check(&setup, &[&body]).await;
}

#[tokio::test]
async fn a_disconnect_is_normal() {
    ends(
        Version::V311,
        async |client| client.disconnect().await,
        "normal",
    )
    .await;
    ends(
        Version::V5,
        async |client| client.disconnect_with(4).await,
        "normal",
    )
    .await;
}

#[tokio::test]
async fn a_fin_without_disconnect_is_connection_closed() {
    ends(
        Version::V311,
        async |client| client.close().await,
        "connection_closed",
    )
    .await;
}

#[tokio::test]
async fn a_reset_is_connection_closed() {
    let setup = listen(&["on_client_disconnected"]).await;
    let connect = Connect::new(Version::V5, "dev").username("alice");
    connect.open(setup.broker.port()).await.abort();
    let body = r#"{"reason":"connection_closed","username":"alice","clientid":"dev","action":"client_disconnected"}"#;
    assert_eq!(setup.receiver.next().await.text(), body);
}

#[tokio::test]
async fn a_silent_client_is_keepalive_timeout() {
    let setup = listen(&["on_client_disconnected"]).await;
    let connect = Connect::new(Version::V311, "dev").username("alice");
    let mut client = connect.keep_alive(1).open(setup.broker.port()).await;
    client.wait_closed().await;
    let body = r#"{"reason":"keepalive_timeout","username":"alice","clientid":"dev","action":"client_disconnected"}"#;
    check(&setup, &[body]).await;
}

#[tokio::test]
async fn a_takeover_ends_the_old_connection_once() {
    let setup = listen(&["on_client_disconnected"]).await;
    for version in [Version::V311, Version::V5] {
        let connect = |name: &str| Connect::new(version, "dev").username(name);
        let mut old = connect("old").open(setup.broker.port()).await;
        let new = connect("new").open(setup.broker.port()).await;
        old.wait_closed().await;
        new.disconnect().await;
    }
    let old = r#"{"reason":"taken_over","username":"old","clientid":"dev","action":"client_disconnected"}"#;
    let new =
        r#"{"reason":"normal","username":"new","clientid":"dev","action":"client_disconnected"}"#;
    check(&setup, &[old, new, old, new]).await;
}

#[tokio::test]
async fn persistent_sessions_disconnect_like_others() {
    let setup = listen(&["on_client_disconnected"]).await;
    let connect = Connect::new(Version::V311, "dev").persistent();
    connect.open(setup.broker.port()).await.disconnect().await;
    let again = connect.username("alice").open(setup.broker.port()).await;
    again.disconnect().await;
    let first = r#"{"reason":"normal","username":"undefined","clientid":"dev","action":"client_disconnected"}"#;
    let second =
        r#"{"reason":"normal","username":"alice","clientid":"dev","action":"client_disconnected"}"#;
    check(&setup, &[first, second]).await;
}

#[tokio::test]
async fn a_session_that_expires_is_terminated() {
    let setup = listen(&["on_session_terminated"]).await;
    let connect = Connect::new(Version::V5, "dev").username("alice");
    let connect = connect.persistent().property(Property::session_expiry(1));
    connect.open(setup.broker.port()).await.disconnect().await;
    let body = r#"{"action":"session_terminated","clientid":"dev","username":"alice","reason":"session_expired"}"#;
    assert_eq!(setup.receiver.next().await.text(), body);
    assert_eq!(setup.receiver.requests().len(), 1);
}
