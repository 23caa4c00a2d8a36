//! Devices that were not seen for long, with a spool of their own.

use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::devices::{Config, Metrics, Registrar, channel};
use crate::spool::store::{Change, Store};
use crate::spool::{self, Backend, Spool, Webhook};

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

#[tokio::test]
async fn what_was_not_seen_for_long_is_decommissioned_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().join("spool");
    let mut store = Store::open(&dir).expect("a directory of ours").store;
    let mut rows: Vec<Change> = (0..600)
        .map(|n| row(&format!("old {n}"), Status::Disconnected, 3 * DAY))
        .collect();
    rows.push(row("fresh", Status::Disconnected, DAY));
    // Nobody has heard of it since mqhook began to listen.
    rows.push(row("unknown", Status::Connected, 3 * DAY));
    store.commit(&rows).expect("writable");
    drop(store);

    let config = spool::Config {
        backend: Backend::Sqlite { dir },
        ..spool::Config::default()
    };
    let webhook = Webhook {
        name: "all".to_owned(),
        durable: true,
        key: None,
        holds_back: false,
    };
    let metrics = spool::MetricsFamily::new(&mut Registry::default());
    let (spool, thread, mut queues) =
        Spool::open(&config, &[webhook], metrics).expect("a directory of ours");
    let config = Config {
        retire_after: Some(2 * DAY),
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
    let route = (Box::new(|_: &Happening| vec![0_usize].into()) as _, vec![0]);
    let registrar = Registrar::new(config, queue, spool.clone(), route, metrics);
    let stop = CancellationToken::new();
    let running = tokio::spawn(registrar.run(stop.clone()));
    let mut gone = std::collections::BTreeSet::new();
    let mut others = Vec::new();
    while gone.len() < 601 || others.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(20), queues[0].fresh.recv()).await;
        let delivery = next.expect("it comes in time").expect("the spool is open");
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
    assert!(!gone.contains("fresh") && gone.contains("unknown"));
    let counts = spool.device_counts().await.expect("it is on disk");
    assert_eq!(counts.devices, 2);
    stop.cancel();
    running.await.expect("it ends in order");
    thread.close();
}
