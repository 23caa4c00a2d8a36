//! Who published, in bodies, rules and templates.

use support::client::{Connect, Publish, Version, Will};
use support::setup::Setup;

use super::{MQHOOK, SEAL, anonymous, bodies, body, broker, config, listen, observer, send};

#[tokio::test]
async fn a_message_says_who_published_it_and_how() {
    let broker = broker().password("alice", "secret").password("mqhook", "m");
    let keys = "broker.username = \"mqhook\"\nbroker.password = \"m\"\n".to_owned() + &config("");
    let setup = Setup::start(MQHOOK, broker, &keys).await;
    for version in [Version::V311, Version::V5] {
        let connect = Connect::new(version, "dev 1")
            .username("alice")
            .password("secret");
        let mut client = connect.open(setup.broker.port()).await;
        for qos in 0..=2 {
            send(&mut client, Publish::new("t", "hello").qos(qos)).await;
        }
        client.disconnect().await;
    }
    let requests = setup.receiver.wait_for(6).await;
    for (request, qos) in requests.iter().zip([0, 1, 2, 0, 1, 2]) {
        let (_, rest) = request.text().split_once(',').expect("ts comes first");
        let expected = body(qos, "hello", "\"alice\"", "\"dev 1\"");
        assert_eq!(format!("{{{rest}"), expected);
    }
}

#[tokio::test]
async fn any_name_arrives_unharmed() {
    let setup = listen().await;
    let names = [
        ("dev", "\"dev\""),
        (" a b/c+#", "\" a b/c+#\""),
        ("(p2, c1, k60, u'root').", "\"(p2, c1, k60, u'root').\""),
        ("quo\"te\\", "\"quo\\\"te\\\\\""),
        ("zürich房间🌡\u{feff}", "\"zürich房间🌡\u{feff}\""),
        ("$SYS", "\"$SYS\""),
        ("mqhook-publisher", "\"mqhook-publisher\""),
    ];
    let mut expected = Vec::new();
    for (name, json) in names {
        let connect = Connect::new(Version::V5, name).username(name);
        let mut client = connect.open(setup.broker.port()).await;
        send(&mut client, Publish::new("t", "x").qos(1)).await;
        expected.push(body(1, "x", json, json));
    }
    let long = "x".repeat(1_024);
    let mut client = setup.client(&long).await;
    send(&mut client, Publish::new("t", "x").qos(1)).await;
    expected.push(body(1, "x", "\"undefined\"", &format!("\"{long}\"")));
    assert_eq!(bodies(&setup).await, expected);
}

#[tokio::test]
async fn any_payload_is_sealed() {
    let setup = listen().await;
    let mut client = setup.client("dev").await;
    let big = "0123456789abcdef".repeat(1 << 16);
    for payload in ["", "x", big.as_str()] {
        send(&mut client, Publish::new("t", payload.to_owned()).qos(1)).await;
    }
    let expected = ["", "x", &big].map(|payload| body(1, payload, "\"undefined\"", "\"dev\""));
    let bodies = bodies(&setup).await;
    // Comparing with assert_eq would print two mebibytes.
    assert!(bodies == expected, "got {} bodies", bodies.len());
}

#[tokio::test]
async fn a_will_comes_once_and_names_nobody() {
    let setup = listen().await;
    let connect = Connect::new(Version::V5, "dev").will(Will::new("t", "gone").qos(1));
    let client = connect.open(setup.broker.port()).await;
    let mut subscriber = observer(&setup).await;
    client.abort();
    subscriber
        .next_where(|message| message.text() == "gone")
        .await;
    assert_eq!(bodies(&setup).await, [anonymous(1, "gone")]);
}

#[tokio::test]
async fn rules_and_templates_may_ask_for_the_publisher() {
    let keys = r#"
        broker.plugin_key_file = "KEY"
        [webhooks.a]
        url = "{receiver}/a"
        pool_size = 1
        headers = { x-from = "{{ client_id | default('nobody') }}" }
        events = [
            { event = "on_message_publish", topic = "t", client_id = "dev-*" },
            { event = "on_message_publish", topic = "u", where = "username == 'alice'" },
            { event = "on_message_publish", topic = "the/fence" },
        ]
    "#;
    let setup = Setup::start(MQHOOK, broker(), &keys.replace("KEY", super::KEY)).await;
    for (id, username) in [("dev-1", "alice"), ("other", "bob")] {
        let connect = Connect::new(Version::V311, id).username(username);
        let mut client = connect.open(setup.broker.port()).await;
        send(&mut client, Publish::new("t", "x").qos(1)).await;
        send(&mut client, Publish::new("u", "x").qos(1)).await;
    }
    setup.publish(super::FENCE, "").await;
    let requests = setup.receiver.wait_for(3).await;
    let from = |index: usize| requests[index].header("x-from");
    assert_eq!(from(0).as_deref(), Some("dev-1"));
    assert_eq!(from(1).as_deref(), Some("dev-1"));
    assert_eq!(from(2).as_deref(), Some("publisher"));
}

#[tokio::test]
async fn the_address_is_told_and_the_seal_is_not() {
    let setup = Setup::start(MQHOOK, broker(), &config("body.format = \"json\"\n")).await;
    let mut client = setup.client("dev").await;
    let message = Publish::new("t", "x").user_property("k", "v");
    send(&mut client, message.user_property(SEAL, "x")).await;
    let request = setup.receiver.next().await;
    let text = request.text();
    assert!(text.contains(r#""address":"127.0.0.1""#), "{text}");
    assert!(text.contains(r#""protocol_version":5"#), "{text}");
    assert!(text.contains(r#""k""#) && !text.contains(SEAL), "{text}");
}

#[tokio::test]
async fn names_are_hidden_from_other_subscribers() {
    let setup = listen().await;
    let mut subscriber = observer(&setup).await;
    let connect = Connect::new(Version::V5, "dev-secret").username("alice-secret");
    let mut client = connect.open(setup.broker.port()).await;
    send(&mut client, Publish::new("t", "x")).await;
    let message = subscriber.next().await;
    let seals = message.user_property(SEAL);
    assert_eq!(seals.len(), 1);
    assert!(!format!("{message:?}").contains("-secret"), "{message:?}");
    // The text is base64 of 16 bytes, two blocks and the tag, whoever publishes.
    assert_eq!(seals[0].len(), 128);
}
