//! What waits keeps within what it may take on disk, and leaves others alone.

use super::*;

const MAX_BYTES: u64 = 1 << 20;

/// Returns a spool for these webhooks with little room on disk.
fn small(fixture: &Fixture, durable: &[bool]) -> Running {
    let config = Config {
        max_bytes: MAX_BYTES,
        ..fixture.config()
    };
    Fixture::open_with(&config, durable)
}

/// Accepts for the first webhook, each of whose attempts fails, until there is no room.
async fn fill(fixture: &Fixture, running: &mut Running) {
    const LATER: Duration = Duration::from_hours(1);
    let size = event(0).size();
    for number in 0..100_000 {
        if !running.spool.has_room(&[0], size) {
            running.spool.flush().await;
            return;
        }
        running.accept(&event(number), &[0], fixture.ledger.open(1));
        while let Ok(delivery) = running.queues[0].fresh.try_recv() {
            let next = Timestamp::now().after(LATER);
            assert!(delivery.postpone(next).is_none());
        }
    }
    panic!("there is no bound");
}

#[tokio::test]
async fn what_leaves_memory_as_it_fails_keeps_within_the_bound() {
    let fixture = Fixture::new();
    let mut running = small(&fixture, &[true]);
    let used = || fixture.attach().used_bytes().expect("it can be read");
    // What is only in memory counts double, so there is room again when it is on disk.
    for _ in 0..20 {
        fill(&fixture, &mut running).await;
        assert!(used() <= MAX_BYTES, "{} bytes", used());
    }
    assert!(used() > MAX_BYTES / 2, "{} bytes", used());
}

#[tokio::test]
async fn a_backlog_leaves_room_for_a_webhook_that_keeps_up() {
    let fixture = Fixture::new();
    let mut running = small(&fixture, &[true, true]);
    while running.spool.0.disk.has_room_again() {
        fill(&fixture, &mut running).await;
    }
    let size = event(0).size();
    for number in 0..1_000 {
        assert!(running.spool.has_room(&[1], size), "{number}");
        running.accept(&event(number), &[1], fixture.ledger.open(1));
        running.fresh(1).await.settle();
    }
}
