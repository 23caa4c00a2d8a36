use super::*;
use crate::event::{Detail, TopicName};

fn decode(
    dialect: &mut impl Dialect,
    topic: &'static str,
    payload: &'static str,
) -> Result<Vec<Happening>, Unreadable> {
    let topic = TopicName::try_from(ByteString::from_static(topic)).expect("a topic name");
    let heard = Heard {
        topic: &topic,
        payload: &Bytes::from_static(payload.as_bytes()),
        now: Timestamp::from_millis(1),
    };
    let mut told = Vec::new();
    dialect.decode(&heard, &mut told).map(|()| told)
}

#[test]
fn topics_say_what_their_messages_are_about() {
    let check = |topic, expected| assert_eq!(act(topic), expected, "{topic}");
    check("$SYS/brokers/n/clients/a/connected", Some(Act::Connected));
    check(
        "$SYS/brokers/n/clients/a/b/connected/disconnected",
        Some(Act::Disconnected),
    );
    check(
        "$SYS/brokers/n/gateway/stomp/clients/a/subscribed",
        Some(Act::Subscribed),
    );
    check("$SYS/brokers/n/session/a/terminated", Some(Act::Terminated));
    check("$SYS/brokers/n/session/a/created", None);
    check("$SYS/brokers/n/session/a/connected", None);
    check("$SYS/brokers/n/clients/a/terminated", None);
    check("$SYS/brokers/n/clients/connected", None);
    check("$SYS/brokers/n/gateway/clients/connected", None);
    check("$SYS/brokers/n/stats/clients/connected", None);
    check("$SYS/brokers", None);
}

#[test]
fn the_identifier_is_the_one_of_the_json() {
    let told = decode(
        &mut Emqx,
        "$SYS/brokers/n/clients/a/b/connected",
        r#"{"clientid":"a/b","username":"undefined","proto_ver":5}"#,
    );
    let told = told.expect("readable");
    assert_eq!(told[1].client.id.as_deref(), Some("a/b"));
    assert_eq!(told[1].client.username, None);
}

#[test]
fn an_odd_value_costs_only_its_key() {
    let told = decode(
        &mut Emqx,
        "$SYS/brokers/n/clients/a/connected",
        r#"{"clientid":"a","username":null,"proto_ver":"x","keepalive":-1,"connected_at":"now"}"#,
    );
    let told = told.expect("readable");
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].detail, Detail::Connection(Connection::default()));
}

#[test]
fn a_connack_that_refuses_is_a_refusal() {
    let told = decode(
        &mut Emqx,
        "$SYS/brokers/n/clients/a/connected",
        r#"{"clientid":"a","connack":5}"#,
    );
    let told = told.expect("readable");
    assert_eq!(told.len(), 1);
    let refused = Some(Reason::NotAuthorized);
    let connection = Connection {
        refused,
        ..Connection::default()
    };
    assert_eq!(told[0].detail, Detail::Connection(connection));
}

#[test]
fn what_cannot_be_read_is_said() {
    let topic = "$SYS/brokers/n/clients/a/subscribed";
    for payload in ["", "[]", "{}", r#"{"clientid":""}"#, r#"{"clientid":"a"}"#] {
        assert!(decode(&mut Emqx, topic, payload).is_err(), "{payload}");
        assert!(
            decode(&mut Rmqtt::default(), topic, payload).is_err(),
            "{payload}"
        );
    }
}

#[test]
fn a_numeric_node_gives_rmqtt_away() {
    let check = |payload: &'static str, expected| {
        assert_eq!(which(&Bytes::from_static(payload.as_bytes())), expected);
    };
    check(r#"{"node":0,"clientid":"a"}"#, Name::Rmqtt);
    check(r#"{"node":"emqx@127.0.0.1"}"#, Name::Emqx);
    check(r#"{"clientid":"a"}"#, Name::Emqx);
    check("nonsense", Name::Emqx);
}
