//! The raw client speaks every version against a real Mosquitto, and the broker's log says so.

use std::time::Duration;

use support::certificates::Certificates;
use support::client::{Client, Connect, Property, Publish, Received, Version, Will};
use support::mosquitto::Mosquitto;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

async fn log_reader(broker: &Mosquitto) -> Client {
    let mut reader = Connect::new(Version::V311, "log-reader")
        .open(broker.port())
        .await;
    reader.subscribe("$SYS/broker/log/#", 0).await;
    reader
}

async fn log_line(reader: &mut Client, part: &str) -> Received {
    reader
        .next_where(|message| message.text().contains(part))
        .await
}

#[tokio::test]
async fn every_version_completes_every_quality_of_service() {
    let broker = Mosquitto::builder().start();
    for version in VERSIONS {
        let mut client = Connect::new(version, "round-trip")
            .open(broker.port())
            .await;
        assert_eq!(client.subscribe("t/#", 2).await, 2);
        for qos in 0..=2 {
            client
                .publish(&Publish::new("t/x", format!("{version:?} {qos}")).qos(qos))
                .await;
            let message = client.next().await;
            assert_eq!((message.topic.as_str(), message.qos), ("t/x", qos));
            assert_eq!(message.text(), format!("{version:?} {qos}"));
        }
        client.ping().await;
        assert_eq!(client.unsubscribe("t/#").await, 0);
        client.disconnect().await;
    }
}

#[tokio::test]
async fn log_topics_reach_a_subscriber() {
    let broker = Mosquitto::builder().log_topics().start();
    let mut reader = log_reader(&broker).await;
    let mut client = Connect::new(Version::V311, "c-1")
        .username("alice")
        .open(broker.port())
        .await;
    let address = client.local_addr();
    let line = log_line(&mut reader, "as c-1 ").await;
    assert_eq!(line.topic, "$SYS/broker/log/N");
    assert!(line.text().contains(&format!(
        "New client connected from {address} as c-1 (p2, c1, k60, u'alice')."
    )));
    client.subscribe("a/b", 1).await;
    assert_eq!(
        log_line(&mut reader, "c-1 1 a/b").await.topic,
        "$SYS/broker/log/M/subscribe"
    );
    client.unsubscribe("a/b").await;
    assert_eq!(
        log_line(&mut reader, "c-1 a/b").await.topic,
        "$SYS/broker/log/M/unsubscribe"
    );
}

#[tokio::test]
async fn every_way_to_leave_is_told_apart() {
    let broker = Mosquitto::builder().log_topics().start();
    let mut reader = log_reader(&broker).await;
    let connect = |id: &str| Connect::new(Version::V5, id);
    connect("clean")
        .open(broker.port())
        .await
        .disconnect()
        .await;
    log_line(&mut reader, "Client clean disconnected.").await;
    connect("fin").open(broker.port()).await.close().await;
    log_line(&mut reader, "Client fin closed its connection.").await;
    connect("rst").open(broker.port()).await.abort();
    log_line(&mut reader, "Client rst closed its connection.").await;
}

#[tokio::test]
async fn a_will_is_published_unless_the_client_disconnects() {
    let broker = Mosquitto::builder().start();
    let mut watcher = Connect::new(Version::V5, "watcher")
        .open(broker.port())
        .await;
    watcher.subscribe("will/#", 1).await;
    let connect = |id: &str| {
        let will = Will::new(&format!("will/{id}"), "gone")
            .qos(1)
            .property(Property::user("k", "v"));
        Connect::new(Version::V5, id).will(will)
    };
    connect("normal")
        .open(broker.port())
        .await
        .disconnect()
        .await;
    connect("reason-4")
        .open(broker.port())
        .await
        .disconnect_with(4)
        .await;
    let will = watcher.next().await;
    assert_eq!(
        (will.topic.as_str(), will.text(), will.qos),
        ("will/reason-4", "gone", 1)
    );
    assert_eq!(will.user_property("k"), ["v"]);
    connect("reset").open(broker.port()).await.abort();
    assert_eq!(watcher.next().await.topic, "will/reset");
}

#[tokio::test]
async fn properties_and_topic_aliases_travel() {
    let broker = Mosquitto::builder().start();
    let mut client = Connect::new(Version::V5, "props").open(broker.port()).await;
    client.subscribe("p", 1).await;
    client
        .publish(&Publish::new("p", "1").qos(1).topic_alias(1))
        .await;
    let aliased = Publish::new("", "2").qos(1).topic_alias(1);
    client
        .publish(
            &aliased
                .user_property("a", "1")
                .user_property("a", "2")
                .content_type("text/plain"),
        )
        .await;
    assert_eq!(client.next().await.text(), "1");
    let second = client.next().await;
    assert_eq!((second.topic.as_str(), second.text()), ("p", "2"));
    assert_eq!(second.user_property("a"), ["1", "2"]);
    assert!(
        second
            .properties
            .contains(&Property::content_type("text/plain")),
        "{second:?}"
    );
}

#[tokio::test]
async fn a_retained_message_and_a_session_wait_for_the_client() {
    let mut broker = Mosquitto::builder().persistent().start();
    let connect = Connect::new(Version::V5, "sleeper")
        .persistent()
        .property(Property::session_expiry(600));
    let mut client = connect.open(broker.port()).await;
    assert!(!client.connack().expect("accepted").session_present);
    client.subscribe("s", 1).await;
    client.disconnect().await;
    let mut publisher = Connect::new(Version::V311, "publisher")
        .open(broker.port())
        .await;
    publisher
        .publish(&Publish::new("s", "queued").qos(1).retain())
        .await;
    publisher.disconnect().await;
    broker.stop();
    broker.start_again();
    let mut client = connect.open(broker.port()).await;
    assert!(client.connack().expect("accepted").session_present);
    assert_eq!(client.next().await.text(), "queued");
    client.subscribe("s", 1).await;
    assert!(
        client.next().await.retain,
        "a new subscription gets the retained message"
    );
}

#[tokio::test]
async fn unacknowledged_messages_fill_the_receive_maximum() {
    let broker = Mosquitto::builder().start();
    let connect = Connect::new(Version::V5, "slow")
        .manual_acks()
        .property(Property::receive_maximum(2));
    let mut slow = connect.open(broker.port()).await;
    slow.subscribe("m", 1).await;
    let mut publisher = Connect::new(Version::V311, "publisher")
        .open(broker.port())
        .await;
    for number in 0..3 {
        publisher
            .publish(&Publish::new("m", number.to_string()).qos(1))
            .await;
    }
    let first = slow.next().await;
    assert_eq!(slow.next().await.text(), "1");
    slow.ping().await;
    assert_eq!(slow.next_within(Duration::ZERO).await, None);
    slow.acknowledge(&first).await;
    assert_eq!(slow.next().await.text(), "2");
}

#[tokio::test]
async fn passwords_and_access_lists_are_enforced() {
    let acl = "user alice\ntopic read open/#\ntopic write open/#\n";
    let broker = Mosquitto::builder()
        .password("alice", "secret")
        .acl(acl)
        .start();
    for (version, refused) in [(Version::V31, 5), (Version::V311, 5), (Version::V5, 0x87)] {
        let connect = Connect::new(version, "c").username("alice");
        let client = connect
            .clone()
            .password("wrong")
            .attempt(broker.port())
            .await;
        assert_eq!(client.connack().expect("a CONNACK").code, refused);
        connect.password("secret").open(broker.port()).await;
    }
    let alice = Connect::new(Version::V5, "c")
        .username("alice")
        .password("secret");
    let mut client = alice.open(broker.port()).await;
    assert_eq!(
        client.publish(&Publish::new("open/x", "").qos(1)).await,
        16,
        "no matching subscribers"
    );
    assert_eq!(
        client.publish(&Publish::new("closed/x", "").qos(1)).await,
        0x87,
        "not authorised"
    );
}

#[tokio::test]
async fn malformed_attempts_are_refused() {
    let broker = Mosquitto::builder().start();
    let connect = Connect::new(Version::V311, "odd");
    let client = connect
        .clone()
        .protocol_level(9)
        .attempt(broker.port())
        .await;
    assert_eq!(client.connack().map(|connack| connack.code), Some(1));
    let client = connect.protocol_name("XQTT").attempt(broker.port()).await;
    assert_eq!(client.connack(), None);
    let mut client = Client::raw(broker.port()).await;
    client.send(&[0x00, 0x00]).await;
    assert_eq!(client.next_packet().await, None);
}

#[tokio::test]
async fn a_client_sees_that_it_was_taken_over() {
    let broker = Mosquitto::builder().start();
    let connect = Connect::new(Version::V5, "twin");
    let mut first = connect.open(broker.port()).await;
    let mut second = connect.open(broker.port()).await;
    first.wait_closed().await;
    second.ping().await;
}

/// Mosquitto 2.0.11 closes without one, so the broker here is a few bytes long.
#[tokio::test]
async fn the_reason_of_a_brokers_disconnect_is_returned() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let broker = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        stream
            .write_all(&[0xE0, 1, 0x8E])
            .await
            .expect("a client that reads");
    };
    let (mut client, ()) = tokio::join!(Client::raw(port), broker);
    assert_eq!(client.wait_closed().await, Some(0x8E));
}

#[tokio::test]
async fn tls_connects_with_and_without_a_client_certificate() {
    let certificates = Certificates::new();
    let broker = Mosquitto::builder().tls(&certificates).start();
    let client = Connect::new(Version::V5, "tls");
    let mut open = client
        .open_tls(broker.tls_port(), certificates.client_config())
        .await;
    open.subscribe("t", 1).await;
    open.publish(&Publish::new("t", "over tls").qos(1)).await;
    assert_eq!(open.next().await.text(), "over tls");
    open.disconnect().await;
    let broker = Mosquitto::builder().mutual_tls(&certificates).start();
    client
        .open_tls(broker.tls_port(), certificates.mutual_client_config())
        .await;
}
