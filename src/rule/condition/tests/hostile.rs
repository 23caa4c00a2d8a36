//! Texts and payloads that nobody means well.

use proptest::prelude::*;

use super::*;

/// The library calls itself for every level, and so do the checks: in a small stack, too.
#[test]
fn what_nests_as_deep_as_it_can_is_survived() {
    let texts = [
        "!".repeat(2_000) + "true",
        "-".repeat(2_000) + "1 == 1",
        "true ? ".repeat(280) + "true" + &" : true".repeat(12),
        "payload".to_owned() + &".a".repeat(1_000),
        "payload".to_owned() + &"[0]".repeat(600),
        "1 + ".repeat(500) + "1 == 1",
        "1 + ".repeat(19) + "1 == 1",
        "payload".to_owned() + &"[0]".repeat(19) + " == 1",
        "[".repeat(20) + &"]".repeat(20) + " == []",
        "(".repeat(2_000),
        "a.b(".repeat(32),
        "true && ".repeat(250) + "true",
    ];
    let ask_all = move || {
        for text in texts {
            if let Ok(condition) = Condition::compile(&text, Kind::MessagePublish) {
                let _ = condition.holds(&Subject::new(&message(b"[[[1]]]")));
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let thread = thread.spawn(ask_all).expect("a thread");
    assert!(thread.join().is_ok());
}

/// Token soup of what conditions are made of.
fn soup() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "payload",
        "payload_text",
        "topic",
        "topic_levels",
        "client_id",
        "qos",
        "retain",
        ".temp",
        ".list",
        "[0]",
        "['a']",
        "(",
        ")",
        "==",
        "<",
        ">",
        "+",
        "-",
        "*",
        "/",
        "%",
        "&&",
        "||",
        "!",
        "?",
        ":",
        "in",
        "1",
        "0",
        "30.0",
        "1e308",
        "'a'",
        "\"é\"",
        "null",
        "true",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".exists(x,",
        ".filter(x,",
        ".all(y,",
        "x",
        "y",
        "size(",
        "int(",
        "string(",
        ".contains(",
        ".startsWith(",
        "has(",
        "9223372036854775807",
        "b'\\xff'",
        "u",
        "r'",
        "`",
    ]);
    prop::collection::vec(token, 1..14).prop_map(|tokens| tokens.join(" "))
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\"[a-zé\\\\n]{0,4}\"",
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4)
            .prop_map(|elements| format!("[{}]", elements.join(",")));
        let entry = (prop::sample::select(vec!["temp", "list", "a"]), inner)
            .prop_map(|(key, value)| format!("\"{key}\":{value}"));
        let map = prop::collection::vec(entry, 0..4)
            .prop_map(|entries| format!("{{{}}}", entries.join(",")));
        prop_oneof![list, map]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_and_no_payload_is_a_panic(text in soup(), payload in json()) {
        if let Ok(condition) = Condition::compile(&text, Kind::MessagePublish) {
            let asked = condition.holds(&Subject::new(&message(payload.as_bytes())));
            prop_assert_ne!(asked, Err(Failure::Panic), "{} of {}", text, payload);
        }
    }

    #[test]
    fn any_text_is_data(text in "\\PC{0,60}") {
        let compiled = Condition::compile(&text, Kind::MessagePublish);
        prop_assert_ne!(compiled, Err(ConditionError::Fault(Fault::Unreadable)), "{}", text);
    }

    #[test]
    fn any_payload_is_data(payload in prop::collection::vec(any::<u8>(), 0..80)) {
        let message = message(&payload);
        let asked = ask("payload.a > 1 || payload_text.contains('a')", &message);
        prop_assert_ne!(asked, Err(Failure::Panic));
    }
}

/// Returns a message on a topic of so many levels.
fn on_levels(levels: usize, payload: &[u8]) -> Happening {
    let mut message = message(payload);
    let Detail::Message(detail) = &mut message.detail else {
        unreachable!("it is a message");
    };
    let topic = ByteString::from("a/".repeat(levels - 1) + "a");
    detail.topic = TopicName::try_from(topic).expect("a name");
    message
}

/// What took a minute and more is over at once.
#[test]
fn topics_and_texts_beyond_the_bounds_are_not_looked_into() {
    let levels = "topic_levels.all(l, l == topic_levels[0])";
    assert_eq!(ask(levels, &on_levels(200, b"")), YES);
    assert_eq!(ask("topic_levels == null", &on_levels(201, b"")), YES);
    assert_eq!(ask(levels, &on_levels(32_000, b"")), Err(Failure::Type));
    let text = "topic_levels.exists(l, payload_text.contains(l + 'q'))";
    let mebibyte = vec![b'a'; 1 << 20];
    assert_eq!(ask(text, &on_levels(200, &mebibyte)), Err(Failure::Type));
    assert_eq!(ask("payload_text == null", &message(&mebibyte)), YES);
    let most = vec![b'a'; 65_536];
    assert_eq!(ask("payload_text.size() == 65536", &message(&most)), YES);
    assert_eq!(ask(text, &on_levels(200, &most)), NO);
}

#[test]
fn what_is_looked_at_for_each_of_many_elements_is_bounded() {
    let payload = |elements: usize, text: usize| {
        let (list, text) = (vec!["1"; elements].join(","), "y".repeat(text));
        message(format!("{{\"list\":[{list}],\"limit\":9,\"text\":\"{text}\"}}").as_bytes())
    };
    // What is usual is far below the bound ...
    let usual = "payload.list.all(x, x < payload.limit)";
    assert_eq!(ask(usual, &payload(2_000, 10_000)), YES);
    // ... and what is beyond has no answer, though `||` and `exists` get over failures.
    let text = "payload.list.exists(x, payload_text.contains('q' + string(x)))";
    assert_eq!(ask(text, &payload(100, 60_000)), NO);
    assert_eq!(ask(text, &payload(1_900, 60_000)), Err(Failure::TooMuch));
    let or = format!("{text} || true");
    assert_eq!(ask(&or, &payload(1_900, 60_000)), Err(Failure::TooMuch));
    // The next condition on the same event has its own share.
    let message = payload(1_900, 60_000);
    let subject = Subject::new(&message);
    let too_much = compile(text, message.kind).holds(&subject);
    assert_eq!(too_much, Err(Failure::TooMuch));
    assert_eq!(
        compile("size(payload.list) == 1900", message.kind).holds(&subject),
        YES
    );
}
