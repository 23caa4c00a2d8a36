//! A disk that takes seconds for a write: reading pauses, the connection is kept, and nothing is lost.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use support::receiver::Behaviour;

use super::{EVENTS, WAITING, dropped, publish, start, wait_for_accepted};

/// Together sixteen times what may wait to be written.
const MESSAGES: u64 = 2_000;
const PAYLOAD_BYTES: usize = 1_024;

/// Longer than Mosquitto 2.0 takes to find out that a client whose Keep Alive is 5 s sends nothing: it does not look all the
/// time.
const LAG: Duration = Duration::from_secs(14);

#[tokio::test]
async fn while_the_disk_lags_reading_pauses_keep_alive_goes_on_and_nothing_is_lost() {
    let keys = "broker.keep_alive = \"5s\"\nspool.max_memory = \"1MiB\"\n";
    let setup = start(keys).await;
    setup.receiver.set(Behaviour::Status(503));
    let database = setup.sidecar.directory().join("mqhook-spool/spool.db");
    let other = Connection::open(database).expect("the spool is there");
    other
        .execute_batch("BEGIN IMMEDIATE")
        .expect("nobody writes for long");
    let began = Instant::now();
    publish(&setup, MESSAGES, PAYLOAD_BYTES).await;
    tokio::time::sleep(LAG.saturating_sub(began.elapsed())).await;
    let events = setup.metric(EVENTS).await;
    // At most what memory holds, if all comes before the first is to be written.
    assert!(
        events < MESSAGES / 2,
        "expected few events while nothing can be written, and there are {events}"
    );
    let log = setup.broker.log();
    assert!(!log.contains("exceeded timeout"), "{log}");
    other.execute_batch("COMMIT").expect("it changes nothing");
    drop(other);

    setup.receiver.set(Behaviour::Status(200));
    wait_for_accepted(&setup, MESSAGES).await;
    let arrivals = setup.receiver.arrivals(0);
    let accepted = arrivals.iter().filter(|arrival| arrival.is_accepted());
    assert_eq!(accepted.count() as u64, MESSAGES, "something came twice");
    assert_eq!(dropped(&setup).await, 0);
    let log = setup.broker.log();
    assert!(!log.contains("exceeded timeout"), "{log}");
    setup.wait_for_metric(WAITING, |waiting| waiting == 0).await;
}
