//! A disk that takes no more, everywhere: the kernel refuses writes beyond a file size.

use support::publisher::{Plan, Publisher};
use support::receiver::Behaviour;
use support::setup::Setup;

use super::{PATIENCE, dropped, start, wait_for_accepted};

const KIB: u64 = 1 << 10;

/// Four times what may be written, and more than the memory holds.
const MESSAGES: u64 = 6_000;
const PAYLOAD_BYTES: usize = 1_024;

/// Takes events, of which each write fails once the log of the database has its largest size.
async fn fill() -> Setup {
    let mut setup = start("spool.max_memory = \"1MiB\"\nshutdown_grace = \"1s\"\n").await;
    setup.receiver.set(Behaviour::Status(503));
    setup.sidecar.limit_file_size(Some(1_500 * KIB));
    let plan = Plan::burst(MESSAGES, PAYLOAD_BYTES);
    let publisher = Publisher::start(setup.broker.port(), plan);
    setup.wait_unready(&["spool: "]).await;
    // The broker takes the rest, and keeps it.
    publisher.wait_for(MESSAGES, PATIENCE).await;
    setup
}

#[tokio::test]
async fn nothing_is_lost_when_writes_fail_for_a_while() {
    let mut setup = fill().await;
    assert_eq!(setup.sidecar.ended(), None);
    setup.sidecar.limit_file_size(None);
    setup.wait_ready().await;
    setup.receiver.set(Behaviour::Status(200));
    wait_for_accepted(&setup, MESSAGES).await;
    assert_eq!(dropped(&setup).await, 0);
}

#[tokio::test]
async fn nothing_is_lost_by_a_kill_while_writes_fail() {
    let mut setup = fill().await;
    setup.sidecar.kill();
    setup.receiver.set(Behaviour::Status(200));
    setup.sidecar.start_again();
    setup.wait_ready().await;
    wait_for_accepted(&setup, MESSAGES).await;
}
