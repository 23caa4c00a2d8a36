//! What is promised of every format.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use mqhook::envelope::{Body, Config, Format};

use crate::{body, content_type, events, formats};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envelopes/golden")
}

/// Returns whether an editor may show a character as nothing, or make another of it.
fn is_unseen(character: char) -> bool {
    character.is_control() && character != '\n'
}

/// Returns a request's part that is made of the event, as it goes over the wire.
fn shown(config: &Config, body: &Body) -> String {
    let content_type = content_type(config, body);
    let content_type = content_type.to_str().expect("visible ASCII");
    let mut text = format!("content-type: {content_type}\n");
    for (name, value) in &body.headers {
        let value = value.to_str().expect("visible ASCII");
        writeln!(text, "{name}: {value}").expect("a string takes all");
    }
    match std::str::from_utf8(&body.bytes) {
        Ok(body) if !body.contains(is_unseen) => write!(text, "\n{body}\n"),
        _ => write!(text, "\n{:?}\n", body.bytes),
    }
    .expect("a string takes all");
    text
}

#[test]
fn every_format_has_its_bodies() {
    let mut wrong = Vec::new();
    for (name, config) in formats() {
        let mut text = String::new();
        for (event_name, event) in events::all() {
            let shown = shown(&config, &body(&config, &event));
            write!(text, "=== {event_name}\n{shown}\n").expect("a string takes all");
        }
        let path = folder().join(format!("{name}.txt"));
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, &text).expect("the folder is there");
        }
        if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{}: got\n{text}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_format_is_among_them() {
    let shown: BTreeSet<&str> = formats()
        .iter()
        .map(|(_, config)| config.format.name())
        .collect();
    assert_eq!(shown, BTreeSet::from(Format::NAMES));
}

#[test]
fn what_says_that_it_is_json_is_json() {
    for (name, config) in formats() {
        for (event_name, event) in events::all() {
            let body = body(&config, &event);
            let content_type = content_type(&config, &body);
            let content_type = content_type.to_str().expect("visible ASCII");
            // What a publisher says of its payload is its own affair.
            if config.format == Format::Raw || body.content_type.is_some() {
                continue;
            }
            assert!(content_type.ends_with("json"), "{name}");
            let read: Result<serde_json::Value, _> = serde_json::from_slice(&body.bytes);
            assert!(read.is_ok(), "{name} {event_name}: {:?}", body.bytes);
        }
    }
}
