//! Client identifiers that look like something else.

use support::client::{Connect, Version};

use super::{check, listen};

#[tokio::test]
async fn odd_client_identifiers_arrive_unharmed() {
    let setup = listen(&["on_client_connack", "on_client_disconnected"]).await;
    let identifiers = [
        "two words",
        " lead and trail ",
        "\"quoted\" 'both' ways",
        "back\\slash",
        "a/b/c",
        "传感器-1",
        "🌡",
        "{\"clientid\":\"x\"}",
        "dev (p2, c1, k60).",
        "dev disconnected.",
        "<unknown>",
        "<script>",
        "a,b;c|d&e%20",
        "mqhook2",
        "mqhook-",
    ];
    let mut expected = Vec::new();
    for identifier in identifiers {
        let connect = Connect::new(Version::V311, identifier).username("alice");
        connect.open(setup.broker.port()).await.disconnect().await;
        let json = identifier.replace('\\', "\\\\").replace('"', "\\\"");
        expected.push(format!(
            r#"{{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"alice","clientid":"{json}","action":"client_connack"}}"#
        ));
        expected.push(format!(
            r#"{{"reason":"normal","username":"alice","clientid":"{json}","action":"client_disconnected"}}"#
        ));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(&setup, &expected).await;
}

#[tokio::test]
async fn a_broker_made_identifier_is_told() {
    let setup = listen(&["on_client_connack"]).await;
    let _client = setup.client("").await;
    let body = setup.receiver.next().await;
    let named = body.text().contains(r#""clientid":"auto-"#);
    assert!(named, "expected the broker's identifier, got {body:?}");
}

#[tokio::test]
async fn a_long_identifier_arrives_whole() {
    let setup = listen(&["on_client_connack"]).await;
    let identifier = "i".repeat(800);
    let _client = setup.client(&identifier).await;
    let body = format!(
        r#"{{"proto_ver":5,"keepalive":60,"conn_ack":"success","username":"undefined","clientid":"{identifier}","action":"client_connack"}}"#
    );
    assert_eq!(setup.receiver.next().await.text(), body);
}
