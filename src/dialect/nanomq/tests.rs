use bytes::Bytes;
use bytestring::ByteString;

use super::*;
use crate::event::{Detail, TopicName};

const STATUS: &str = "$SYS/brokers/client_status/";

fn decode(
    nanomq: &mut Nanomq,
    topic: &str,
    payload: impl Into<Vec<u8>>,
) -> Result<Vec<Happening>, Unreadable> {
    let topic = TopicName::try_from(ByteString::from(topic)).expect("a topic name");
    let heard = Heard {
        topic: &topic,
        payload: &Bytes::from(payload.into()),
        now: Timestamp::from_millis(0),
    };
    let mut told = Vec::new();
    nanomq.decode(&heard, &mut told).map(|()| told)
}

fn online(id: &str, username: &str, code: &str, clean: u8, ms: u64) -> String {
    format!(
        "{{\"status\":\"online\", \"username\":\"{username}\", \"ts\":{ms},\
         \"proto_name\":\"MQTT\",\"keepalive\":60,\"return_code\":\"{code}\",\"proto_ver\":4,\
         \"client_id\":\"{id}\",\"clean_start\":{clean}, \"IPv4\":\"10.0.0.1\"}}"
    )
}

fn offline(id: &str, username: &str, code: &str, ms: u64) -> String {
    format!(
        "{{\"status\":\"offline\", \"username\":\"{username}\",\"ts\":{ms},\
         \"reason_code\":\"{code}\",\"client_id\":\"{id}\",\"IPv4\":\"10.0.0.1\"}}"
    )
}

fn reason_of(told: &[Happening]) -> Reason {
    match told {
        [only] => match &only.detail {
            Detail::End(end) => end.reason,
            other => panic!("no end: {other:?}"),
        },
        other => panic!("not one: {other:?}"),
    }
}

const MS: u64 = 1_795_216_181_239;

#[test]
fn hostile_texts_stay_where_they_were() {
    let middle = ", \"ts\":1,\"proto_name\":\"MQTT\",\"keepalive\":1,\"return_code\":\"5\",\
                  \"proto_ver\":3,\"client_id\":\"";
    let hostile = [
        "x\", \"ts\":1",
        "a\\\"b",
        "a\\",
        "\"",
        &format!("x\"{middle}victim"),
        "with/slash",
        "x\",\"clean_start\":0, \"IPv4\":\"1.2.3.4\"}",
    ];
    for id in hostile {
        for username in hostile {
            let text = online(id, username, "0", 1, MS);
            let told = decode(&mut Nanomq::default(), &format!("{STATUS}{id}"), text);
            let told = told.expect("readable");
            assert_eq!(told.len(), 2, "{id} {username}");
            let client = &told[0].client;
            assert_eq!(client.id.as_deref(), Some(id));
            assert_eq!(client.username.as_deref(), Some(username), "{id}");
            assert_eq!(client.address.as_deref(), Some("10.0.0.1"), "{id}");
        }
    }
}

#[test]
fn a_user_name_that_names_its_own_identifier_stays_one() {
    let username =
        "x\",\"ts\":1,\"reason_code\":\"8d\",\"client_id\":\"dev\",\"IPv4\":\"9.9.9.9\"}";
    let text = offline("dev", username, "0", MS);
    let told = decode(&mut Nanomq::default(), &format!("{STATUS}dev"), text);
    let told = told.expect("readable");
    assert_eq!(told[0].client.username.as_deref(), Some(username));
    assert_eq!(told[0].client.address.as_deref(), Some("10.0.0.1"));
    assert_eq!(reason_of(&told), Reason::Normal);
}

#[test]
fn without_an_identifier_in_the_topic_the_first_middle_splits() {
    let id = "x\",\"ts\":1,\"reason_code\":\"0\",\"client_id\":\"victim";
    let text = offline(id, "bob", "8d", MS).replace("\"status\":\"offline\", ", "");
    let told = decode(&mut Nanomq::default(), "$SYS/brokers/disconnected", text);
    let told = told.expect("readable");
    assert_eq!(told[0].client.id.as_deref(), Some(id));
    assert_eq!(reason_of(&told), Reason::KeepaliveTimeout);
}

#[test]
fn a_cut_text_tells_what_is_left_of_it() {
    let whole = online("dev", "alice", "0", 1, MS);
    let start = "{\"status\":\"online\", \"username\":\"".len();
    for length in start..=whole.len() {
        let told = decode(
            &mut Nanomq::default(),
            &format!("{STATUS}dev"),
            &whole[..length],
        );
        let told = told.unwrap_or_else(|error| panic!("{}: {error}", &whole[..length]));
        assert_eq!(told[0].client.id.as_deref(), Some("dev"));
        let username = told[0].client.username.as_deref();
        assert!(matches!(username, None | Some("alice")), "{username:?}");
        let time = told[0].time.map(Timestamp::as_millis);
        assert!(matches!(time, None | Some(MS)), "{time:?}");
    }
    let mut nanomq = Nanomq::default();
    assert!(decode(&mut nanomq, &format!("{STATUS}dev"), &whole[..start - 1]).is_err());
    let text = &whole["{\"status\":\"online\", ".len()..100];
    assert!(decode(&mut nanomq, "$SYS/brokers/connected", format!("{{{text}")).is_err());
}

#[test]
fn a_cut_through_a_character_does_no_harm() {
    let mut text = online("dev", "ü", "0", 1, MS).into_bytes();
    text.truncate("{\"status\":\"online\", \"username\":\"".len() + 1);
    let told = decode(&mut Nanomq::default(), &format!("{STATUS}dev"), text);
    assert_eq!(told.expect("readable")[0].client.username, None);
}

#[test]
fn a_refusal_is_told_again_when_its_connection_ends() {
    let mut nanomq = Nanomq::default();
    let topic = format!("{STATUS}c");
    let told = decode(&mut nanomq, &topic, online("c", "u", "86", 1, MS));
    assert_eq!(told.expect("readable").len(), 1);
    let told = decode(&mut nanomq, &topic, offline("c", "u", "0", MS));
    assert_eq!(
        reason_of(&told.expect("readable")),
        Reason::BadUsernameOrPassword
    );
    let told = decode(&mut nanomq, &topic, offline("c", "u", "0", MS));
    assert_eq!(reason_of(&told.expect("readable")), Reason::Normal);
}

#[test]
fn a_second_online_takes_over_only_if_the_first_one_would_have_ended_by_itself() {
    let check = |clean, later, expected| {
        let mut nanomq = Nanomq::default();
        let topic = format!("{STATUS}c");
        let _ = decode(
            &mut nanomq,
            &topic,
            online("c", "u", "0", clean, MS - 60_000),
        );
        let _ = decode(&mut nanomq, &topic, online("c", "u", "0", 1, MS));
        let told = decode(&mut nanomq, &topic, offline("c", "u", "0", MS + later));
        assert_eq!(
            reason_of(&told.expect("readable")),
            expected,
            "{clean} {later}"
        );
    };
    check(1, 0, Reason::TakenOver);
    check(1, 5_001, Reason::Normal);
    check(0, 0, Reason::Normal);
}

#[test]
fn another_layout_is_read_as_json() {
    let text = r#"{"client_id":"c","status":"offline","ts":1795216181239,"reason_code":"8e"}"#;
    let told = decode(&mut Nanomq::default(), STATUS, text).expect("readable");
    assert_eq!(told[0].client.id.as_deref(), Some("c"));
    assert_eq!(reason_of(&told), Reason::TakenOver);
    for text in [
        "",
        "{}",
        "[]",
        "\0\0",
        r#"{"status":"asleep","client_id":"c"}"#,
    ] {
        assert!(
            decode(&mut Nanomq::default(), STATUS, text).is_err(),
            "{text}"
        );
    }
}

#[test]
fn impossible_times_are_not_told() {
    for ms in ["-498365439", "18446744073211186177", "0", "1795216181"] {
        let text = offline("c", "u", "0", MS).replace(&MS.to_string(), ms);
        let told = decode(&mut Nanomq::default(), &format!("{STATUS}c"), text);
        let told = told.expect("readable");
        assert_eq!(told[0].time, None, "{ms}");
        assert_eq!(told[0].client.username.as_deref(), Some("u"), "{ms}");
    }
}

#[test]
fn other_topics_tell_nothing() {
    for topic in [
        "$SYS/brokers/client_statu/c",
        "$SYS/brokers/connected/c",
        "a",
    ] {
        let told = decode(&mut Nanomq::default(), topic, online("c", "u", "0", 1, MS));
        assert_eq!(told, Ok(Vec::new()));
    }
}
