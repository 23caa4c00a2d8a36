//! Whatever strangers write: nothing panics, nothing takes long, nothing breaks out of its place.
//!
//! What must hold is in `fuzz/src/lib.rs`, shared with the fuzz targets, which look for much longer
//! (`cargo +nightly fuzz run <target>`). Here the same functions get arbitrary bytes, real inputs with
//! parts replaced, and long repetitions of what is suspicious.

#[path = "../../fuzz/src/lib.rs"]
mod bodies;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mqhook::dialect::Name;
use proptest::prelude::*;

/// Longest time that one input may take, on a machine that does other things as well.
const SOON: Duration = Duration::from_secs(5);

/// The length of repetitions; more than any payload of a broker, and than any configuration.
const LONG: usize = 64 * 1024;

/// What mistakes and attacks are made of.
const FRAGMENTS: [&[u8]; 36] = [
    b"\0",
    b"\n",
    b"\r",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"(",
    b")",
    b"{{",
    b"}}",
    b"{%",
    b"%}",
    b"${",
    b"${?x}",
    b"include ",
    b"/",
    b"+",
    b"#",
    b"$SYS/",
    b"$share/g/",
    b"://",
    b"@",
    b"%2e",
    b"-1",
    b"1e999",
    b"null",
    b"\xff",
    b"\xf0\x9f\x8c\xa1",
    b"\xe2\x80\xa8",
];

type Body = fn(&[u8]);

/// Runs a function on an input, which must not take long.
fn soon(body: impl Fn(&[u8]), data: &[u8]) {
    let started = Instant::now();
    body(data);
    let took = started.elapsed();
    let shown = String::from_utf8_lossy(data.get(..300).unwrap_or(data));
    assert!(took < SOON, "{took:?} for {} bytes: {shown:?}", data.len());
}

/// Replaces parts of an input.
fn edited(seed: &[u8], edits: &[(prop::sample::Index, usize, Vec<u8>)]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for (at, length, insert) in edits {
        let start = at.index(data.len() + 1);
        let end = data.len().min(start + length);
        data.splice(start..end, insert.iter().copied());
    }
    data
}

fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let some = prop::collection::vec(prop::sample::select(FRAGMENTS.as_slice()), 0..6);
    some.prop_map(|parts| parts.concat())
}

fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..20_usize, fragments());
    let edits = prop::collection::vec(edit, 0..6);
    let real = (prop::sample::select(seeds), edits);
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(fragments(), 0..12).prop_map(|parts| parts.concat()),
        4 => real.prop_map(|(seed, edits)| edited(&seed, &edits)),
    ]
}

/// Runs a function on many inputs, and on long repetitions of each fragment behind each seed.
fn check(cases: u32, seeds: &[Vec<u8>], body: impl Fn(&[u8]) + Copy) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&inputs(seeds.to_vec()), |data| {
        soon(body, &data);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    for fragment in FRAGMENTS {
        let start: &[u8] = seeds.first().map_or(&[], Vec::as_slice);
        let start = &start[..start.len().min(200)];
        let repeated = fragment.iter().copied().cycle().take(LONG);
        soon(
            body,
            &start.iter().copied().chain(repeated).collect::<Vec<u8>>(),
        );
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file of captured messages: each line is a message, as a topic and a payload between zero bytes.
fn captured(file: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root().join("tests/fixtures/dialects").join(file));
    let text = text.expect("the fixtures are there");
    let messages: Vec<(String, String)> = text.lines().filter_map(captured_line).collect();
    assert!(!messages.is_empty(), "{file}");
    let stories = messages.chunks(4).map(|chunk| {
        let parts = chunk
            .iter()
            .map(|(topic, payload)| format!("{topic}\0{payload}\0"));
        parts.collect::<String>().into_bytes()
    });
    stories.collect()
}

/// Reads `{"topic": "..", "payload": ".."}` or `   [stimulus] topic | b'payload' | q0 r0`.
fn captured_line(line: &str) -> Option<(String, String)> {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(line) {
        let text = |key: &str| Some(json[key].as_str()?.to_owned());
        return Some((text("topic")?, text("payload")?));
    }
    let (_, rest) = line.strip_prefix("   [")?.split_once("] ")?;
    let (topic, rest) = rest.split_once(" | b'")?;
    let (payload, _) = rest.rsplit_once("' | q")?;
    Some((topic.to_owned(), payload.to_owned()))
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn files(files: &[&str]) -> Vec<Vec<u8>> {
    let read = |file: &&str| fs::read(root().join(file)).expect("the file is there");
    files.iter().map(read).collect()
}

#[test]
fn no_broker_message_harms_a_decoder() {
    for name in Name::ALL {
        let files: &[&str] = match name {
            Name::Nanomq => &["nanomq-sys.jsonl"],
            Name::Mosquitto => &["mosquitto-log.jsonl", "mosquitto-plugin-log.jsonl"],
            Name::MosquittoPlugin => &["mosquitto-plugin-from-source.jsonl"],
            Name::Emqx => &["emqx-from-source.jsonl"],
            Name::Rmqtt => &["rmqtt-sys.txt"],
            Name::Aedes => &["aedes-sys.txt"],
            Name::Nats => &["nats-sys.jsonl"],
            Name::Plain => continue,
        };
        let seeds: Vec<Vec<u8>> = files.iter().flat_map(|file| captured(file)).collect();
        check(300, &seeds, |data| bodies::dialect(name, data));
    }
}

#[test]
fn what_the_plugin_adds_is_told_by_a_decoder() {
    bodies::dialect(Name::Mosquitto, b"$SYS/broker/log/I\0mqhook: connect {}\0");
}

#[test]
fn no_seal_harms_who_opens_it() {
    let seeds = texts(&[
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0a/b\0on",
        "-\0t\0",
        "no base64!\0a\0b",
    ]);
    check(1_000, &seeds, bodies::seals as Body);
}

#[test]
fn nothing_that_c_can_give_harms_the_plugin() {
    let seeds = texts(&[
        "\0\u{1}\0\u{5}",
        "\0\u{1}\0\u{5}dev\0alice\0::1\0a/b\0on",
        "\u{10}\0\0\u{2}events\0true\0topics\0a/# +\0\0\0",
        "\u{28}\u{2}\0\u{b}a\0\0::1\0$SYS/x\0",
    ]);
    check(2_000, &seeds, bodies::plugin as Body);
}

#[test]
fn no_text_harms_the_configuration_readers() {
    check(
        100,
        &files(&["config/mqhook.conf", "config/nanomq.conf"]),
        bodies::hocon as Body,
    );
    check(100, &files(&["config/mqhook.toml"]), bodies::toml as Body);
}

#[test]
fn no_filter_and_no_topic_harms_routing() {
    let seeds = texts(&[
        "a/+\n+/b\n#\na/b",
        "$SYS/#\n+/x\n$SYS/x",
        "a/#\na\n/\n+/+/#\na",
        "a//b\n+/+/b\n#\na//b",
    ]);
    check(1_000, &seeds, bodies::topics as Body);
}

const MESSAGES: [&str; 4] = [
    "plant/oven/temp\n{\"temp\": 21.5, \"a\": {\"b\": \"xy\"}, \"list\": [1, null]}",
    "a b/\"ü\"%\nplain text <script>\r\n",
    "x/..//y\n[1, 2, 3]",
    "t\n1e400",
];

#[test]
fn no_message_harms_templates_and_conditions() {
    check(300, &texts(&MESSAGES), bodies::templates as Body);
    check(300, &texts(&MESSAGES), bodies::conditions as Body);
}

#[test]
fn no_text_harms_the_compilers_of_templates_and_conditions() {
    let templates = [
        "{% for i in range(9) %}{{ topic }}{% endfor %}\0a/b\n1",
        "{{ payload_json.temp | default('-') | upper }}{# c #}\0a\n{\"temp\":1}",
        "{% set x %}{{ topic }}{% endset %}{{ x ~ x }}\0a\nb",
    ];
    check(300, &texts(&templates), bodies::template_text as Body);
    let conditions = [
        "payload.temp > 30.0 && topic.endsWith('/oven')\0a/oven\n{\"temp\":31}",
        "payload.exists(x, x in [1, 2]) ? retain : !retain\0a\n[1]",
        "size(payload_text) + 1 == int('2') % qos\0a\nb",
    ];
    check(150, &texts(&conditions), bodies::condition_text as Body);
}

#[test]
fn no_text_harms_the_reader_of_broker_urls() {
    let urls = [
        "mqtts://h.example:8883",
        "ws://[::1]:80/mqtt?k=v",
        "unix:///run/mqtt.sock",
        "mqtt://h/",
    ];
    check(3_000, &texts(&urls), bodies::broker_url as Body);
}
