//! Micro-benchmarks of what an event costs before it is a request.
//!
//! `cargo bench` runs them. The trie's cost must grow with the depth of the topic and not with the
//! number of rules, and base62 of 64 KiB must take less than 20 ms.

use std::sync::Arc;

use bytestring::ByteString;
use divan::Bencher;
use mqhook::envelope;
use mqhook::event::{
    Client, Detail, Event, Happening, Kind, Message, Timestamp, TopicFilter, TopicName,
};
use mqhook::payload::{Encoding, NotUtf8};
use mqhook::rule::{Matcher, Rule, Rules};

fn main() {
    divan::main();
}

/// Finding the one webhook of a message among this many rules with wildcards.
#[divan::bench(args = [1, 10, 100, 1_000, 10_000, 100_000])]
fn route(bencher: Bencher<'_, '_>, rules: usize) {
    let rules: Vec<Rule> = (0..rules)
        .map(|line| Rule {
            kind: Kind::MessagePublish,
            topic: TopicFilter::try_from(format!("plant/+/line{line}/#").as_str())
                .expect("a filter"),
        })
        .collect();
    let rules = Rules::compile([rules.as_slice()]);
    let topic = topic("plant/north/line0/temperature");
    let mut matcher = Matcher::default();
    bencher.bench_local(|| {
        let found = rules.feeds()[0].route(&topic, &mut matcher);
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
    let happening = Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(Message {
            topic: topic("plant/north/line0/temperature"),
            payload: "x".repeat(256).into(),
            qos: 1,
            retain: false,
            properties: None,
        }),
    };
    let event = Arc::new(Event::new(happening, Timestamp::now()));
    let config = envelope::Config::default();
    bencher.bench(|| config.body(&event));
}

fn topic(name: &'static str) -> TopicName {
    TopicName::try_from(ByteString::from_static(name)).expect("a name")
}
