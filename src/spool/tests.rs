//! The spool with a real database.

mod bounds;
mod coming;
mod giving_up;
mod parked;
mod unreadable;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::store::{Change, Filter, GaveUp, Status, Store};
use super::*;
use crate::ack::{Ledger, UNDER_WAY};
use crate::event::{Client, Detail, Happening, Id, Kind, Message, Timestamp, TopicName};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

struct Fixture {
    dir: TempDir,
    ledger: Ledger,
    acknowledged: Arc<AtomicUsize>,
    changed: Arc<Notify>,
}

struct Running {
    spool: Spool,
    thread: Thread,
    queues: Vec<Queue>,
}

impl Fixture {
    fn new() -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let changed = Arc::new(Notify::new());
        let (count, notify) = (Arc::clone(&acknowledged), Arc::clone(&changed));
        let ledger = Ledger::new(move |_| {
            count.fetch_add(1, Ordering::AcqRel);
            notify.notify_one();
        });
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            ledger,
            acknowledged,
            changed,
        }
    }

    fn config(&self) -> Config {
        Config {
            backend: Backend::Sqlite {
                dir: self.dir.path().join("spool"),
            },
            ..Config::default()
        }
    }

    fn open(&self, durable: &[bool]) -> Running {
        Self::open_with(&self.config(), durable)
    }

    fn open_with(config: &Config, durable: &[bool]) -> Running {
        let webhook = |(index, &durable): (usize, &bool)| Webhook {
            name: format!("webhook-{index}"),
            durable,
            put_off: AtStart::Leave,
            holds_back: false,
        };
        let webhooks: Vec<_> = durable.iter().enumerate().map(webhook).collect();
        let metrics = MetricsFamily::new(&mut Registry::default());
        let (spool, thread, queues) = Spool::open(config, &webhooks, metrics).expect("it opens");
        Running {
            spool,
            thread,
            queues,
        }
    }

    async fn acknowledged(&self, expected: usize) {
        let wait = async {
            while self.acknowledged.load(Ordering::Acquire) < expected {
                // As a connection does that has sent what it was given.
                (0..UNDER_WAY).for_each(|_| self.ledger.sent());
                self.changed.notified().await;
            }
        };
        let in_time = tokio::time::timeout(LONG, wait).await;
        let acknowledged = self.acknowledged.load(Ordering::Acquire);
        assert!(in_time.is_ok(), "{acknowledged} instead of {expected}");
    }

    /// Looks into the database beside the spool.
    fn attach(&self) -> Store {
        Store::attach(&self.dir.path().join("spool")).expect("it is there")
    }
}

impl Running {
    fn accept(&self, event: &Event, webhooks: &[WebhookIndex], ticket: Ticket) {
        self.spool.accept(event.clone(), webhooks, ticket);
    }

    async fn fresh(&mut self, webhook: WebhookIndex) -> Delivery {
        let next = self.queues[webhook].fresh.recv();
        let next = tokio::time::timeout(LONG, next).await;
        next.expect("it comes in time").expect("the spool is open")
    }

    async fn due(&mut self, webhook: WebhookIndex) -> Delivery {
        let next = self.queues[webhook].due.recv();
        let next = tokio::time::timeout(LONG, next).await;
        next.expect("it comes in time").expect("the spool is open")
    }

    /// Ends without a word to the thread's queue of work: what was not committed is lost.
    async fn flush_and_close(self) {
        self.spool.flush().await;
        self.thread.close();
    }
}

fn event(number: usize) -> Event {
    let message = Message {
        topic: TopicName::try_from(ByteString::from_static("a/b")).expect("a name"),
        payload: Bytes::from(number.to_string()),
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

fn number(delivery: &Delivery) -> usize {
    let Detail::Message(message) = &delivery.event().detail else {
        panic!("{delivery:?} is no message");
    };
    let text = std::str::from_utf8(&message.payload).expect("a number");
    text.parse().expect("a number")
}

#[tokio::test]
async fn what_waits_is_acknowledged_when_it_is_on_disk() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true, true]);
    let sent = event(1);
    running.accept(&sent, &[0, 1], fixture.ledger.open(1));
    running.fresh(0).await.settle();
    fixture.acknowledged(1).await;
    let waiting: Vec<u64> = fixture
        .attach()
        .backlog()
        .expect("it can be read")
        .iter()
        .map(store::Backlog::waiting)
        .collect();
    assert_eq!(waiting, [0, 1]);
    drop(running);
    // As after a crash: nothing was said at the end.
    let mut again = fixture.open(&[true, true]);
    let delivery = again.fresh(1).await;
    assert_eq!(**delivery.event(), sent);
    delivery.settle();
    again.flush_and_close().await;
    assert_eq!(fixture.open(&[true, true]).spool.waiting(), 0);
}

#[tokio::test]
async fn a_backlog_comes_in_order_once_and_memory_stays_bounded() {
    const EVENTS: usize = 3 * WINDOW;
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    for number in 0..EVENTS {
        running.accept(&event(number), &[0], fixture.ledger.open(1));
    }
    fixture.acknowledged(EVENTS).await;
    // While something goes from memory to disk it is counted in both.
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), EVENTS);
    assert!(running.queues[0].fresh.len() <= WINDOW);
    for expected in 0..EVENTS {
        if expected == EVENTS / 2 {
            // What comes while the disk is read stays behind what is there.
            for number in EVENTS..EVENTS + 10 {
                running.accept(&event(number), &[0], fixture.ledger.open(1));
            }
        }
        let delivery = running.fresh(0).await;
        assert_eq!(number(&delivery), expected);
        delivery.settle();
    }
    for expected in EVENTS..EVENTS + 10 {
        let delivery = running.fresh(0).await;
        assert_eq!(number(&delivery), expected);
        delivery.settle();
    }
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 0);
    assert!(running.queues[0].fresh.is_empty());
}

#[tokio::test]
async fn what_is_put_off_comes_again_when_it_is_due_and_after_a_restart() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let sent = event(1);
    running.accept(&sent, &[0], fixture.ledger.open(1));
    let mut delivery = running.fresh(0).await;
    let now = Timestamp::now();
    delivery.count_failure(now);
    assert!(
        delivery
            .postpone(now.after(Duration::from_millis(50)))
            .is_none()
    );
    let mut delivery = running.due(0).await;
    assert!(Timestamp::now() >= now.after(Duration::from_millis(50)));
    assert_eq!((delivery.failures, delivery.first_failed), (1, Some(now)));
    assert_eq!(**delivery.event(), sent);
    delivery.count_failure(now);
    assert!(delivery.postpone(now).is_none());
    running.flush_and_close().await;

    let mut again = fixture.open(&[true]);
    let delivery = again.due(0).await;
    assert_eq!(delivery.failures, 2);
    delivery.settle();
    again.spool.flush().await;
    assert_eq!(again.spool.waiting(), 0);
}

#[tokio::test]
async fn a_disabled_webhook_is_enabled_by_another_process() {
    let fixture = Fixture::new();
    let running = fixture.open(&[true]);
    let state = WebhookState {
        status: Status::Disabled,
        reason: "a test".to_owned(),
        ..WebhookState::default()
    };
    running.spool.set_state(0, state.clone());
    running.spool.flush().await;
    let mut beside = fixture.attach();
    let key = beside.register("webhook-0").expect("it is there");
    assert_eq!(beside.state(key).ok(), Some(state));
    let enable = Change::State {
        webhook: key,
        state: WebhookState::default(),
    };
    beside.commit(&[enable]).expect("it can be written");
    let mut seen = running.queues[0].state.clone();
    let enabled = seen.wait_for(WebhookState::is_enabled);
    assert!(tokio::time::timeout(LONG, enabled).await.is_ok());
}

#[tokio::test]
async fn a_webhook_that_is_not_durable_holds_nothing_back_and_is_not_written() {
    let fixture = Fixture::new();
    let running = fixture.open(&[false]);
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    fixture.acknowledged(1).await;
    assert_eq!(running.spool.waiting(), 1);
    running.flush_and_close().await;
    assert_eq!(fixture.open(&[false]).spool.waiting(), 0);
}

#[tokio::test]
async fn without_elision_nothing_is_attempted_before_it_is_on_disk() {
    let fixture = Fixture::new();
    let config = Config {
        elide: false,
        ..fixture.config()
    };
    let mut running = Fixture::open_with(&config, &[true]);
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    let delivery = running.fresh(0).await;
    let on_disk = fixture.attach().backlog().expect("it can be read");
    assert_eq!(on_disk[0].waiting(), 1);
    fixture.acknowledged(1).await;
    delivery.settle();
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 0);
}

#[tokio::test]
async fn a_full_disk_blocks_or_drops_as_configured() {
    const EVENTS: usize = 4 * WINDOW;
    for on_full in [OnFull::Block, OnFull::DropOldest, OnFull::DropNewest] {
        let fixture = Fixture::new();
        let config = Config {
            max_bytes: 1024 * 1024,
            on_full,
            ..fixture.config()
        };
        let running = Fixture::open_with(&config, &[true]);
        let size = event(0).size();
        let mut accepted = 0;
        for number in 0..EVENTS {
            if running.spool.has_room(&[0], size) {
                running.accept(&event(number), &[0], fixture.ledger.open(1));
                accepted += 1;
            }
            if number % 256 == 0 {
                running.spool.flush().await;
            }
        }
        running.spool.flush().await;
        fixture.acknowledged(accepted).await;
        let waiting = running.spool.waiting();
        match on_full {
            OnFull::Block => assert!(waiting == accepted && accepted < EVENTS),
            OnFull::DropOldest | OnFull::DropNewest => {
                assert!(
                    accepted == EVENTS && waiting < EVENTS,
                    "{on_full:?} {waiting}"
                );
            }
        }
        let used = fixture.attach().used_bytes().expect("it can be read");
        assert!(used < 2 * config.max_bytes, "{used} bytes");
    }
}

#[tokio::test]
async fn what_is_too_old_is_dropped() {
    let fixture = Fixture::new();
    let running = fixture.open(&[true]);
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    fixture.acknowledged(1).await;
    running.thread.close();
    drop(running.queues);
    let config = Config {
        max_age: Duration::ZERO,
        ..fixture.config()
    };
    let again = Fixture::open_with(&config, &[true]);
    let wait = async {
        while again.spool.waiting() > 0 {
            again.spool.flush().await;
        }
    };
    assert!(tokio::time::timeout(LONG, wait).await.is_ok());
}
