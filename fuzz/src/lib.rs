//! What strangers can write, and what must hold whatever they write: nothing panics, nothing takes long, and
//! what comes out has the shape that is promised.
//!
//! Each function is a fuzz target of its own in `fuzz_targets`, and a property in `tests/fuzz`.

use std::io;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use bytestring::ByteString;
use mqhook::config;
use mqhook::config::hocon::Outside;
use mqhook::dialect::{self, Heard, Name};
use mqhook::event::{
    Client, Detail, Event, Happening, Kind, Message, Timestamp, TopicFilter, TopicName,
};
use mqhook::mqtt::BrokerUrl;
use mqhook::payload::{Encoding, NotUtf8};
use mqhook::rule::condition::{Condition, Subject};
use mqhook::rule::{Matcher, Rule, Rules, disjoint_cover};
use mqhook::template::{Place, Scope, Template};
use mqhook_seal::{Key, Opener, Publisher, Sealer};

const NOW: Timestamp = Timestamp::from_millis(1_795_216_121_685);

/// Most happenings that one message may be told as: two for each of Aedes's thousand subscriptions.
const MOST_TOLD: usize = 2_000;

/// Conditions that look into all of a message.
static CONDITIONS: LazyLock<Vec<Condition>> = LazyLock::new(|| {
    let texts = [
        "payload.exists(x, x > 1) || payload.temp > 30.0",
        "payload_text.contains(topic) && size(payload_text) <= payload_size",
        "has(payload.a.b) && string(payload.a.b).startsWith('x')",
        "int(payload) % 2 == 1 || double(payload_text) < 0.0",
        "topic_levels.filter(l, l == '').size() > 1",
    ];
    let compile = |text| Condition::compile(text, Kind::MessagePublish);
    let conditions = texts.into_iter().map(compile).collect::<Result<_, _>>();
    conditions.expect("they are conditions")
});

/// A broker's messages, as one decoder reads them one after the other: pairs of a topic and a payload,
/// between zero bytes.
///
/// # Panics
/// When the decoder breaks a promise.
pub fn dialect(name: Name, data: &[u8]) {
    let mut decoder = name.decoder();
    let mut parts = data.split(|byte| *byte == 0);
    while let (Some(topic), Some(payload)) = (parts.next(), parts.next()) {
        let Some(topic) = topic_name(topic) else {
            continue;
        };
        let heard = Heard {
            topic: &topic,
            payload: &Bytes::copy_from_slice(payload),
            now: NOW,
        };
        let _ = dialect::recognise(&heard);
        let mut told = Vec::new();
        match decoder.decode(&heard, &mut told) {
            Ok(()) => assert!(told.len() <= MOST_TOLD, "one message was told as a flood"),
            Err(error) => assert!(told.is_empty(), "told and unreadable: {error}"),
        }
        for happening in told {
            let kind = happening.kind;
            assert!(
                decoder.kinds().contains(kind) || decoder.plugin_kinds().contains(kind),
                "{kind}"
            );
        }
    }
}

/// A seal, a topic and a payload between zero bytes, as they come from a broker: the seal is opened as it
/// is; and one that says these texts of a publisher, made for the message, says the same when opened.
///
/// # Panics
/// When opening or sealing breaks a promise.
pub fn seals(data: &[u8]) {
    let key = || Key::new("0123456789abcdef").expect("it is long enough");
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let (Some(seal), Some(topic)) = (parts.next(), parts.next()) else {
        return;
    };
    let payload = parts.next().unwrap_or_default();
    let message = mqhook_seal::Message { topic, payload };
    let mut opener = Opener::new(key());
    let texts = [seal, topic, payload].map(|text| std::str::from_utf8(text).ok());
    if let Some(Ok(publisher)) = texts[0].map(|seal| opener.open(seal, message)) {
        assert!(publisher.qos <= 2, "QoS {}", publisher.qos);
    }
    let [client_id, username, address] = texts;
    let publisher = Publisher {
        time_ms: u64::try_from(data.len()).unwrap_or(u64::MAX),
        qos: 1,
        protocol_version: 5,
        client_id,
        username,
        address,
    };
    let mut sealer = Sealer::new(&key()).expect("there is randomness");
    if let Ok(seal) = sealer.seal(publisher, message) {
        assert_eq!(opener.open(seal, message), Ok(publisher));
    }
}

/// What a broker gives the plugin for Mosquitto.
///
/// # Panics
/// When the plugin breaks a promise.
pub fn plugin(data: &[u8]) {
    mqhook_plugin_host::plugin(data);
}

/// A configuration in HOCON, as `mqhook check` reads it; it may include itself.
///
/// # Panics
/// When reading or reporting breaks a promise.
pub fn hocon(data: &[u8]) {
    configuration("mqhook.conf", data);
    configuration("nanomq.conf", data);
}

/// A configuration in TOML.
///
/// # Panics
/// When reading or reporting breaks a promise.
pub fn toml(data: &[u8]) {
    configuration("mqhook.toml", data);
}

fn configuration(file: &str, data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let reading = config::load(Path::new(file), &Only { file, text });
    for problem in reading.problems() {
        assert!(!problem.message.is_empty(), "a problem without words");
    }
    let shown = reading.render(false);
    assert_eq!(shown.is_empty(), reading.problems().is_empty());
}

/// A world with one file.
struct Only<'a> {
    file: &'a str,
    text: &'a str,
}

impl Outside for Only<'_> {
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/root".to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        if path.ends_with(self.file) {
            Ok(self.text.to_owned())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

/// Topic filters, and behind the last line break a topic: routing answers as the filters do, and what is
/// subscribed to covers every filter without overlaps.
///
/// # Panics
/// When it does not.
pub fn topics(data: &[u8]) {
    let mut lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').take(17).collect();
    let Some(topic) = lines.pop().and_then(topic_name) else {
        return;
    };
    let texts = lines
        .iter()
        .filter_map(|line| std::str::from_utf8(line).ok());
    let filters: Vec<TopicFilter> = texts
        .filter_map(|text| TopicFilter::try_from(text).ok())
        .filter(|filter| filter.group().is_none())
        .collect();
    let webhooks: Vec<[Rule; 1]> = filters
        .iter()
        .map(|filter| [Rule::new(Kind::MessagePublish, filter.clone())])
        .collect();
    let rules = Rules::compile(webhooks.iter().map(<[Rule; 1]>::as_slice));
    let expected: Vec<usize> = (0..filters.len())
        .filter(|at| filters[*at].matches(&topic))
        .collect();
    let published = published(topic.clone(), Bytes::new());
    let mut matcher = Matcher::default();
    let found = rules
        .feeds()
        .first()
        .map(|feed| feed.route(&published, &mut matcher));
    assert_eq!(
        found.unwrap_or_default(),
        expected,
        "{topic} under {filters:?}"
    );
    let cover = disjoint_cover(filters);
    let matching = cover.iter().filter(|filter| filter.matches(&topic)).count();
    assert!(matching <= 1, "{topic} under {cover:?}");
    assert!(
        matching == 1 || expected.is_empty(),
        "{topic} under {cover:?}"
    );
}

/// A topic and a payload, behind the first line break, in templates that name all of it.
///
/// # Panics
/// When what a client wrote breaks out of its place.
pub fn templates(data: &[u8]) {
    let Some(happening) = message(data) else {
        return;
    };
    let event = Arc::new(Event::new(happening, NOW));
    let scope = Scope::new(&event, Encoding::Plain, NotUtf8::Base64);
    let render = |place, text| {
        let template = Template::compile(text, place, 1 << 20).expect("a template of ours");
        template.render_text(&scope)
    };
    let json =
        r#"{"topic":"{{ topic }}","last":"{{ topic_levels | last }}","payload":"{{ payload }}"}"#;
    if let Ok(body) = render(Place::of_body("application/json"), json) {
        let read: serde_json::Value = serde_json::from_str(&body).expect("a body that is JSON");
        assert_eq!(read["topic"].as_str(), Some(topic_of(&event)));
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(3));
    }
    let values = "{{ payload_json }}{% if payload_json is mapping %}{% for key in payload_json %}{{ key }}{% endfor %}{% endif %}";
    for place in [Place::Url, Place::Header] {
        for text in ["{{ topic }}", "{{ payload }}", values] {
            if let Ok(made) = render(place, text) {
                let is_safe = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
                assert!(made.bytes().all(is_safe), "{made:?}");
                assert!(!made.contains(['"', '\r', '\n']), "{made:?}");
            }
        }
    }
}

/// A template, and behind the first zero byte a topic and a payload.
///
/// # Panics
/// When compiling or rendering breaks a promise.
pub fn template_text(data: &[u8]) {
    let (text, event) = split(data, 0);
    let (Ok(text), Some(happening)) = (std::str::from_utf8(text), message(event)) else {
        return;
    };
    let event = Arc::new(Event::new(happening, NOW));
    let scope = Scope::new(&event, Encoding::Plain, NotUtf8::Base64);
    for place in [Place::Url, Place::of_body("application/json")] {
        if let Ok(template) = Template::compile(text, place, 4_096) {
            let made = template.render(&scope).unwrap_or_default();
            assert!(made.len() <= 4_096, "longer than it may be");
        }
    }
}

/// A condition, and behind the first zero byte a topic and a payload.
///
/// # Panics
/// When compiling or evaluating breaks a promise.
pub fn condition_text(data: &[u8]) {
    let (text, event) = split(data, 0);
    let (Ok(text), Some(happening)) = (std::str::from_utf8(text), message(event)) else {
        return;
    };
    if let Ok(condition) = Condition::compile(text, Kind::MessagePublish) {
        let holds = condition.holds(&Subject::new(&happening));
        assert_eq!(holds, condition.holds(&Subject::new(&happening)));
    }
}

/// A topic and a payload under conditions that look into all of it.
///
/// # Panics
/// When evaluating breaks a promise.
pub fn conditions(data: &[u8]) {
    let Some(happening) = message(data) else {
        return;
    };
    for condition in CONDITIONS.iter() {
        let _ = condition.holds(&Subject::new(&happening));
    }
}

/// The URL of a broker; what is shown of it reads back and has no query.
///
/// # Panics
/// When it does not.
pub fn broker_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(url) = text.parse::<BrokerUrl>() {
        let whole = url.request_url();
        assert_eq!(whole.parse::<BrokerUrl>().as_ref(), Ok(&url), "{text:?}");
        assert!(whole.starts_with(url.to_string().as_str()), "{text:?}");
    }
}

fn topic_name(bytes: &[u8]) -> Option<TopicName> {
    let text = std::str::from_utf8(bytes).ok()?;
    TopicName::try_from(ByteString::from(text)).ok()
}

/// Reads a topic, a line break, and a payload.
fn message(data: &[u8]) -> Option<Happening> {
    let (topic, payload) = split(data, b'\n');
    Some(published(
        topic_name(topic)?,
        Bytes::copy_from_slice(payload),
    ))
}

fn split(data: &[u8], between: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == between) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}

fn published(topic: TopicName, payload: Bytes) -> Happening {
    Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(Message {
            topic,
            payload,
            qos: 1,
            retain: false,
            properties: None,
            protocol_version: None,
        }),
    }
}

fn topic_of(event: &Event) -> &str {
    match &event.detail {
        Detail::Message(message) => message.topic.as_str(),
        _ => "",
    }
}
