//! What is given up.

use super::*;

#[tokio::test]
async fn what_is_given_up_is_acknowledged_when_its_dead_letter_is_on_disk() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let database = fixture.dir.path().join("spool/spool.db");
    let other = rusqlite::Connection::open(database).expect("it is there");
    other.execute_batch("BEGIN IMMEDIATE").expect("it is free");
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    let delivery = running.fresh(0).await;
    delivery.give_up(GaveUp::Rejected, String::new(), Timestamp::now());
    assert_eq!(fixture.acknowledged.load(Ordering::Acquire), 0);
    other.execute_batch("ROLLBACK").expect("it is ours");
    fixture.acknowledged(1).await;
    let letters = fixture
        .attach()
        .dead_letters(&Filter::default(), None, 10)
        .expect("it can be read");
    assert_eq!(letters.len(), 1);
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_and_comes_again_when_replayed() {
    let fixture = Fixture::new();
    let mut running = fixture.open(&[true]);
    let sent = event(1);
    running.accept(&sent, &[0], fixture.ledger.open(1));
    let delivery = running.fresh(0).await;
    delivery.give_up(
        GaveUp::Rejected,
        "answered 400".to_owned(),
        Timestamp::now(),
    );
    running.spool.flush().await;
    fixture.acknowledged(1).await;
    assert_eq!(running.spool.waiting(), 0);

    let mut beside = fixture.attach();
    let everything = Filter::default();
    let letters = beside
        .dead_letters(&everything, None, 10)
        .expect("it can be read");
    let ids: Vec<Id> = letters.iter().map(|letter| letter.event_id).collect();
    assert_eq!(ids, [sent.id]);
    assert_eq!(
        beside.replay(&everything, Timestamp::now(), 10).ok(),
        Some(1)
    );
    let delivery = running.due(0).await;
    assert_eq!(delivery.event().id, sent.id);
    delivery.settle();
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 0);
}
