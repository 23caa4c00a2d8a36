//! The log by itself: what goes in comes out, in order, bounded, and whatever happens to its file.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::event::{
    Client, Detail, Event, Happening, Kind, Message, Timestamp, TopicFilter, TopicName,
};
use crate::sink::{Class, Failure, Outcome, Report};
use crate::spool;

mod file;

/// Longest time until the thread has written.
const PATIENCE: Duration = Duration::from_secs(10);

struct World {
    log: DeliveryLog,
    thread: Option<Thread>,
    config: Config,
    dir: TempDir,
}

impl World {
    fn new(config: Config) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (log, thread) = open(&config, &dir);
        Self {
            log,
            thread: Some(thread),
            config,
            dir,
        }
    }

    fn restart(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.close();
        }
        let (log, thread) = open(&self.config, &self.dir);
        (self.log, self.thread) = (log, Some(thread));
    }

    fn attempts(&self, filter: &Filter) -> Vec<Attempt> {
        let page = self.log.attempts(filter, None, 10_000);
        page.expect("it can be read").attempts
    }

    /// Waits until so many attempts are on disk.
    fn wait_for_disk(&self, count: usize) {
        wait_for(&format!("{count} on disk"), || self.on_disk() == count);
    }

    fn on_disk(&self) -> usize {
        let recorded = Recorded::attach(self.dir.path()).expect("it can be read");
        let page = recorded.attempts(&Filter::default(), None, 100_000);
        page.map_or(0, |page| page.attempts.len())
    }
}

fn open(config: &Config, dir: &TempDir) -> (DeliveryLog, Thread) {
    let metrics = Metrics::new(&mut Registry::default());
    DeliveryLog::open(config.clone(), Some(dir.path()), metrics)
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "expected {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn event(topic: &str, bytes: usize) -> Event {
    let topic = TopicName::try_from(ByteString::from(topic)).expect("a topic");
    let message = Message {
        topic,
        payload: Bytes::from(vec![b'x'; bytes]),
        qos: 1,
        retain: false,
        protocol_version: None,
        properties: None,
    };
    let happening = Happening {
        kind: Kind::MessagePublish,
        time: None,
        client: Client::default(),
        detail: Detail::Message(message),
    };
    Event::new(happening, Timestamp::now())
}

fn record(recorder: &mut Recorder, event: &Event, ending: Ending) {
    let failure = Failure {
        detail: "why".to_owned(),
        ..Failure::from(Class::Timeout)
    };
    let outcome = match ending {
        Ending::Delivered => Outcome::Delivered,
        Ending::Retry | Ending::GivenUp => Outcome::Retry(failure),
        Ending::Rejected => Outcome::Rejected(failure),
    };
    let report = Report {
        status: Some(200),
        response: Bytes::from_static(b"answer"),
        ..outcome.into()
    };
    let ended = Ended {
        report: &report,
        at: Instant::now(),
        took: Duration::from_millis(7),
    };
    recorder.record(event, 1, ending, &ended);
}

#[test]
fn what_goes_in_comes_out_newest_first() {
    let world = World::new(Config::default());
    let mut a = world.log.recorder("a");
    let mut b = world.log.recorder("b");
    let events = [event("t/1", 1), event("t/2", 1)];
    record(&mut a, &events[0], Ending::Retry);
    record(&mut b, &events[0], Ending::Delivered);
    record(&mut a, &events[0], Ending::Delivered);
    record(&mut b, &events[1], Ending::Rejected);
    let check = |filter: Filter, expected: &[(&str, Ending)]| {
        let found = world.attempts(&filter);
        let found: Vec<_> = found.iter().map(|it| (&*it.webhook, it.ending)).collect();
        assert_eq!(found, expected, "{filter:?}");
    };
    let all = [
        ("b", Ending::Rejected),
        ("a", Ending::Delivered),
        ("b", Ending::Delivered),
        ("a", Ending::Retry),
    ];
    for _ in 0..2 {
        check(Filter::default(), &all);
        let filter = |set: fn(&mut Filter)| {
            let mut filter = Filter::default();
            set(&mut filter);
            filter
        };
        check(
            filter(|it| it.webhook = Some("a".into())),
            &[all[1], all[3]],
        );
        check(filter(|it| it.ending = Some(Ending::Rejected)), &all[..1]);
        check(
            filter(|it| it.class = Some("timeout".into())),
            &[all[0], all[3]],
        );
        check(
            filter(|it| it.topic = TopicFilter::try_from("+/1").ok()),
            &all[1..],
        );
        check(
            filter(|it| it.topic = TopicFilter::try_from("x/#").ok()),
            &[],
        );
        check(filter(|it| it.kind = Some(Kind::ClientConnect)), &[]);
        check(filter(|it| it.until = Some(Timestamp::from_millis(1))), &[]);
        check(
            filter(|it| it.since = Some(Timestamp::from_millis(1))),
            &all,
        );
        // Once more when all that is written is on disk.
        world.wait_for_disk(2);
    }
    let of_event = Filter {
        event: Some(events[1].id),
        ..Filter::default()
    };
    let found = world.attempts(&of_event);
    assert_eq!(found.len(), 1);
    let attempt = &found[0];
    assert_eq!(attempt.topic.as_deref(), Some("t/2"));
    assert_eq!(attempt.class.as_deref(), Some("timeout"));
    assert_eq!((attempt.status, &*attempt.detail), (Some(200), "why"));
    assert_eq!(
        (attempt.latency.as_millis(), &*attempt.response),
        (7, "answer")
    );
}

#[test]
fn a_cursor_is_not_disturbed_by_what_comes_meanwhile() {
    let world = World::new(Config::default());
    let mut recorder = world.log.recorder("a");
    let mut expected = Vec::new();
    for number in 0..300 {
        let event = event("t", 1);
        let ending = [Ending::Delivered, Ending::Retry, Ending::Retry][number % 3];
        record(&mut recorder, &event, ending);
        expected.push(event.id);
    }
    expected.reverse();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.log.attempts(&Filter::default(), cursor, 7);
        let page = page.expect("it can be read");
        found.extend(page.attempts.iter().map(|attempt| attempt.event));
        record(&mut recorder, &event("t", 1), Ending::Retry);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn failures_survive_a_restart_and_ids_go_on() {
    let mut world = World::new(Config::default());
    for run in 1..=3 {
        let mut recorder = world.log.recorder("a");
        record(&mut recorder, &event("t", 1), Ending::Retry);
        record(&mut recorder, &event("t", 1), Ending::Delivered);
        drop(recorder);
        world.restart();
        let found = world.attempts(&Filter::default());
        assert_eq!(found.len(), run);
        assert!(
            found.is_sorted_by(|one, other| one.id > other.id),
            "{found:?}"
        );
    }
}

#[test]
fn what_was_delivered_and_kept_is_replayed_once_under_its_id() {
    let config = Config {
        successes: Successes::Disk,
        keep_events: true,
        ..Config::default()
    };
    let world = World::new(config);
    let mut store = spool::store::Store::open(world.dir.path())
        .expect("a spool")
        .store;
    let webhook = store.register("a").expect("it can be written");
    let mut recorder = world.log.recorder("a");
    let events = [event("t/1", 1), event("t/2", 1), event("t/3", 1)];
    for event in events.iter().chain(&events[..1]) {
        record(&mut recorder, event, Ending::Delivered);
    }
    record(&mut recorder, &event("t/4", 1), Ending::Retry);
    world.wait_for_disk(5);
    std::thread::sleep(Duration::from_millis(2));
    let mut replay = Replay {
        event: Some(events[1].id),
        ..Replay::default()
    };
    let expected = |delivered| Progress {
        dead_letters: 0,
        delivered,
    };
    assert_eq!(replay.count(&store, &world.log).ok(), Some(expected(0)));
    replay.include_delivered = true;
    assert_eq!(replay.count(&store, &world.log).ok(), Some(expected(1)));
    replay.event = None;
    let done = replay.run(&mut store, &world.log, |_| ());
    assert_eq!(done.ok(), Some(expected(3)));
    let due = Timestamp::now();
    let all = spool::store::Window {
        deliveries: 10,
        bytes: usize::MAX,
    };
    let window = store
        .due(webhook, due, &HashSet::new(), all)
        .expect("it can be read");
    let found: Vec<_> = window.iter().map(|loaded| &loaded.event).collect();
    assert_eq!(found, events.iter().collect::<Vec<_>>());
    assert!(
        found
            .iter()
            .all(|event| store.whereabouts(event.id).is_ok_and(|it| it.len() == 1))
    );
}

#[test]
fn the_newest_of_many_webhooks_are_told_in_order() {
    let metrics = Metrics::new(&mut Registry::default());
    let (log, _thread) = DeliveryLog::open(Config::default(), None, metrics);
    let mut recorders: Vec<_> = ["a", "b", "c"].map(|name| log.recorder(name)).into();
    let mut expected = Vec::new();
    for number in 0..300 {
        let event = event("t", 1);
        record(&mut recorders[number * 7 % 3], &event, Ending::Delivered);
        expected.push(event.id);
    }
    expected.reverse();
    for limit in [1, 2, 10, 299, 300, 400] {
        let page = log
            .attempts(&Filter::default(), None, limit)
            .expect("memory");
        let found: Vec<_> = page.attempts.iter().map(|attempt| attempt.event).collect();
        assert_eq!(found, expected[..limit.min(300)]);
        assert_eq!(page.next.is_some(), limit < 300, "{limit}");
    }
}

#[test]
fn without_a_disk_everything_is_in_memory() {
    let metrics = Metrics::new(&mut Registry::default());
    let (log, _thread) = DeliveryLog::open(Config::default(), None, metrics);
    let mut recorder = log.recorder("a");
    for _ in 0..200 {
        record(&mut recorder, &event("t", 1), Ending::Retry);
        record(&mut recorder, &event("t", 1), Ending::Delivered);
    }
    let page = log.attempts(&Filter::default(), None, 1_000);
    assert_eq!(page.expect("there is nothing to fail").attempts.len(), 256);
}

#[test]
fn a_webhook_that_comes_back_goes_on_and_few_that_are_gone_are_remembered() {
    let metrics = Metrics::new(&mut Registry::default());
    let (log, _thread) = DeliveryLog::open(Config::default(), None, metrics);
    for number in 0..500 {
        let mut recorder = log.recorder(&format!("w{number}"));
        record(&mut recorder, &event("t", 1), Ending::Delivered);
    }
    assert!(log.last_hour(Timestamp::now()).len() <= GONE + 1);
    let mut recorder = log.recorder("w499");
    record(&mut recorder, &event("t", 1), Ending::Delivered);
    let filter = Filter {
        webhook: Some("w499".to_owned()),
        ..Filter::default()
    };
    let page = log.attempts(&filter, None, 10).expect("all is in memory");
    assert_eq!(page.attempts.len(), 2);
}

#[tokio::test]
async fn who_listens_hears_of_attempts() {
    let metrics = Metrics::new(&mut Registry::default());
    let (log, _thread) = DeliveryLog::open(Config::default(), None, metrics);
    let mut recorder = log.recorder("a");
    record(&mut recorder, &event("t", 1), Ending::Delivered);
    let mut listening = log.tap().listen(None).expect("nobody else does");
    let second = event("t", 1);
    record(&mut recorder, &second, Ending::Rejected);
    let Some(crate::tap::Heard::One(attempt)) = listening.next().await else {
        panic!("expected an attempt");
    };
    assert_eq!(
        (attempt.event, attempt.ending),
        (second.id, Ending::Rejected)
    );
}

#[test]
fn what_found_no_room_is_told_with_the_next_that_does() {
    let log = DeliveryLog(Arc::new(Shared {
        config: Config::default(),
        books: Mutex::default(),
        last_id: AtomicU64::new(0),
        queue: Some(Arc::default()),
        dir: None,
        reader: Mutex::default(),
        tap: Tap::default(),
        metrics: Metrics::new(&mut Registry::default()),
    }));
    let event = event("t", 0);
    let mut recorders = ["a", "b", "c"].map(|webhook| log.recorder(webhook));
    // The queue has room for 2,048.
    for (recorder, count) in recorders.iter_mut().zip([1_000, 1_000, 51]) {
        (0..count).for_each(|_| record(recorder, &event, Ending::Retry));
    }
    let queue = log.0.queue.as_deref().expect("it has one");
    let written = |work| match work {
        queue::Work::Write(entries) => entries,
        _ => panic!("expected something to write"),
    };
    written(queue.work(Duration::ZERO));
    record(&mut recorders[2], &event, Ending::Retry);
    let next = written(queue.work(Duration::ZERO));
    assert_eq!(next[0].attempt.left_out, 3);
}
