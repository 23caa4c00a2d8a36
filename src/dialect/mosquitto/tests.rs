use super::*;
use crate::event::{Detail, TopicName};

/// When lines are heard.
const NOW_MS: u64 = 1_795_215_493_250;

fn decode(
    mosquitto: &mut Mosquitto,
    topic: &str,
    line: &str,
) -> Result<Vec<Happening>, Unreadable> {
    decode_at(mosquitto, NOW_MS, topic, line)
}

fn decode_at(
    mosquitto: &mut Mosquitto,
    now_ms: u64,
    topic: &str,
    line: &str,
) -> Result<Vec<Happening>, Unreadable> {
    let topic = format!("$SYS/broker/log/{topic}");
    let topic = TopicName::try_from(ByteString::from(topic)).expect("a topic name");
    let heard = Heard {
        topic: &topic,
        payload: &Bytes::from(line.to_owned()),
        now: Timestamp::from_millis(now_ms),
    };
    let mut told = Vec::new();
    mosquitto.decode(&heard, &mut told).map(|()| told)
}

/// Plays lines under `topic line`, and returns what the last one tells.
fn play(lines: &[&str]) -> Vec<Happening> {
    let mut mosquitto = Mosquitto::default();
    let mut last = Vec::new();
    for line in lines {
        let (topic, line) = line.split_once(' ').expect("a topic and a line");
        last = decode(&mut mosquitto, topic, line).expect("readable");
    }
    last
}

fn id_of(told: &[Happening]) -> Option<&str> {
    told.first()?.client.id.as_deref()
}

#[test]
fn a_takeover_of_2_0_is_told_once() {
    let connect = "N New client connected from 1.1.1.1:1 as c (p2, c1, k60, u'old').";
    let replaced = "E Client c already connected, closing old connection.";
    let told = play(&[connect, replaced]);
    assert_eq!(told[0].client.username.as_deref(), Some("old"));
    assert_eq!(told[0].client.address.as_deref(), Some("1.1.1.1:1"));
    assert_eq!(told.len(), 1);

    let late = "N Client c closed its connection.";
    assert_eq!(play(&[connect, replaced, late]), []);
    assert_eq!(play(&[connect, replaced, connect, late]).len(), 1);
}

#[test]
fn a_return_to_a_session_is_no_takeover() {
    let connect = "N New client connected from 1.1.1.1:1 as c (p4, c0, k60).";
    let end = "N Client c [1.1.1.1:1] disconnected: connection closed by client.";
    let taken = "N Client c [1.1.1.1:1] disconnected: session taken over.";
    assert_eq!(play(&[connect, taken]).len(), 1);
    assert_eq!(play(&[connect, end, taken]), []);
    assert_eq!(
        play(&["N Client c [(null):0] disconnected: session taken over."]),
        []
    );
}

#[test]
fn a_refusal_does_not_disconnect_the_client_of_that_name() {
    let connect = "N New client connected from 1.1.1.1:1 as c (p4, c1, k60, u'alice').";
    let refused = "N Client c [2.2.2.2:2] disconnected: not authorised.";
    let told = play(&[connect, refused]);
    assert_eq!(told[0].kind, Kind::ClientConnack);
    assert_eq!(told[0].client.username, None);
    let told = play(&[connect, refused, "N Client c [1.1.1.1:1] disconnected."]);
    assert_eq!(told[0].client.username.as_deref(), Some("alice"));
    let told = play(&[
        connect,
        "N Client c [1.1.1.1:1] disconnected: not authorised.",
    ]);
    assert_eq!(told[0].kind, Kind::ClientDisconnected);
}

#[test]
fn a_client_may_be_called_unknown() {
    let connect = "N New client connected from 1.1.1.1:1 as <unknown> (p2, c1, k60).";
    let end = "N Client <unknown> closed its connection.";
    assert_eq!(play(&[end]), []);
    assert_eq!(id_of(&play(&[connect, end])), Some("<unknown>"));
}

#[test]
fn a_client_called_unknown_swallows_no_refusal() {
    let connect = "N New client connected from 1.1.1.1:1 as <unknown> (p2, c1, k60).";
    let refused = "N Client <unknown> disconnected, not authorised.";
    let end = "N Client <unknown> closed its connection.";
    for lines in [
        &[connect, refused] as &[_],
        &[connect, refused, refused],
        &[connect, ATTEMPT, refused],
    ] {
        let told = play(lines);
        assert_eq!(told[0].kind, Kind::ClientConnack, "{lines:?}");
    }
    assert_eq!(id_of(&play(&[connect, ATTEMPT, refused])), Some("c"));
    assert_eq!(play(&[connect, ATTEMPT, end]), []);
    assert_eq!(id_of(&play(&[connect, refused, end])), Some("<unknown>"));
}

#[test]
fn an_identifier_like_an_address_of_2_1_is_told_apart_by_its_connect_line() {
    let connect = "N New client connected from 1.1.1.1:1 as c [2.2.2.2:2] (p2, c1, k60).";
    let end = "N Client c [2.2.2.2:2] disconnected.";
    assert_eq!(id_of(&play(&[end])), Some("c"));
    assert_eq!(id_of(&play(&[connect, end])), Some("c [2.2.2.2:2]"));
    let victim = "N New client connected from 3.3.3.3:3 as c (p2, c1, k60).";
    assert_eq!(id_of(&play(&[victim, connect, end])), Some("c [2.2.2.2:2]"));
}

#[test]
fn subscriptions_are_split_behind_the_longest_known_identifier() {
    let connect =
        |id: &str| format!("N New client connected from 1.1.1.1:1 as {id} (p2, c1, k60).");
    let check = |known: &[&str], line: &str, id: &str, filter: &str| {
        let known: Vec<String> = known.iter().map(|id| connect(id)).collect();
        let mut lines: Vec<&str> = known.iter().map(String::as_str).collect();
        lines.push(line);
        let told = play(&lines);
        assert_eq!(told.len(), 2, "{line}");
        assert_eq!(id_of(&told), Some(id), "{line}");
        let Detail::Subscription(subscription) = &told[0].detail else {
            panic!("no subscription: {line}");
        };
        assert_eq!(subscription.topic_filter, filter, "{line}");
    };
    check(&[], "M/subscribe dev 1 a/b", "dev", "a/b");
    check(&[], "M/subscribe dev 1 1 a/b", "dev", "1 a/b");
    check(&["dev 1"], "M/subscribe dev 1 1 a/b", "dev 1", "a/b");
    check(&["dev 1", "dev"], "M/subscribe dev 1 1 a/b", "dev 1", "a/b");
    check(&["dev"], "M/subscribe dev 1 1 a/b", "dev", "1 a/b");
    check(&["dev 1"], "M/unsubscribe dev 1 a/b", "dev 1", "a/b");
    check(&[], "M/unsubscribe dev 1 a/b", "dev", "1 a/b");
}

#[test]
fn subscription_lines_that_cannot_be_split_are_said() {
    let mut mosquitto = Mosquitto::default();
    for line in ["", "dev", "dev a/b", "dev 1 ", " 1 a/b", "dev 999 a/b"] {
        assert!(
            decode(&mut mosquitto, "M/subscribe", line).is_err(),
            "{line}"
        );
    }
    let cut = format!("dev 1 {}", "a".repeat(1_000));
    assert!(decode(&mut mosquitto, "M/subscribe", &cut).is_err());
    assert!(decode(&mut mosquitto, "M/unsubscribe", "dev ").is_err());
}

#[test]
fn denied_subscriptions_take_no_effect() {
    let told = play(&["M/subscribe dev 128 a/b"]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, Kind::ClientSubscribe);
}

#[test]
fn an_unreadable_line_changes_nothing() {
    let mut mosquitto = Mosquitto::default();
    let connect = "1795215493: New client connected from 1.1.1.1:1 as c (p2, c1, k60).";
    decode(&mut mosquitto, "N", connect).expect("readable");
    assert!(decode(&mut mosquitto, "N", "Client c disconnected").is_err());
    let told = decode(&mut mosquitto, "M/subscribe", "1795215493: c 0 a").expect("readable");
    assert_eq!(told[0].client.address.as_deref(), Some("1.1.1.1:1"));
}

#[test]
fn lines_that_waited_have_their_own_time() {
    let told = play(&["N 1795215400: New client connected from 1.1.1.1:1 as c (p2, c1, k60)."]);
    assert_eq!(
        told[0].time,
        Some(Timestamp::from_millis(1_795_215_400_000))
    );
}

const ATTEMPT: &str = r#"I 1795215493: mqhook: connect {"client_id":"c","username":"u","address":"1.1.1.1","protocol_version":4,"keep_alive":60,"clean_start":true}"#;

#[test]
fn who_was_refused_is_who_asked_last() {
    let told = play(&[ATTEMPT]);
    assert_eq!(told[0].kind, Kind::ClientConnect);
    assert_eq!(id_of(&told), Some("c"));

    let refused_2_0 = "N Client <unknown> disconnected, not authorised.";
    let told = play(&[ATTEMPT, refused_2_0]);
    assert_eq!(id_of(&told), Some("c"));
    assert_eq!(told[0].client.username.as_deref(), Some("u"));
    let Detail::Connection(connection) = &told[0].detail else {
        panic!("expected a connection, got {told:?}");
    };
    assert_eq!(connection.keep_alive, Some(60));
    assert_eq!(connection.refused, Some(Reason::NotAuthorized));

    let refused_2_1 = "N Client c [1.1.1.1:7] disconnected: not authorised.";
    let told = play(&[ATTEMPT, refused_2_1]);
    assert_eq!(told[0].client.username.as_deref(), Some("u"));
    assert_eq!(told[0].client.address.as_deref(), Some("1.1.1.1:7"));
}

#[test]
fn nobody_is_named_by_an_attempt_of_another() {
    let refused = "N Client <unknown> disconnected, not authorised.";
    let accepted = "N New client connected from 1.1.1.1:1 as c (p2, c1, k60, u'u').";
    assert_eq!(id_of(&play(&[ATTEMPT, accepted, refused])), None);
    assert_eq!(id_of(&play(&[ATTEMPT, refused, refused])), None);
    let other = "N Client d [1.1.1.1:7] disconnected: not authorised.";
    assert_eq!(play(&[ATTEMPT, other])[0].client.username, None);
    let between = "I New connection from 1.1.1.1:9 on port 1883.";
    assert_eq!(id_of(&play(&[ATTEMPT, between, refused])), None);
    // A client that has such a name writes no such line.
    let named = "N New client connected from 1.1.1.1:1 as mqhook: connect {} (p2, c1, k60).";
    assert_eq!(id_of(&play(&[named])), Some("mqhook: connect {}"));
}

#[test]
fn an_attempt_that_cannot_be_read_is_said_and_names_nobody() {
    let refused = "Client <unknown> disconnected, not authorised.";
    for line in [&ATTEMPT[2..100], "mqhook: connect ", "mqhook: connect []"] {
        let mut mosquitto = Mosquitto::default();
        decode(&mut mosquitto, "I", &ATTEMPT[2..]).expect("readable");
        assert!(decode(&mut mosquitto, "I", line).is_err(), "{line}");
        let told = decode(&mut mosquitto, "N", refused).expect("readable");
        assert_eq!(id_of(&told), None, "{line}");
    }
}

#[test]
fn an_attempt_is_soon_forgotten() {
    let check = |later_ms, expected| {
        let mut mosquitto = Mosquitto::default();
        decode(&mut mosquitto, "I", &ATTEMPT[2..]).expect("readable");
        let refused = "Client <unknown> disconnected, not authorised.";
        let told = decode_at(&mut mosquitto, NOW_MS + later_ms, "N", refused).expect("readable");
        assert_eq!(id_of(&told), expected, "after {later_ms} ms");
    };
    check(2_000, Some("c"));
    check(2_001, None);
}
