//! Whatever clients choose: bodies keep their shape, headers hold visible ASCII.

use std::sync::Arc;

use mqhook::envelope::{Format, Rejected};
use mqhook::event::{Client, Event, Kind, Properties};
use proptest::prelude::*;
use serde_json::Value;

use crate::{body, events, formats};

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        Just("../".to_owned()),
        Just("\r\nx-evil: 1\r\n\r\n".to_owned()),
        Just("\",\"admin\":true,\"x\":\"".to_owned()),
        Just("?&=%00\\\u{1}\u{feff}\u{ffff}".to_owned()),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn event() -> impl Strategy<Value = Arc<Event>> {
    let topic = text().prop_map(|text| format!("t{}", text.replace(['+', '#', '\0'], "_")));
    let payload = prop_oneof![
        text().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..99),
        Just(b"{\"a\":[1,2.50,null,\"x\"]}".to_vec()),
    ];
    let user = prop::collection::vec((text(), text()), 0..3);
    let client = (prop::option::of(text()), prop::option::of(text()));
    (topic, payload, client, prop::option::of(text()), user).prop_map(
        |(topic, payload, (id, username), content_type, user)| {
            let properties = Properties {
                response_topic: content_type.clone().map(Into::into),
                content_type: content_type.map(Into::into),
                user: user
                    .into_iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                ..Properties::default()
            };
            let client = Client {
                id: id.map(Into::into),
                username: username.map(Into::into),
                address: None,
            };
            events::event(
                Kind::MessagePublish,
                client,
                events::message(&topic, &payload, properties),
            )
        },
    )
}

/// Returns the keys of an object, those within included.
fn keys(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => members.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn no_event_changes_the_shape_of_its_body(event in event()) {
        for (name, config) in formats() {
            let body = body(&config, &event);
            for (header, value) in &body.headers {
                let is_visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
                prop_assert!(is_visible, "{} {}: {:?}", name, header, value);
            }
            let passed_through = body.content_type.is_some();
            if config.format == Format::Raw || passed_through {
                continue;
            }
            let read: Value = serde_json::from_slice(&body.bytes).expect("JSON");
            let evil = keys(&read).into_iter().any(|key| key == "admin" || key == "x");
            prop_assert!(!evil, "{}: {}", name, read);
        }
    }
}

#[test]
fn a_mebibyte_of_anything_has_a_body() {
    for byte in [b'"', b'\0', 0xFF, b'[', b'1'] {
        let payload = vec![byte; 1 << 20];
        let detail = events::message("t", &payload, Properties::default());
        let event = events::event(Kind::MessagePublish, Client::default(), detail);
        for (name, config) in formats() {
            let body = body(&config, &event);
            assert!(
                body.bytes.len() >= 1 << 20,
                "{name} {byte}: {}",
                body.bytes.len()
            );
        }
    }
}

#[test]
fn more_metadata_than_headers_hold_is_refused() {
    let refused = |user: Vec<(String, String)>| {
        let properties = Properties {
            user: user
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            ..Properties::default()
        };
        let detail = events::message("t", b"x", properties);
        let event = events::event(Kind::MessagePublish, Client::default(), detail);
        let formats = formats().into_iter();
        let refused = formats.filter_map(|(name, config)| match config.body(&event) {
            Ok(_) => None,
            Err(Rejected::TooMuchMetadata) => Some(name),
            Err(other) => panic!("{name}: {other}"),
        });
        refused.collect::<Vec<_>>()
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(refused(vec![pair("a", &"x".repeat(10_000))]), [""; 0]);
    // Each would become one header, and a hundred thousand are no reason to fall over.
    assert_eq!(
        refused(vec![pair("", ""); 100_000]),
        ["raw", "cloudevents_binary"]
    );
    assert_eq!(
        refused(vec![pair("a", &"x".repeat(70_000))]),
        ["raw", "cloudevents_binary"]
    );
}
