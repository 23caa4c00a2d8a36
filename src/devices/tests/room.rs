//! Devices of which the broker tells at QoS 0, with a spool that has no room.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::ack::Ticket;
use crate::devices::{Config, Metrics, Registrar, channel};
use crate::event::{Connection, End};
use crate::spool::store::Store;
use crate::spool::{self, AtStart, Backend, OnFull, Spool, Webhook};

const MAX_BYTES: u64 = 1024 * 1024;

fn turn(number: u64) -> Happening {
    let (kind, detail) = if number.is_multiple_of(2) {
        let connection = Connection::default();
        (Kind::ClientConnected, Detail::Connection(connection))
    } else {
        let end = End {
            reason: Reason::Normal,
            connected_at: None,
        };
        (Kind::ClientDisconnected, Detail::End(end))
    };
    Happening {
        kind,
        time: None,
        client: heard(Sight::Seen, 0).client,
        detail,
    }
}

#[tokio::test]
async fn qos_0_beyond_the_bound_is_not_observed_and_makes_no_certainty() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path().join("spool");
    let config = spool::Config {
        backend: Backend::Sqlite { dir: dir.clone() },
        max_memory_bytes: 64 * 1024,
        max_bytes: MAX_BYTES,
        on_full: OnFull::Block,
        ..spool::Config::default()
    };
    let webhook = Webhook {
        name: "dead".to_owned(),
        durable: true,
        put_off: AtStart::Leave,
        holds_back: false,
    };
    let metrics = spool::MetricsFamily::new(&mut Registry::default());
    let opened = Spool::open(&config, &[webhook], metrics);
    let (spool, thread, _queues) = opened.expect("a directory of ours");
    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    let (mut observer, queue) = channel(&Config::default(), metrics.clone());
    let route = (Box::new(|_: &Happening| vec![0_usize].into()) as _, vec![0]);
    let registrar = Registrar::new(Config::default(), queue, spool.clone(), route, metrics);
    let stop = CancellationToken::new();
    let running = tokio::spawn(registrar.run(stop.clone()));
    let before = spool.device_counts().await.expect("it is on disk").watch;
    for number in 0..20_000 {
        observer.observe(&turn(number), &Ticket::none(), Timestamp::now());
        if number % 256 == 255 {
            observer.emptied().await;
            spool.flush().await;
        }
    }
    let counts = spool.device_counts().await.expect("it is on disk");
    stop.cancel();
    running.await.expect("it ends in order");
    thread.close();
    let used = Store::attach(&dir).expect("a spool").used_bytes();
    let used = used.expect("it can be read");
    assert!(used < 2 * MAX_BYTES, "{used} bytes");
    let mut text = String::new();
    encode(&mut text, &registry).expect("writable");
    assert!(!text.contains("unobserved_clients_total 0"), "{text}");
    assert!(counts.watch > before, "what was missed is not known");
}
