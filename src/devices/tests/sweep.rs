//! Devices that were not seen for long, with a spool of their own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::devices::{Config, Metrics, Registrar, channel};
use crate::spool::store::{Change, Store};
use crate::spool::{self, AtStart, Backend, Delivery, Queue, Spool, Thread, Webhook};

const DAY: Duration = Duration::from_hours(24);

fn row(id: &str, status: Status, age: Duration) -> Change {
    let now = Timestamp::now().as_millis();
    let seen = Timestamp::from_millis(now - u64::try_from(age.as_millis()).expect("few days"));
    Change::Device(Box::new(DeviceRow {
        id: id.into(),
        username: None,
        address: None,
        status,
        reason: None,
        watch: 0,
        since: seen,
        first_seen: seen,
        last_seen: seen,
    }))
}

/// A registrar with a spool of its own, whose only webhook takes everything.
struct World {
    spool: Spool,
    thread: Thread,
    queue: Queue,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// Starts it on a directory; a client is accepted at once.
    fn start(dir: PathBuf, retire_after: Duration, is_heard: bool) -> Self {
        let config = spool::Config {
            backend: Backend::Sqlite { dir },
            ..spool::Config::default()
        };
        let webhook = Webhook {
            name: "all".to_owned(),
            durable: true,
            put_off: AtStart::Leave,
            holds_back: false,
        };
        let metrics = spool::MetricsFamily::new(&mut Registry::default());
        let (spool, thread, mut queues) =
            Spool::open(&config, &[webhook], metrics).expect("a directory of ours");
        let config = Config {
            retire_after: Some(retire_after),
            ..Config::default()
        };
        let metrics = Metrics::new(&mut Registry::default());
        let (mut observer, queue) = channel(&config, metrics.clone());
        let happening = Happening {
            kind: Kind::ClientConnected,
            time: None,
            client: heard(Sight::Accepted, 0).client,
            detail: Detail::Connection(crate::event::Connection::default()),
        };
        observer.observe(&happening, &crate::ack::Ticket::none(), Timestamp::now());
        if is_heard {
            observer.caught_up(None, std::time::Instant::now());
        }
        let route = (Box::new(|_: &Happening| vec![0_usize].into()) as _, vec![0]);
        let registrar = Registrar::new(config, queue, spool.clone(), route, metrics);
        let stop = CancellationToken::new();
        Self {
            spool,
            thread,
            queue: queues.remove(0),
            running: tokio::spawn(registrar.run(stop.clone())),
            stop,
        }
    }

    async fn next(&mut self) -> Delivery {
        let next = tokio::time::timeout(Duration::from_secs(20), self.queue.fresh.recv()).await;
        next.expect("it comes in time").expect("the spool is open")
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.expect("it ends in order");
        self.thread.close();
    }
}

#[tokio::test]
async fn what_was_not_seen_for_long_is_decommissioned_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().join("spool");
    let mut store = Store::open(&dir).expect("a directory of ours").store;
    let mut rows: Vec<Change> = (0..600)
        .map(|n| row(&format!("old {n}"), Status::Disconnected, 3 * DAY))
        .collect();
    rows.push(row("fresh", Status::Disconnected, DAY));
    // Nobody has heard of it since mqhook began to listen: it may be connected.
    rows.push(row("unknown", Status::Connected, 3 * DAY));
    // It was connected and quiet for long, and is so no more.
    let Change::Device(mut left) = row("left", Status::Disconnected, 3 * DAY) else {
        panic!("expected a device");
    };
    left.since = Timestamp::now();
    rows.push(Change::Device(left));
    store.commit(&rows).expect("writable");
    drop(store);

    let mut world = World::start(dir, 2 * DAY, true);
    let mut gone = BTreeSet::new();
    let mut others = Vec::new();
    while gone.len() < 600 || others.len() < 2 {
        let delivery = world.next().await;
        let event = delivery.event();
        let id = event.client.id.clone().expect("of a device");
        if event.kind == Kind::DeviceDecommissioned {
            let Detail::Device(device) = &event.detail else {
                panic!("expected a device, got {event:?}");
            };
            assert_eq!(device.reason, Some(Reason::NotSeen));
            assert!(gone.insert(id), "told twice");
        } else {
            others.push(id);
        }
        delivery.settle();
    }
    assert_eq!(others, ["dev", "dev"]);
    let kept = ["fresh", "unknown", "left"];
    assert!(!kept.iter().any(|id| gone.contains(*id)));
    let counts = world.spool.device_counts().await.expect("it is on disk");
    assert_eq!(counts.devices, 4);
    world.end().await;
}

#[tokio::test]
async fn nobody_is_missed_while_the_broker_is_not_heard() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().join("spool");
    let mut store = Store::open(&dir).expect("a directory of ours").store;
    let old = row("old", Status::Disconnected, 3 * DAY);
    store.commit(&[old]).expect("writable");
    drop(store);

    let mut world = World::start(dir, 2 * DAY, false);
    for _ in 0..2 {
        let delivery = world.next().await;
        assert_eq!(delivery.event().client.id.as_deref(), Some("dev"));
        delivery.settle();
    }
    // All that a sweep would have told is accepted by now.
    let counts = world.spool.device_counts().await.expect("it is on disk");
    assert_eq!(counts.devices, 2);
    world.end().await;
}
