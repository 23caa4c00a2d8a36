//! What clients choose neither breaks out of its place nor takes what it likes.

use proptest::prelude::*;

use super::*;

#[test]
fn no_value_on_the_way_is_as_large_as_a_client_wants() {
    let scope = scope_of(
        "a",
        br#"{"n": 9223372036854775807, "list": [1,1,1,1,1,1,1,1]}"#,
    );
    let too_large = || {
        Err(Error::Refused {
            line: 1,
            refusal: Refusal::TooLarge,
        })
    };
    let check = |text: &str| {
        let made = made(Place::Text, text, &scope);
        assert_eq!(made.map(|text| text.len()), too_large(), "{text}");
    };
    check("{{ topic | tojson(payload_json.n) }}");
    check("{{ payload_json | tojson(indent=payload_json.n) }}");
    check("{{ ('a' * 9000) | replace('a', 'b' * 9000) | length }}");
    check("{{ range(99999) | join('b' * 9000) | length }}");
    check("{{ ([payload * 9] * 99999) | join | length }}");
    check("{{ ([payload * 9] * 99999) | tojson | length }}");
    check(
        "{% set x %}{% for i in range(9999) %}{{ 'b' * 9000 }}{% endfor %}{% endset %}{{ x | length }}",
    );
    check(
        "{% filter length %}{% for i in range(9999) %}{{ 'b' * 9000 }}{% endfor %}{% endfilter %}",
    );
    check("{{ ('b' * 65537) | base62 | length }}");
    // Within the bounds they do what they did.
    let check = |text: &str, expected: &str| {
        assert_eq!(
            made(Place::Text, text, &scope).as_deref(),
            Ok(expected),
            "{text}"
        );
    };
    check("{{ 'a-b' | replace('-', '+') }}", "a+b");
    check(
        "{{ [1, 'b', none] | join('/') }} {{ ['a', 'b'] | join(d=',') }}",
        "1/b/None a,b",
    );
    check("{{ [1] | tojson(indent=1) }}", "[\n 1\n]");
    for gone in ["indent(9)", "slice(9)", "batch(9)", "format(9)"] {
        let text = format!("{{{{ topic | {gone} }}}}");
        assert!(Template::compile(&text, Place::Text, 99).is_err(), "{gone}");
    }
    let accumulates = "{% set ns = namespace(x='b') %}{% set ns.x = ns.x ~ ns.x %}";
    let mistake = Template::compile(accumulates, Place::Text, 99).expect_err("it is gone");
    assert_eq!(mistake.to_string(), "no event has `namespace`");
}

fn topic() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("..".to_owned()),
        Just("/".to_owned()),
        Just("?#&=%\"\\\r\n@:".to_owned()),
        Just("{{ id }}{% raw %}".to_owned()),
    ];
    let topic = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    let topic = topic.prop_map(|topic| topic.replace(['+', '#', '\0'], "%"));
    topic.prop_filter("a topic name", |topic| {
        !topic.is_empty() && topic.len() < 999
    })
}

proptest! {
    #[test]
    fn no_topic_breaks_out_of_a_url(topic in topic()) {
        let url = split("http://h/a/{topic}/b?t={topic}&u=1").expect("a URL").path.expect("a template");
        if let Ok(made) = url.render(&scope_of(&topic, b"x")) {
            let (path, query) = made.split_once('?').expect("a query");
            prop_assert_eq!(path.split('/').count(), 4, "{}", made);
            prop_assert_eq!(query.split(['&', '=', '?', '#']).count(), 4, "{}", made);
            let segment = path.split('/').nth(2).expect("a segment");
            let decoded = percent_encoding::percent_decode_str(segment).decode_utf8().expect("UTF-8");
            prop_assert_eq!(decoded, topic.as_str());
        } else {
            prop_assert!(topic == "." || topic == "..", "{}", topic);
        }
    }

    #[test]
    fn no_topic_breaks_out_of_a_header(topic in topic()) {
        let made = made(Place::Header, "t={{ topic }}", &scope_of(&topic, b"x")).expect("a value");
        prop_assert!(made.bytes().all(|byte| (0x20..0x7F).contains(&byte)), "{}", made);
    }

    #[test]
    fn no_text_breaks_out_of_a_json_string(topic in topic(), payload in any::<String>()) {
        let text = r#"{"t":"{{ topic }}","p":["{{ payload }}",{{ payload | tojson }}]}"#;
        let template = Template::compile(text, Place::Json, 1 << 20).expect("a template");
        let made = template.render_text(&scope_of(&topic, payload.as_bytes())).expect("a body");
        let read: serde_json::Value = serde_json::from_str(&made).expect("JSON");
        prop_assert_eq!(read, serde_json::json!({"t": topic, "p": [payload, payload]}));
    }
}
