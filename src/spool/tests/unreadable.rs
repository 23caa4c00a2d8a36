//! What somebody else wrote into the database, and cannot be read.

use super::*;

#[tokio::test]
async fn a_state_that_cannot_be_read_holds_up_nothing_else() {
    let fixture = Fixture::new();
    let running = fixture.open(&[true, true]);
    running.accept(&event(0), &[1], fixture.ledger.open(1));
    fixture.acknowledged(1).await;
    let database = fixture.dir.path().join("spool/spool.db");
    let other = rusqlite::Connection::open(database).expect("it is there");
    let nonsense = "UPDATE webhooks SET status = 'nonsense' WHERE name = 'webhook-0'";
    let disabled = "UPDATE webhooks SET status = 'disabled' WHERE name = 'webhook-1'";
    other.execute_batch(nonsense).expect("it can be written");
    let mut failure = running.spool.failure();
    let failing = failure.wait_for(Option::is_some);
    assert!(tokio::time::timeout(LONG, failing).await.is_ok());
    other.execute_batch(disabled).expect("it can be written");
    for number in 1..4 {
        running.accept(&event(number), &[1], fixture.ledger.open(1));
        fixture.acknowledged(1 + number).await;
        // It is looked at once more meanwhile.
        let failing = failure.wait_for(Option::is_some);
        assert!(tokio::time::timeout(LONG, failing).await.is_ok());
    }
    let mut seen = running.queues[1].state.clone();
    let disabled = seen.wait_for(|state| !state.is_enabled());
    assert!(tokio::time::timeout(LONG, disabled).await.is_ok());
}
