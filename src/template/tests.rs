//! Whatever an event holds, what a template makes of it keeps its shape.

mod hostile;

use std::sync::Arc;

use bytestring::ByteString;

use super::url::split;
use super::*;
use crate::event::{
    Client, Detail, Event, Happening, Kind, Message, Properties, Timestamp, TopicName,
};
use crate::payload::{Encoding, NotUtf8};

fn scope_of(topic: &str, payload: &[u8]) -> Scope {
    let user = [("region", "north"), ("region", "süd"), ("a b", "")];
    let properties = Properties {
        content_type: Some("text/plain".into()),
        user: user
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        ..Properties::default()
    };
    let happening = Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client {
            id: Some("c/1".into()),
            ..Client::default()
        },
        detail: Detail::Message(Message {
            topic: TopicName::try_from(ByteString::from(topic)).expect("a topic name"),
            payload: payload.to_vec().into(),
            qos: 1,
            retain: true,
            protocol_version: None,
            properties: properties.boxed(),
        }),
    };
    let event = Event::new(happening, Timestamp::from_millis(1_795_216_121_685));
    Scope::new(&Arc::new(event), Encoding::Plain, NotUtf8::Base64)
}

fn made(place: Place, text: &str, scope: &Scope) -> Result<String, Error> {
    let template = Template::compile(text, place, 1_000).unwrap_or_else(|e| panic!("{text}: {e}"));
    template.render_text(scope)
}

#[test]
fn every_name_has_its_value() {
    let scope = scope_of(
        "a/b ü/c",
        br#"{"temp": 21.50, "on": true, "list": [1, null], "s": "x\"y"}"#,
    );
    let check = |text: &str, expected: &str| {
        assert_eq!(
            made(Place::Text, text, &scope).as_deref(),
            Ok(expected),
            "{text}"
        );
    };
    check(
        "{{ topic }} {{ topic_levels[1] }} {{ topic_levels | length }}",
        "a/b ü/c b ü 3",
    );
    check(
        "{{ kind }} {{ event }} {{ action }}",
        "on_message_publish on_message_publish message_publish",
    );
    check(
        "{{ time }} {{ time_ms }}",
        "2026-11-20T23:08:41.685Z 1795216121685",
    );
    check("{{ qos }} {{ retain }} {{ client_id }}", "1 true c/1");
    check(
        "{{ payload_json.temp }} {{ payload_json.on }} {{ payload_json.list }}",
        "21.5 true [1,null]",
    );
    check(
        "{{ payload_json.s }} {{ payload | length }} {{ payload_encoding }}",
        "x\"y 59 text",
    );
    check(
        "{{ user_properties.region }}{{ user_properties['a b'] }}",
        "süd",
    );
    check(
        "{{ content_type }} {{ 'x' | base64 }} {{ 'hello' | base62 }}",
        "text/plain eA== 7tQLFHz",
    );
    check(
        "{{ 'a/b c' | urlencode }} {{ 'a/b c' | urlpath }}",
        "a%2Fb%20c a/b%20c",
    );
    check(
        "{{ username | default('nobody') }}{% if username %}!{% endif %}",
        "nobody",
    );
    check(
        "{{ 'DELETE' if payload == '' else 'PUT' }}{{ 'x' if qos == 9 }}",
        "PUT",
    );
    assert_eq!(
        made(Place::Text, "{{ id }}", &scope).map(|id| id.len()),
        Ok(22)
    );
}

#[test]
fn bytes_that_are_no_text_are_base64_and_no_json() {
    let scope = scope_of("a", b"\xff\0");
    let said = made(
        Place::Json,
        "\"{{ payload }} {{ payload_encoding }}\"",
        &scope,
    );
    assert_eq!(said.as_deref(), Ok("\"/wA= base64\""));
    let said = made(Place::Json, "{{ payload_json.temp }}", &scope);
    let expected = "line 1 needs `payload_json.temp`, which this event does not have";
    assert_eq!(
        said.map_err(|error| error.to_string()),
        Err(expected.to_owned())
    );
}

#[test]
fn a_value_is_written_for_the_place_where_it_stands() {
    let scope = scope_of("a/\"b\"?c=d&ef%g é\r\n", b"null");
    let check = |place, text: &str, expected: &str| {
        assert_eq!(made(place, text, &scope).as_deref(), Ok(expected), "{text}");
    };
    let encoded = "a%2F%22b%22%3Fc%3Dd%26ef%25g%20%C3%A9%0D%0A";
    check(Place::Url, "/{{ topic }}", &format!("/{encoded}"));
    check(Place::Url, "{{ topic | urlencode }}", encoded);
    check(
        Place::Url,
        "{{ topic | urlpath }}",
        &encoded.replace("%2F", "/"),
    );
    check(
        Place::Url,
        "{% set t %}x/{{ topic }}{% endset %}{{ t }}",
        &format!("x/{encoded}"),
    );
    check(Place::Url, "{{ 'ü' | tojson }}", "%22%C3%BC%22");
    check(Place::Url, "{{ ['a/b'] }}", "%5B%22a%2Fb%22%5D");
    check(Place::Form, "t={{ topic }}", &format!("t={encoded}"));
    check(
        Place::Header,
        "x {{ topic }}",
        "x a/%22b%22?c=d&ef%25g%20%C3%A9%0D%0A",
    );
    check(
        Place::Header,
        "{{ topic | tojson }}",
        r#""a/\"b\"?c=d\u0026ef%g %C3%A9\r\n""#,
    );
    check(
        Place::Json,
        r#"{"t":"{{ topic }}"}"#,
        "{\"t\":\"a/\\\"b\\\"?c=d&ef%g é\\r\\n\"}",
    );
    check(
        Place::Json,
        "{{ payload_json }} {{ qos }} {{ retain }}",
        "null 1 true",
    );
    check(Place::Text, "{{ topic }}", "a/\"b\"?c=d&ef%g é\r\n");
    let refused = made(Place::Url, "/{{ payload_json }}", &scope);
    let refusal = Refusal::Null;
    assert_eq!(refused, Err(Error::Refused { line: 1, refusal }));
}

#[test]
fn work_and_size_are_bounded() {
    let scope = scope_of("a", b"0123456789");
    let made = |text: &str| made(Place::Text, text, &scope);
    let loops = "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}";
    assert_eq!(made(loops), Err(Error::OutOfFuel));
    let long = "{% for i in range(101) %}{{ payload }}{% endfor %}";
    assert_eq!(made(long), Err(Error::TooLong { most_bytes: 1_000 }));
    assert_eq!(
        made(&long.replace("101", "100")).map(|text| text.len()),
        Ok(1_000)
    );
    let failed = made("\n{{ topic | int }}").expect_err("no number");
    assert_eq!(failed.to_string(), "line 2: invalid operation");
}

#[test]
fn what_is_missing_is_named_in_brackets_too() {
    let scope = scope_of("a/b", b"{\"list\": []}");
    let check = |text: &str, expected: &str| {
        let error = made(Place::Text, text, &scope).expect_err(text).to_string();
        assert_eq!(
            error,
            format!("line 2 needs {expected}, which this event does not have")
        );
    };
    check(
        "\n{{ topic_levels[1] }}{{ topic_levels[9] }}",
        "`topic_levels[9]`",
    );
    check("\n{{ user_properties['a c'] }}", "`user_properties['a c']`");
    check("\n{{ topic_levels[qos + 9] }}", "a value");
    check("\n{{ payload_json.list[0] }}", "a value");
    check("\n{{ username }}{{ topic_levels[9] }}", "`username`");
}

#[test]
fn mistakes_are_found_when_it_is_compiled() {
    let check = |text: &str, expected: &str| {
        let mistake = Template::compile(text, Place::Json, 99).expect_err(text);
        assert_eq!(mistake.to_string(), expected);
    };
    check("{{ topik }}", "no event has `topik`");
    check("{{ topic | safe }}", "line 1: filter safe is unknown");
    check("\n{{ topic | uper }}", "line 2: filter uper is unknown");
    check("{{ topic is odder }}", "line 1: test odder is unknown");
    check("{{ f(topic) }}", "no event has `f`");
    check(
        "{% if topic %}",
        "line 1 is no template: unexpected end of input, expected end of block",
    );
    check(
        "{% include 'x' %}",
        "line 1 is no template: unknown statement include",
    );
}

#[test]
fn what_a_kind_never_has_is_known_before_it_comes() {
    let check = |text: &str, kind, expected: Option<&str>| {
        let template = Template::compile(text, Place::Text, 999).expect("a template");
        assert_eq!(
            template.missing_in(kind, Publisher::Untold).as_deref(),
            expected,
            "{text}"
        );
    };
    check("{{ topic }}", Kind::MessagePublish, None);
    check("{{ topic }}", Kind::ClientConnack, Some("`topic`"));
    check("{{ client_id }}", Kind::MessagePublish, Some("`client_id`"));
    check("{{ client_id | default('') }}", Kind::MessagePublish, None);
    check("{{ payload_json.temp }}", Kind::MessagePublish, None);
    check("{{ user_properties.region }}", Kind::MessagePublish, None);
    check(
        "{% if topic %}{{ topic }}{% endif %}",
        Kind::ClientConnack,
        None,
    );
    for kind in Kind::ALL {
        check("{{ id }}{{ kind }}{{ time }}", kind, None);
    }
}

#[test]
fn urls_take_values_behind_the_host_only() {
    let check = |text: &str, topic: &str, expected: Result<&str, &str>| {
        let split = split(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let path = split.path.expect("there is a placeholder");
        let made = path
            .render(&scope_of(topic, b"x"))
            .map_err(|e| e.to_string());
        assert_eq!(made.as_deref().map_err(String::as_str), expected, "{text}");
    };
    check("http://h/{topic}", "a/b", Ok("/a%2Fb"));
    check(
        "http://h/{{ topic }}/{{ topic_levels[1] }}?c={client_id}",
        "a/b",
        Ok("/a%2Fb/b?c=c%2F1"),
    );
    check("http://h?t={topic}", "a?b&c", Ok("/?t=a%3Fb%26c"));
    check(
        "http://h/{% if retain %}r{% else %}n{% endif %}",
        "a",
        Ok("/r"),
    );
    check(
        "http://h/{topic | urlpath}",
        "a/../b c",
        Err("the path would have a segment `.` or `..`"),
    );
    check(
        "http://h/{topic}/x",
        "..",
        Err("the path would have a segment `.` or `..`"),
    );
    check("http://h/a{topic}/x", "..", Ok("/a../x"));
    let empty = Err("the path would have an empty segment where a value stands");
    check("http://h/devices/{topic_levels[1]}", "plant//x", empty);
    check("http://h/devices/{topic_levels[1]}?q=1", "plant//x", empty);
    check("http://h/{topic_levels[1]}/x", "plant//x", empty);
    check("http://h/{topic_levels[1]}", "plant//x", empty);
    check("http://h/{topic | urlpath}", "plant//x", empty);
    check("http://h/{topic | urlpath}", "plant/", empty);
    check(
        "http://h/d/{% if not topic %}{{ topic }}{% endif %}",
        "a",
        empty,
    );
    check("http://h/d-{topic_levels[1]}", "plant//x", Ok("/d-"));
    check("http://h/d?t={topic_levels[1]}", "plant//x", Ok("/d?t="));
    check("http://h?t={topic_levels[1]}", "plant//x", Ok("/?t="));
    check("http://h//{topic}/", "a", Ok("//a/"));
    check(
        "http://h/a/{% if retain %}r/{% endif %}{# / #}",
        "a",
        Ok("/a/r/"),
    );
    check(
        "http://h/a/{% if not retain %}r/{% endif %}",
        "a",
        Ok("/a/"),
    );
    check("http://h/x?t={topic}", "..", Ok("/x?t=.."));
    check(
        "http://h/{username}",
        "a",
        Err("line 1 needs `username`, which this event does not have"),
    );

    let refused = |text: &str| split(text).expect_err(text).to_string();
    let origin = Mistake::InOrigin.to_string();
    for text in [
        "{topic}",
        "http{{ topic }}://h/",
        "http://{topic}/",
        "http://h{topic}/",
        "http://h:{topic}/",
        "http://{client_id}@h/",
        "http://h#{topic}",
        "http://h/#{topic}",
        "{{ topic }}://h/x",
    ] {
        assert_eq!(refused(text), origin, "{text}");
    }
    assert_eq!(refused("http://h/{topik}"), "no event has `topik`");
    assert_eq!(
        refused("http://h/{topic"),
        "line 1 is no template: `{` without `}`; write %7B for a brace"
    );
    assert_eq!(split("http://h/x").expect("a URL").path, None);
    let parts = split("http://h/a/{topic}/b?{% if qos %}q{% endif %}").expect("a URL");
    assert_eq!(parts.stand_in, "http://h/a/x/b?xqx");
    assert_eq!(parts.fixed, "http://h/a/");
}
