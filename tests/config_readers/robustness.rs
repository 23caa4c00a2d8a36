//! Whatever the text, a reader answers, soon; a text that ends too early is an error.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::support::{NANOMQ, as_json, has_errors, read_hocon, read_toml};

/// Longest time that a reader may take for a text of a few kilobytes.
const SOON: Duration = Duration::from_secs(1);

/// What mistakes, and attacks, are made of.
const FRAGMENTS: [&str; 38] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\"\"\"",
    "=",
    ":",
    "+=",
    ",",
    "\n",
    "\r\n",
    " ",
    ".",
    "#",
    "//",
    "$",
    "${",
    "${?",
    "${a}",
    "${?listeners}",
    "${webhook.url}",
    "\\",
    "\\u",
    "\\ud83d",
    "\u{feff}",
    "é",
    "😀",
    "\0",
    "include ",
    "include \"nanomq.conf\"",
    "required(file(",
    "-",
    "1e+",
    "null",
    "[[",
    "'''",
    "a.b.c = ",
];

/// Replaces a part of a text by something else.
#[derive(Debug, Clone)]
struct Edit {
    at: prop::sample::Index,
    length: usize,
    insert: String,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let fragments = prop::collection::vec(prop::sample::select(FRAGMENTS.as_slice()), 0..6);
    let edit = (any::<prop::sample::Index>(), 0..40_usize, fragments).prop_map(
        |(at, length, fragments)| Edit {
            at,
            length,
            insert: fragments.concat(),
        },
    );
    prop::collection::vec(edit, 1..12)
}

fn edited(text: &str, edits: &[Edit]) -> String {
    let mut text = text.to_owned();
    for edit in edits {
        let start = text.floor_char_boundary(edit.at.index(text.len() + 1));
        let end = text.floor_char_boundary(text.len().min(start + edit.length));
        text.replace_range(start..end.max(start), &edit.insert);
    }
    text
}

/// Checks that both readers answer, soon, and that what they say has its place in the text.
fn check_answers(text: &str) {
    let start = Instant::now();
    let answers = [read_hocon(text), read_toml(text)];
    assert!(
        start.elapsed() < SOON,
        "took {:?}: {text:?}",
        start.elapsed()
    );
    for problem in answers.iter().flat_map(|(_, problems)| problems) {
        assert!(
            problem.help.as_ref().is_none_or(|help| !help.is_empty()),
            "{problem:?}"
        );
        assert!(
            !problem.message.starts_with(char::is_uppercase),
            "{problem:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check_answers(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_fragments_are_answered(
        fragments in prop::collection::vec(prop::sample::select(FRAGMENTS.as_slice()), 0..200),
    ) {
        check_answers(&fragments.concat());
    }

    #[test]
    fn a_file_with_mistakes_is_answered(edits in edits()) {
        check_answers(&edited(NANOMQ, &edits));
    }
}

#[test]
fn the_file_of_a_broker_is_read_without_complaint() {
    let (table, problems) = read_hocon(NANOMQ);
    assert_eq!(problems, []);
    let json = as_json(&table);
    let check = |pointer: &str, expected: &str| {
        let found = json.pointer(pointer).map(ToString::to_string);
        assert_eq!(found.as_deref(), Some(expected), "{pointer}");
    };
    check("/mqtt/max_packet_size", "\"260MB\"");
    check("/mqtt/keepalive_multiplier", "1.25");
    check("/listeners/ws/bind", "\"0.0.0.0:8083/mqtt\"");
    check("/log/to", r#"["file","console"]"#);
    check("/webhook/url", "\"http://127.0.0.1:80/hook?a=b#c\"");
    check("/webhook/events/0/topic", "\"a/+/#\"");
    check("/webhook/events/1", r#"{"event":"on_client_connack"}"#);
    check("/auth/cache/ttl", "\"1.5m\"");
    check("/auth/password", r#"{"a.b":"x","admin":"public"}"#);
    check("/auth/acl/rules/0/topics", r##"["$SYS/#","#"]"##);
    check("/bridges/mqtt/emqx1/forwards/1/local_topic", "\"#\"");
    check("/bridges/mqtt/cache/flush_mem_threshold", "100.0");
}

#[test]
fn a_file_cut_within_its_braces_is_an_error() {
    let whole = format!("{{\n{NANOMQ}\n}}");
    assert_eq!(read_hocon(&whole).1, []);
    for (end, _) in whole.char_indices().skip(1) {
        let (_, problems) = read_hocon(&whole[..end]);
        assert!(
            has_errors(&problems),
            "cut at {end}, behind {:?}",
            &whole[end.saturating_sub(30)..end]
        );
    }
}

#[test]
fn a_file_cut_within_a_line_is_an_error_of_toml() {
    let whole = "[webhook]\nevents = [{ event = \"on_message_publish\", topic = \"a/#\" }]";
    assert_eq!(read_toml(whole).1, []);
    for end in whole.find('=').unwrap_or_default()..whole.len() {
        assert!(has_errors(&read_toml(&whole[..end]).1), "cut at {end}");
    }
}
