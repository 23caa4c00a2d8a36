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
