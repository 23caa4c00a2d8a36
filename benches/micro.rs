//! Micro-benchmarks of what an event costs before it is a request.
//!
//! `cargo bench` runs them. The trie's cost must grow with the depth of the topic and not with the
//! number of rules, and base62 of 64 KiB must take less than 20 ms; a condition on 256 bytes of JSON less than 5 µs.

use bytes::Bytes;
use bytestring::ByteString;
use divan::Bencher;
use mqhook::envelope;
use mqhook::event::{
    Client, Detail, Event, Happening, Kind, Message, Timestamp, TopicFilter, TopicName,
};
use mqhook::payload::{Encoding, NotUtf8};
use mqhook::rule::condition::{Condition, Subject};
use mqhook::rule::{Matcher, Rule, Rules};

fn main() {
    divan::main();
}

/// Finding the one webhook of a message among this many rules with wildcards.
#[divan::bench(args = [1, 10, 100, 1_000, 10_000, 100_000])]
fn route(bencher: Bencher<'_, '_>, rules: usize) {
    let rules: Vec<Rule> = (0..rules)
        .map(|line| {
            let filter = format!("plant/+/line{line}/#");
            let topic = TopicFilter::try_from(filter.as_str()).expect("a filter");
            Rule::new(Kind::MessagePublish, topic)
        })
        .collect();
    let rules = Rules::compile([rules.as_slice()]);
    let message = message(Bytes::new());
    let mut matcher = Matcher::default();
    bencher.bench_local(|| {
        let found = rules.feeds()[0].route(&message, &mut matcher);
        assert_eq!(found, [0]);
    });
}

/// The base62 text of this many bytes.
#[divan::bench(args = [32, 256, 4_096, 65_536])]
fn base62(bencher: Bencher<'_, '_>, bytes: usize) {
    let payload: Vec<u8> = (0..=255).cycle().skip(1).take(bytes).collect();
    bencher.bench(|| Encoding::Base62.encode(&payload, NotUtf8::Base64));
}

/// The body of a message with 256 bytes of text.
#[divan::bench]
fn body(bencher: Bencher<'_, '_>) {
    let happening = message("x".repeat(256).into());
    let event = Event::new(happening, Timestamp::now());
    let config = envelope::Config::default();
    bencher.bench(|| config.body(&event));
}

/// Asking a condition about a message with 256 bytes of JSON, which is read for it.
#[divan::bench]
fn condition(bencher: Bencher<'_, '_>) {
    let text = r#"payload.temp > 30.0 && topic.startsWith("plant/")"#;
    let condition = Condition::compile(text, Kind::MessagePublish).expect("a condition");
    let payload = json_of_256_bytes();
    let message = message(payload);
    bencher.bench(|| {
        let holds = condition.holds(&Subject::new(&message));
        assert_eq!(holds, Ok(true));
    });
}

/// A reading of a sensor as they send it: numbers, texts, a list.
fn json_of_256_bytes() -> Bytes {
    let start = r#"{"device":"press-07","site":"north","line":4,"seq":181204,"temp":31.5,"hum":40.25,"ok":true,"alarms":[],"axis":{"x":0.12,"y":-3.4,"z":9.81},"samples":[1.5,2.5,3.5,4.5],"unit":"celsius","note":""#;
    let end = r#""}"#;
    let note = "n".repeat(256 - start.len() - end.len());
    Bytes::from(format!("{start}{note}{end}"))
}

fn message(payload: Bytes) -> Happening {
    Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(Message {
            topic: topic("plant/north/line0/temperature"),
            payload,
            qos: 1,
            retain: false,
        }),
    }
}

fn topic(name: &'static str) -> TopicName {
    TopicName::try_from(ByteString::from_static(name)).expect("a name")
}
