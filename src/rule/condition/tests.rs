mod hostile;

use bytestring::ByteString;

use super::*;
use crate::event::{Client, Connection, Detail, Happening, Message, Notice, Reason, TopicName};

fn message(payload: &[u8]) -> Happening {
    Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(Message {
            topic: TopicName::try_from(ByteString::from_static("plant/7/temp")).expect("a name"),
            payload: payload.to_vec().into(),
            qos: 1,
            retain: true,
            protocol_version: None,
            properties: None,
        }),
    }
}

fn compile(text: &str, kind: Kind) -> Condition {
    Condition::compile(text, kind).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn ask(text: &str, happening: &Happening) -> Result<bool, Failure> {
    compile(text, happening.kind).holds(&Subject::new(happening))
}

/// Asserts what conditions say of a message with this payload.
fn check(payload: &[u8], answers: &[(&str, Result<bool, Failure>)]) {
    let message = message(payload);
    for (text, expected) in answers {
        let payload = String::from_utf8_lossy(payload);
        let payload: String = payload.chars().take(80).collect();
        assert_eq!(ask(text, &message), *expected, "{text} of {payload}");
    }
}

const YES: Result<bool, Failure> = Ok(true);
const NO: Result<bool, Failure> = Ok(false);

#[test]
fn a_condition_sees_all_of_a_message() {
    check(
        br#"{"temp":31.5,"n":3,"unit":"C","ok":true,"none":null,"list":[1,2,{"a":"b"}],"a":{"b":{"c":1}}}"#,
        &[
            ("payload.temp > 30.0 && topic.startsWith(\"plant/\")", YES),
            ("payload.temp > 30", YES),
            ("payload.n == 3 && payload.n == 3.0 && payload.n + 1.0 == 4.0", YES),
            ("int(payload.n) % 2 == 1", YES),
            ("payload.unit in ['C', 'F']", YES),
            ("payload.ok && payload.none == null", YES),
            ("payload.a.b.c == 1 && payload['a'].b['c'] == 1", YES),
            ("payload.list.size() == 3 && payload.list[1] == 2", YES),
            ("payload.list[2].a.endsWith('b')", YES),
            ("payload.list[payload.n - 1.0].a == 'b'", YES),
            ("2 in payload.list && !(4 in payload.list)", YES),
            ("payload.list.exists(x, x == 2)", YES),
            ("payload.list.filter(x, x == 1).size() == 1", YES),
            ("has(payload.temp) && !has(payload.hum)", YES),
            ("has(payload.a.b) && !has(payload.a.x)", YES),
            ("'temp' in payload", YES),
            ("kind == 'on_message_publish' && qos == 1 && retain", YES),
            ("topic_levels[1] == '7' && topic_levels.size() == 3", YES),
            ("payload_size > 90 && payload_text.contains('\"unit\":\"C\"')", YES),
            ("client_id == null && username == null && address == null", YES),
            ("payload.hum > 1.0 ? true : false", Err(Failure::Missing)),
        ],
    );
}

#[test]
fn what_cannot_be_evaluated_is_false_and_says_why() {
    check(
        br#"{"temp":"hot","list":[],"big":9007199254740993}"#,
        &[
            ("payload.missing > 1", Err(Failure::Missing)),
            ("payload.a.b == 1", Err(Failure::Missing)),
            ("payload.list[0] == 1", Err(Failure::Missing)),
            ("payload.temp > 30", Err(Failure::Type)),
            ("payload.temp && true", Err(Failure::Type)),
            ("client_id.startsWith('a')", Err(Failure::Type)),
            ("payload.temp", Err(Failure::NotBoolean)),
            ("topic", Err(Failure::NotBoolean)),
            ("1 / (qos - 1) == 1", Err(Failure::Value)),
            ("int(payload.temp) == 1", Err(Failure::Value)),
            ("9223372036854775807 + qos == 1", Err(Failure::Value)),
            // What the failure would decide is decided by the other side.
            ("payload.missing > 1 || retain", YES),
            ("retain || payload.missing > 1", YES),
            ("payload.missing > 1 && !retain", NO),
            // A number that is not exact as a double is an integer.
            (
                "payload.big == 9007199254740993 && payload.big != 9007199254740992",
                YES,
            ),
        ],
    );
}

#[test]
fn a_payload_that_is_not_json_is_null() {
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    let very_deep = "[".repeat(60_000);
    let many = format!("[{}1]", "1,".repeat(2_048));
    let long = format!("\"{}\"", "x".repeat(65_535));
    for payload in [
        &b""[..],
        b"plain",
        b"{",
        b"{\"temp\":31} x",
        b"{'temp':31}",
        b"NaN",
        b"Infinity",
        b"{\"temp\":NaN}",
        b"1e400",
        b"{\"temp\":1e999999999}",
        b"-",
        b"01",
        b"\xff\xfe",
        b"{\"temp\":\"\xc3\x28\"}",
        b"\"\\ud800\"",
        b"\xef\xbb\xbf{}",
        b"[1,]",
        b"nul",
        deep.as_bytes(),
        very_deep.as_bytes(),
        many.as_bytes(),
        long.as_bytes(),
    ] {
        check(
            payload,
            &[
                ("payload == null", YES),
                ("payload.temp > 30", Err(Failure::Payload)),
                ("payload.temp > 30 || qos == 1", YES),
                ("payload_size >= 0", YES),
            ],
        );
    }
}

#[test]
fn json_up_to_the_bounds_is_read() {
    let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    check(deep.as_bytes(), &[("payload.size() == 1", YES)]);
    let many = format!("[{}1]", "1,".repeat(2_046));
    check(many.as_bytes(), &[("payload.all(x, x == 1)", YES)]);
    let long = format!("\"{}\"", "x".repeat(65_534));
    check(long.as_bytes(), &[("payload.size() == 65534", YES)]);
    check(
        b"18446744073709551615",
        &[("payload == 18446744073709551615u", YES)],
    );
    check(b"-9223372036854775808", &[("payload < 0", YES)]);
    check(b"1e-999", &[("payload == 0", YES)]);
    check(
        b"123456789012345678901234567890",
        &[("payload > 1e29", YES)],
    );
    check(
        br#"{"a":1,"a":2}"#,
        &[("payload.a == 2 && payload.size() == 1", YES)],
    );
    check(br#"{"a\u0062":"\u00e9"}"#, &[("payload.ab == 'é'", YES)]);
}

#[test]
fn a_payload_of_bytes_is_no_text() {
    check(
        b"\xff\x00",
        &[
            ("payload_text == null", YES),
            ("payload_text.contains('a')", Err(Failure::Type)),
            ("payload_size == 2", YES),
        ],
    );
}

#[test]
fn other_kinds_have_their_own_attributes() {
    let client = Client {
        id: Some(ByteString::from_static("sensor-7")),
        username: None,
        address: Some(ByteString::from_static("10.0.0.7:1883")),
    };
    let connection = Connection {
        protocol_version: Some(5),
        refused: Some(Reason::NotAuthorized),
        ..Connection::default()
    };
    let refused = Happening {
        kind: Kind::ClientConnack,
        time: None,
        client,
        detail: Detail::Connection(connection),
    };
    let text = "client_id == 'sensor-7' && username == null && address.startsWith('10.') \
                && protocol_version == 5 && reason == 'not_authorized' && keep_alive == null";
    assert_eq!(ask(text, &refused), YES);
    let notice = Happening {
        kind: Kind::WebhookDisabled,
        time: None,
        client: Client::default(),
        detail: Detail::Notice(Notice {
            webhook: ByteString::from_static("hook"),
            event: None,
            attempts: 0,
            reason: ByteString::from_static("answered 410"),
        }),
    };
    let text = "webhook == 'hook' && attempts == 0 && reason.contains('410')";
    assert_eq!(ask(text, &notice), YES);
}

#[test]
fn what_is_no_condition_is_found_when_it_is_compiled() {
    let check = |text: &str, expected: Fault| {
        let error = Condition::compile(text, Kind::MessagePublish).expect_err(text);
        assert_eq!(error, ConditionError::Fault(expected), "{text}");
    };
    let variable = |name: &str| Fault::UnknownVariable(name.to_owned());
    let function = |name: &str| Fault::UnknownFunction(name.to_owned());
    check("paylod.temp > 30", variable("paylod"));
    check("x == 1", variable("x"));
    check(".topic == ''", variable(".topic"));
    check("[1].exists(x, x == 1) && x == 1", variable("x"));
    check("int == 1", variable("int"));
    let foreign = Fault::ForeignVariable {
        name: "keep_alive".to_owned(),
        kind: Kind::MessagePublish,
    };
    check("keep_alive == 1", foreign);
    check("topic.matches('a.*')", function("matches"));
    check("topic.startsWith('a', 'b')", function("startsWith"));
    check("size(topic, topic) == 1", function("size"));
    check("type(topic) == string", function("type"));
    check("optional.none() == null", function("none"));
    check(
        "timestamp('2026-01-01T00:00:00Z') == null",
        function("timestamp"),
    );
    check("[1].map(x, x + 1) == [2]", Fault::Map);
    check("[1].map(x, x > 1, x + 1) == [2]", Fault::Map);
    let nested = "payload.all(x, x.all(y, y == 1))";
    check(nested, Fault::TooManyLoops);
    check(
        "payload.exists(x, x in payload.filter(y, y > 1))",
        Fault::TooManyLoops,
    );
    check(
        &["payload.all(x, x == 1)"; 5].join(" && "),
        Fault::TooManyLoops,
    );
    check("1 + 1", Fault::NotBoolean);
    check("'true'", Fault::NotBoolean);
    check("size(payload)", Fault::NotBoolean);
    check("[true]", Fault::NotBoolean);
    check("Foo{a: 1} == null", Fault::Unreadable);
    check(&format!("topic == '{}'", "x".repeat(2_048)), Fault::TooLong);
    check(
        &format!("{}true{}", "(".repeat(33), ")".repeat(33)),
        Fault::TooDeep,
    );
    check(&["qos == 1"; 100].join(" || "), Fault::TooMany);
}

#[test]
fn what_is_not_cel_says_where() {
    for text in [
        "",
        "payload.temp >",
        "topic = 'a'",
        "a b",
        "'",
        "a and b",
        "🦀",
        "\0",
        "1 +* 2",
    ] {
        let error = Condition::compile(text, Kind::MessagePublish).expect_err(text);
        assert!(
            matches!(error, ConditionError::Syntax { .. }),
            "{text}: {error}"
        );
    }
}
