//! Whatever a file says, reading and reporting do not panic, and every place is one.

use std::path::Path;

use mqhook::config::{Reading, load};
use proptest::prelude::*;

use crate::world::World;

/// Checks what must hold for every text.
fn check(name: &str, text: &str) {
    let reading = load(Path::new(name), &World::with(name, text));
    check_places(&reading, text);
    for colour in [false, true] {
        let shown = reading.render(colour);
        assert_eq!(shown.is_empty(), reading.problems().is_empty());
    }
    let again = load(Path::new(name), &World::with(name, text));
    assert_eq!(
        reading.render(false),
        again.render(false),
        "it is deterministic"
    );
}

fn check_places(reading: &Reading, text: &str) {
    for problem in reading.problems() {
        assert!(!problem.message.is_empty());
        if let Some(span) = problem.span {
            assert!(span.start <= span.end, "{problem:?} in {text:?}");
            assert!(
                text.get(span.start..span.end).is_some(),
                "{problem:?} in {text:?}"
            );
        }
    }
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "broker",
        "admin",
        "spool",
        "webhooks",
        "webhook",
        "listeners",
        "tcp",
        "bind",
        "enable",
        "url",
        "headers",
        "body",
        "encoding",
        "not_utf8",
        "retry",
        "schedule",
        "exponential",
        "initial",
        "factor",
        "max",
        "for",
        "retry_after_max",
        "statuses",
        "on_gone",
        "breaker",
        "failures",
        "failure_limit",
        "deliveries",
        "time",
        "durable",
        "notify",
        "events",
        "event",
        "topic",
        "tls",
        "ssl",
        "cacertfile",
        "certfile",
        "keyfile",
        "verify",
        "dialect",
        "client_id",
        "username",
        "password",
        "password_file",
        "protocol",
        "keep_alive",
        "session_expiry",
        "receive_maximum",
        "max_packet_size",
        "connect_timeout",
        "retained",
        "listen",
        "backend",
        "dir",
        "max_memory",
        "max_bytes",
        "max_age",
        "on_full",
        "elide",
        "dead_letters",
        "pool_size",
        "timeout",
        "cancel_timeout",
        "idle_timeout",
        "shutdown_grace",
        "log",
        "bridges",
        "x-key",
        "\"x y\"",
        "\"é\"",
        "a",
    ];
    prop::sample::select(known.to_vec()).prop_map(str::to_owned)
}

fn scalar() -> impl Strategy<Value = String> {
    let known = [
        "0",
        "1",
        "-1",
        "5",
        "1.5",
        "1e99",
        "99999999999999999999",
        "true",
        "false",
        "null",
        "\"\"",
        "\"15s\"",
        "\"0s\"",
        "\"15\"",
        "\"1e400d\"",
        "\"64KiB\"",
        "\"é\"",
        "\"a\\nb\"",
        "\"😀\\u0000\"",
        "\"http://127.0.0.1/\"",
        "\"https://h/\"",
        "\"mqtts://h\"",
        "\"ws://h/p\"",
        "\"http://[\"",
        "\"on_message_publish\"",
        "\"on_client_connack\"",
        "\"$share/g/a\"",
        "\"a/#\"",
        "\"a/#/b\"",
        "\"base64\"",
        "\"memory\"",
        "\"hourly\"",
        "[\"1s\", \"30d\"]",
        "[410, 503]",
        "\"mosquitto\"",
        "\"0.0.0.0:1\"",
        "\"${HOST}\"",
        "\"${UNSET}\"",
        "\"parts/missing\"",
        "15s",
        "on_client_connack",
        "${POOL}",
        "${?UNSET}",
        "a/#",
        "@",
        "\"open",
        "\"\t\"",
    ];
    prop::sample::select(known.to_vec()).prop_map(str::to_owned)
}

/// A value in braces that both notations understand, if its scalars are.
fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 5, |inner| {
        let entry = (key(), inner.clone()).prop_map(|(key, value)| format!("{key} = {value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec(entry, 0..5).prop_map(|all| format!("{{ {} }}", all.join(", "))),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let line = (
        prop::collection::vec(key(), 1..4),
        value(),
        prop::sample::select(vec!["\n", "\r\n", " # x\n", "\n\n", "\t\n"]),
    )
        .prop_map(|(path, value, end)| format!("{} = {value}{end}", path.join(".")));
    let webhook = value()
        .prop_map(|value| format!("webhooks.w = {{ url = \"http://h/\", events = {value} }}\n"));
    let retry = (
        prop::sample::select(vec!["retry", "breaker", "failure_limit"]),
        value(),
    )
        .prop_map(|(key, value)| format!("webhooks.w.{key} = {value}\n"));
    prop::collection::vec(prop_oneof![4 => line, 1 => webhook, 1 => retry], 0..8)
        .prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_tables_are_read(text in document()) {
        check("m.conf", &text);
        check("m.toml", &text);
    }

    #[test]
    fn cut_and_mangled_texts_are_reported(
        text in document(),
        at in any::<prop::sample::Index>(),
        insert in "[\\{\\}\\[\\]\"#=,$\\\\\\r\\n\\t\u{0}\u{1b}\u{85}\u{2028}\u{feff}é😀\u{301}\u{202e} ]{0,4}",
    ) {
        let mut at = at.index(text.len() + 1);
        while !text.is_char_boundary(at) { at -= 1; }
        for text in [text[..at].to_owned(), format!("{}{insert}{}", &text[..at], &text[at..])] {
            check("m.conf", &text);
            check("m.toml", &text);
        }
    }

    #[test]
    fn any_text_is_reported(text in "\\PC{0,40}|[ \\r\\n\\t=\\[\\]{}\"'#a\u{0}-\u{20}\u{7f}-\u{a0}\u{200b}-\u{2060}]{0,40}") {
        check("m.conf", &text);
        check("m.toml", &text);
    }
}

#[test]
fn very_long_lines_are_reported() {
    for length in [100, 1_000, 100_000] {
        let long = "é".repeat(length);
        check(
            "m.conf",
            &format!("webhooks.a {{ url = \"{long}\", {long} = 1 }}"),
        );
        check(
            "m.toml",
            &format!("webhooks.a = {{ url = \"{long}\", \"{long}\" = 1 }}"),
        );
        check("m.conf", &format!("a = {}{long}", "\t".repeat(length)));
    }
}
