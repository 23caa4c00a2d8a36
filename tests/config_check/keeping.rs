//! What is kept, for how long, and when it is tried again.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mqhook::config::hocon::Outside;
use mqhook::config::{Config, Webhook, load};
use mqhook::event::TopicName;
use mqhook::retry::{Exponential, FailureLimit, OnGone, Policy, Schedule, breaker};
use mqhook::spool::{self, Backend, DeadLetters, OnFull, default_dir};

use crate::good::read;
use crate::world::World;

/// Reads what stands in a webhook beside its URL and its rules.
pub fn webhook(keys: &str) -> Webhook {
    let text = format!(
        "[webhooks.w]\nurl = \"http://h\"\nevents = [{{ event = \"on_client_connack\" }}]\n{keys}"
    );
    let webhook = read("m.toml", &text).webhooks.pop();
    webhook.expect("there is one")
}

fn spool(keys: &str) -> spool::Config {
    read("m.toml", &format!("webhooks = {{}}\n[spool]\n{keys}")).spool
}

#[test]
fn without_keys_the_defaults_hold() {
    assert_eq!(spool(""), spool::Config::default());
    let webhook = webhook("");
    assert!(webhook.durable);
    assert_eq!(webhook.retry, Policy::default());
    assert_eq!(webhook.breaker, breaker::Config::default());
    assert_eq!(webhook.failure_limit, FailureLimit::default());
    assert!(webhook.http.retry_statuses.is_empty());
}

#[test]
fn every_key_of_the_spool_counts() {
    let text = r#"
        dir = "state"
        max_memory = "32 MiB"
        max_bytes = "2GiB"
        max_age = "14d"
        on_full = "drop_newest"
        elide = false
        dead_letters = { max_bytes = 0, max_age = "1d" }"#;
    let expected = spool::Config {
        backend: Backend::Sqlite {
            dir: PathBuf::from("state"),
        },
        max_memory_bytes: 32 << 20,
        max_bytes: 2 << 30,
        max_age: Duration::from_hours(14 * 24),
        on_full: OnFull::DropNewest,
        elide: false,
        dead_letters: DeadLetters {
            max_bytes: 0,
            max_age: Duration::from_hours(24),
        },
    };
    assert_eq!(spool(text), expected);
    assert_eq!(spool("backend = \"memory\"").backend, Backend::Memory);
}

/// A world with one file and systemd's variable.
struct Unit(&'static str);

impl Outside for Unit {
    fn env(&self, name: &str) -> Option<String> {
        (name == "STATE_DIRECTORY").then(|| "/var/lib/mqhook:/var/lib/other".to_owned())
    }

    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.to_owned())
    }
}

#[test]
fn the_database_is_where_the_file_says_else_where_systemd_says_else_here() {
    let dir = |config: Config| match config.spool.backend {
        Backend::Sqlite { dir } => dir,
        Backend::Memory => panic!("expected a database"),
    };
    let check = |text, expected: &str| {
        let config = load(Path::new("/etc/mqhook/m.toml"), &Unit(text)).config;
        let dir = dir(config.expect("nothing is wrong with it"));
        assert_eq!(dir, Path::new(expected), "{text}");
    };
    check("webhooks = {}", "/var/lib/mqhook");
    check("webhooks = {}\n[spool]\nelide = true", "/var/lib/mqhook");
    check("webhooks = {}\nspool.dir = \"/srv/hook\"", "/srv/hook");
    check("webhooks = {}\nspool.dir = \"state\"", "/etc/mqhook/state");
    assert_eq!(dir(read("m.toml", "webhooks = {}")), default_dir(None));
    let elide = "webhooks = {}\nspool.elide = true";
    assert_eq!(dir(read("m.toml", elide)), default_dir(None));
}

#[test]
fn a_schedule_is_a_list_or_a_word_or_grows() {
    let check = |keys: &str, expected: Schedule| {
        assert_eq!(webhook(keys).retry.schedule, expected, "{keys}");
    };
    let list = |seconds: &[u64]| {
        let delays = seconds.iter().copied().map(Duration::from_secs);
        Schedule::List(delays.collect())
    };
    check("retry.schedule = [\"5s\", \"1.5m\"]", list(&[5, 90]));
    check("retry.schedule = []", list(&[]));
    check("retry.schedule = \"hourly\"", list(&[3_600; 24]));
    check("retry.schedule = \"Hourly\"", list(&[3_600; 24]));
    let growing = Exponential::default();
    check(
        "retry.exponential = {}",
        Schedule::Exponential(growing.clone()),
    );
    check(
        "retry.exponential = { factor = 1.5, for = \"12h\" }",
        Schedule::Exponential(Exponential {
            factor: 1.5,
            for_: Duration::from_hours(12),
            ..growing
        }),
    );
}

#[test]
fn every_key_beside_the_schedule_counts() {
    let webhook = webhook(
        r#"
        durable = false
        retry = { retry_after_max = "0s", statuses = [404, 302], on_gone = "reject" }
        breaker = { failures = 3, initial = "2s", max = "1m" }
        failure_limit = { deliveries = 100, time = "5d" }"#,
    );
    assert!(!webhook.durable);
    let policy = Policy {
        schedule: Schedule::default(),
        retry_after_max: Duration::ZERO,
        on_gone: OnGone::Reject,
    };
    assert_eq!(webhook.retry, policy);
    let statuses = webhook.http.retry_statuses.iter().copied();
    let statuses: Vec<u16> = statuses.map(|status| status.as_u16()).collect();
    assert_eq!(statuses, [404, 302]);
    let breaker = breaker::Config {
        failures: NonZeroU32::new(3).expect("it is not zero"),
        initial: Duration::from_secs(2),
        max: Duration::from_mins(1),
    };
    assert_eq!(webhook.breaker, breaker);
    let limit = FailureLimit {
        deliveries: NonZeroU32::new(100),
        time: Some(Duration::from_hours(5 * 24)),
    };
    assert_eq!(webhook.failure_limit, limit);
}

#[test]
fn notices_go_to_a_topic_or_nowhere() {
    let check = |topic: &str, expected: Option<&str>| {
        let text = format!("webhooks = {{}}\nnotify.topic = \"{topic}\"");
        let config = read("m.toml", &text);
        let topic = config.notify.topic.as_ref().map(TopicName::as_str);
        assert_eq!(topic, expected);
    };
    check("", None);
    check("mqhook/notices", Some("mqhook/notices"));
}

#[test]
fn a_schedule_that_lasts_longer_than_events_do_is_warned_of() {
    let check = |max_age: &str, retry: &str, expected: usize| {
        for name in ["webhook", "webhooks.w"] {
            let webhook = "{ url = \"http://h\", events = [{ event = on_client_connack }] }";
            let text = format!("{name} {webhook}\n{name}.retry {retry}\nspool.max_age = {max_age}");
            let reading = load(Path::new("m.conf"), &World::with("m.conf", &text));
            let shown = reading.render(false);
            assert_eq!(reading.problems().len(), expected, "{text}\n{shown}");
            assert!(reading.config.is_some(), "{text}\n{shown}");
        }
    };
    check("1s", "{}", 0);
    check("2s", "{ schedule = [1s, 1s] }", 0);
    check("2s", "{ schedule = [1s, 2s] }", 1);
    check("2s", "{ exponential.for = 2s }", 0);
    check("2s", "{ exponential.for = 3s }", 1);
    check("2s", "{ exponential.max = 1h }", 0);
    check("2s\nspool.backend = memory", "{ schedule = [1s, 2s] }", 1);
}

#[test]
fn what_mqtt_cannot_carry_is_refused_before_it_connects() {
    let check = |key: &str, length: usize, expected: bool| {
        let text = "webhooks = {}\nbroker = { username = \"u\", password = \"p\" }\n";
        let letter = if key == "username" { "\"u\"" } else { "\"p\"" };
        let text = text.replace(letter, &format!("\"{}\"", "x".repeat(length)));
        let reading = load(Path::new("m.toml"), &World::with("m.toml", text));
        assert_eq!(
            reading.config.is_some(),
            expected,
            "{key} of {length} bytes"
        );
    };
    for key in ["username", "password"] {
        check(key, 65_535, true);
        check(key, 65_536, false);
    }
}
