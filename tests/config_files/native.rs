//! `mqhook.toml` and `mqhook.conf`: what they say is what holds without them.

use mqhook::config::{self, Config, Webhook, hocon};
use mqhook::event::{Kind, TopicFilter};
use mqhook::rule::Rule;

use super::{NATIVE, path, text};

/// Returns the defaults, with the webhook of the files.
fn defaults() -> Config {
    let url = "http://127.0.0.1:8080/hook".parse().expect("it is a URL");
    let mut webhook = Webhook::new("example", url);
    webhook.rules = [
        (Kind::MessagePublish, "sensors/#"),
        (Kind::ClientConnack, "#"),
        (Kind::ClientDisconnected, "#"),
    ]
    .map(|(kind, topic)| {
        Rule::new(
            kind,
            TopicFilter::try_from(topic).expect("it is a topic filter"),
        )
    })
    .to_vec();
    Config {
        webhooks: vec![webhook],
        ..Config::new()
    }
}

#[test]
fn every_value_is_the_default() {
    for name in NATIVE {
        let reading = config::load(&path(name), &hocon::System);
        assert!(reading.problems().is_empty(), "{}", reading.render(false));
        let config = reading.config.expect("nothing is wrong with it");
        assert_eq!(
            format!("{config:#?}"),
            format!("{:#?}", defaults()),
            "{name}"
        );
    }
}

#[test]
fn check_says_that_they_are_good() {
    for name in NATIVE {
        let said = super::check(name);
        assert!(
            said.ends_with("the configuration is good\n"),
            "{name}: {said}"
        );
    }
}

#[test]
fn every_kind_of_event_is_named() {
    for name in NATIVE {
        let text = text(name);
        for kind in Kind::ALL {
            assert!(text.contains(kind.name()), "{name} does not name {kind}");
        }
    }
}
