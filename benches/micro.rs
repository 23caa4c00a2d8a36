//! Micro-benchmarks of what an event costs before it is a request.
//!
//! `cargo bench` runs them. The trie's cost must grow with the depth of the topic and not with the
//! number of rules, base62 of 64 KiB must take less than 20 ms, and signing 256 bytes, or a condition on
//! as much JSON, less than 5 µs.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use divan::Bencher;
use http::{HeaderMap, HeaderValue};
use mqhook::delivery_log::{self, DeliveryLog, Ended, Ending};
use mqhook::envelope::cloudevents::{self, Mode};
use mqhook::envelope::{self, Format, template};
use mqhook::event::{
    Client, Detail, Event, Happening, Kind, Message, Timestamp, TopicFilter, TopicName,
};
use mqhook::payload::{Encoding, NotUtf8};
use mqhook::rule::condition::{Condition, Subject};
use mqhook::rule::{Matcher, Rule, Rules};
use mqhook::sign::{Scheme, Signer};
use mqhook::sink::{Outcome, Report};
use mqhook::template::url;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

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
    let message = happening(Bytes::new());
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

/// The body of a message with 256 bytes of text, in each format.
#[divan::bench]
fn body(bencher: Bencher<'_, '_>) {
    let event = message("x".repeat(256));
    let config = envelope::Config::default();
    bencher.bench(|| config.body(&event));
}

#[divan::bench(args = ["json", "raw", "mender", "structured", "binary"])]
fn body_in(bencher: Bencher<'_, '_>, format: &str) {
    let cloud_events = |mode| {
        let source = "mqhook".to_owned();
        Format::CloudEvents(cloudevents::Config { mode, source })
    };
    let config = envelope::Config {
        format: match format {
            "json" => Format::Json,
            "raw" => Format::Raw,
            "mender" => Format::Mender,
            "structured" => cloud_events(Mode::Structured),
            _ => cloud_events(Mode::Binary),
        },
        ..envelope::Config::default()
    };
    let event = message(json_payload());
    bencher.bench(|| config.body(&event));
}

/// A body and a URL by templates, of a message with 256 bytes of JSON; must take less than 5 µs.
#[divan::bench(args = ["payload", "payload_json"])]
fn templates(bencher: Bencher<'_, '_>, value: &str) {
    let text = match value {
        "payload" => r#"{"topic": "{{ topic }}", "at": {{ time_ms }}, "payload": "{{ payload }}"}"#,
        _ => r#"{"topic": "{{ topic }}", "temp": {{ payload_json.temp }}}"#,
    };
    let content_type = HeaderValue::from_static("application/json");
    let body = template::Body::new(text, content_type).expect("a template");
    let config = envelope::Config {
        format: Format::Template(body),
        ..envelope::Config::default()
    };
    let url = url::split("http://h/devices/{topic_levels[1]}/{topic}?q={qos}");
    let path = url.expect("a URL").path.expect("it has placeholders");
    let event = message(json_payload());
    bencher.bench(|| (config.body(&event), path.render(&config.scope(&event))));
}

fn json_payload() -> String {
    let text = "x".repeat(256 - r#"{"temp": 21.5, "unit": "C", "text": ""}"#.len());
    format!(r#"{{"temp": 21.5, "unit": "C", "text": "{text}"}}"#)
}

fn message(payload: impl Into<Bytes>) -> Arc<Event> {
    Arc::new(Event::new(happening(payload.into()), Timestamp::now()))
}

fn happening(payload: Bytes) -> Happening {
    Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(Message {
            topic: topic("plant/north/line0/temperature"),
            payload,
            qos: 1,
            retain: false,
            protocol_version: None,
            properties: None,
        }),
    }
}

/// The headers of a signed request with a body of 256 bytes, by scheme.
#[divan::bench(args = ["standard-webhooks", "mender", "github"])]
fn sign(bencher: Bencher<'_, '_>, scheme: &str) {
    let scheme = Scheme::ALL
        .into_iter()
        .find(|known| known.as_str() == scheme)
        .expect("a scheme");
    let secret = match scheme {
        Scheme::Mender => "deadbeef",
        _ => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    };
    let signer = Signer::new(scheme, [secret]).expect("a secret");
    let (id, body) = ([b'0'; 22], [b'x'; 256]);
    bencher
        .with_inputs(|| HeaderMap::with_capacity(8))
        .bench_refs(|headers| signer.sign(&id, b"1614265330", &body, headers));
}

/// Asking a condition about a message with 256 bytes of JSON, which is read for it.
#[divan::bench]
fn condition(bencher: Bencher<'_, '_>) {
    let text = r#"payload.temp > 30.0 && topic.startsWith("plant/")"#;
    let condition = Condition::compile(text, Kind::MessagePublish).expect("a condition");
    let payload = json_of_256_bytes();
    let message = happening(payload);
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

/// Remembering an attempt that delivered, with what every delivery costs for it; must take less than 150 ns.
#[divan::bench(args = [0, 2, 256])]
fn record(bencher: Bencher<'_, '_>, response_bytes: usize) {
    let metrics = delivery_log::Metrics::new(&mut Registry::default());
    let config = delivery_log::Config::default();
    let (log, _thread) = DeliveryLog::open(config, None, metrics);
    let mut recorder = log.recorder("webhook");
    let event = message("x".repeat(256));
    let report = Report {
        status: Some(200),
        response: Bytes::from(vec![b'x'; response_bytes]),
        ..Outcome::Delivered.into()
    };
    let at = Instant::now();
    let took = Duration::from_micros(700);
    bencher.bench_local(|| {
        let ended = Ended {
            report: &report,
            at,
            took,
        };
        recorder.record(&event, 1, Ending::Delivered, &ended);
    });
}

fn topic(name: &'static str) -> TopicName {
    TopicName::try_from(ByteString::from_static(name)).expect("a name")
}
