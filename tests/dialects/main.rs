//! Every dialect tells what its broker's captured messages mean.
//!
//! The messages are in `tests/fixtures/dialects`. Beside each file is a `.told` file with
//! one line per message: the message, and what a decoder must tell of it. These lines are
//! reviewed by hand; `MQHOOK_TOLD=write cargo test --test dialects` writes what the
//! decoders tell now, and the difference is to be read before it is committed.

mod fixture;
mod properties;
mod told;

use mqhook::dialect::{Heard, Name, recognise};

use fixture::Captured;

/// The captured files of a dialect. Files named `-from-` were not captured but written by
/// hand after what the name says, because no such broker could be run.
fn files(name: Name) -> &'static [&'static str] {
    match name {
        Name::Nanomq => &["nanomq-sys.jsonl", "nanomq-from-documentation.jsonl"],
        Name::Mosquitto => &[
            "mosquitto-log.jsonl",
            "mosquitto-log-more.jsonl",
            "mosquitto-plugin-log.jsonl",
            "mosquitto-from-source.jsonl",
        ],
        Name::MosquittoPlugin => &["mosquitto-plugin-from-source.jsonl"],
        Name::Emqx => &["emqx-from-source.jsonl"],
        Name::Rmqtt => &["rmqtt-sys.txt"],
        Name::Aedes => &["aedes-sys.txt"],
        Name::Nats => &["nats-sys.jsonl"],
        Name::Plain => &[],
    }
}

/// Replays a file and returns one line per message.
fn replay(name: Name, captured: &[Captured]) -> Vec<String> {
    let mut decoder = name.decoder();
    let mut source = None;
    let mut lines = Vec::new();
    for message in captured {
        if source != Some(&message.source) {
            decoder = name.decoder();
            source = Some(&message.source);
        }
        let heard = Heard {
            topic: &message.topic,
            payload: &message.payload,
            now: message.now(),
        };
        let mut happenings = Vec::new();
        let answer = decoder.decode(&heard, &mut happenings);
        if answer.is_err() {
            assert!(happenings.is_empty(), "{message}: told and unreadable");
        }
        lines.push(format!("{message} => {}", told::line(answer, &happenings)));
    }
    lines
}

#[test]
fn every_captured_message_is_told_as_reviewed() {
    let mut wrong = Vec::new();
    for name in Name::ALL {
        for file in files(name) {
            let lines = replay(name, &fixture::read(file));
            wrong.extend(told::differences(file, &lines));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_dialect_that_tells_has_captured_messages() {
    for name in Name::ALL {
        let decoder = name.decoder();
        // `plain` tells nothing, so there is nothing to capture.
        assert_eq!(decoder.kinds().is_empty(), name == Name::Plain, "{name}");
        assert_eq!(files(name).is_empty(), name == Name::Plain, "{name}");
        assert_eq!(
            decoder.topic_filters().is_empty(),
            name == Name::Plain,
            "{name}"
        );
    }
}

#[test]
fn every_kind_of_a_dialect_is_told_by_a_captured_message() {
    for name in Name::ALL {
        let mut missing = name.decoder().kinds();
        for file in files(name) {
            let mut decoder = name.decoder();
            for message in fixture::read(file) {
                let mut happenings = Vec::new();
                let heard = Heard {
                    topic: &message.topic,
                    payload: &message.payload,
                    now: message.now(),
                };
                let _ = decoder.decode(&heard, &mut happenings);
                for happening in happenings {
                    let one = mqhook::event::KindSet::of(&[happening.kind]);
                    let untold = one.without(decoder.kinds());
                    assert!(
                        untold.without(decoder.plugin_kinds()).is_empty(),
                        "{name} tells {}",
                        happening.kind
                    );
                    missing = missing.without(one);
                }
            }
        }
        let missing: Vec<_> = missing.iter().map(mqhook::event::Kind::name).collect();
        assert!(missing.is_empty(), "{name} tells no {missing:?}");
    }
}

#[test]
fn every_message_that_tells_is_covered_by_a_topic_filter() {
    for name in Name::ALL {
        let filters = name.decoder().topic_filters();
        let filters: Vec<_> = filters
            .iter()
            .map(|filter| mqhook::event::TopicFilter::try_from(*filter).expect(filter))
            .collect();
        for file in files(name) {
            for message in fixture::read(file) {
                let mut happenings = Vec::new();
                let heard = Heard {
                    topic: &message.topic,
                    payload: &message.payload,
                    now: message.now(),
                };
                let told = name.decoder().decode(&heard, &mut happenings);
                let covered = filters.iter().any(|filter| filter.matches(&message.topic));
                assert!(
                    covered || (told.is_ok() && happenings.is_empty()),
                    "{message}"
                );
            }
        }
    }
}

#[test]
fn every_dialect_is_recognised_by_what_it_says() {
    for name in Name::ALL {
        for file in files(name) {
            let mut recognised = Vec::new();
            for message in fixture::read(file) {
                let heard = Heard {
                    topic: &message.topic,
                    payload: &message.payload,
                    now: message.now(),
                };
                recognised.extend(recognise(&heard));
            }
            assert!(!recognised.is_empty(), "{file}");
            assert!(recognised.iter().all(|found| *found == name), "{file}");
        }
    }
}

#[test]
fn names_read_back() {
    for name in Name::ALL {
        assert_eq!(name.as_str().to_uppercase().parse(), Ok(name));
    }
    assert_eq!("mosquito".parse::<Name>(), Err(()));
}
