//! What waits behind others of its key.

use super::*;
use crate::event::{End, Reason};

const KEY: Key = Key::of(77);

/// Opens the spool for one webhook whose deliveries must come in order.
fn open(fixture: &Fixture) -> Running {
    open_with(fixture, AtStart::Tell(|_| Some(KEY)))
}

fn open_with(fixture: &Fixture, put_off: AtStart) -> Running {
    let webhooks = [Webhook {
        name: "webhook-0".to_owned(),
        durable: true,
        put_off,
        holds_back: true,
    }];
    let metrics = MetricsFamily::new(&mut Registry::default());
    let opened = Spool::open(&fixture.config(), &webhooks, metrics);
    let (spool, thread, queues) = opened.expect("it opens");
    Running {
        spool,
        thread,
        queues,
    }
}

impl Running {
    async fn ask(&mut self, what: What) -> Found<Delivery> {
        self.spool.ask(0, Question { key: KEY, what });
        let answer = tokio::time::timeout(LONG, self.queues[0].answers.recv()).await;
        let answer = answer
            .expect("it comes in time")
            .expect("the spool is open");
        assert_eq!(answer.question, Question { key: KEY, what });
        answer.found
    }

    /// Asks for what is parked; returns that, and whether there may be more.
    async fn parked(&mut self, after: Seq, limit: usize) -> (Vec<Delivery>, bool) {
        match self.ask(What::Parked { after, limit }).await {
            Found::Parked(deliveries, has_more) => (deliveries, has_more),
            other @ Found::PutOff(_) => panic!("{other:?}"),
        }
    }
}

fn numbers(deliveries: &[Delivery]) -> Vec<usize> {
    deliveries.iter().map(number).collect()
}

#[tokio::test]
async fn what_is_parked_comes_in_order_when_it_is_asked_for_and_is_fresh_after_a_crash() {
    let fixture = Fixture::new();
    let mut running = open(&fixture);
    for number in 0..5 {
        running.accept(&event(number), &[0], fixture.ledger.open(1));
    }
    let mut deliveries = Vec::new();
    for _ in 0..5 {
        deliveries.push(running.fresh(0).await);
    }
    // It does not matter in which order they are parked.
    for delivery in deliveries.drain(..).rev() {
        assert!(delivery.park(KEY).is_none());
    }
    fixture.acknowledged(5).await;
    let (first, has_more) = running.parked(Seq(0), 2).await;
    assert_eq!((numbers(&first), has_more), (vec![0, 1], true));
    let last = first.last().map(Delivery::seq).expect("two have come");
    let (next, _) = running.parked(last, 9).await;
    assert_eq!(numbers(&next), [2, 3, 4]);
    let (none, has_more) = running.parked(next[2].seq(), 9).await;
    assert!(none.is_empty() && !has_more);
    // One ends, one is parked as it was.
    let mut first = first.into_iter();
    first.next().expect("two have come").settle();
    assert!(first.next().expect("two have come").park(KEY).is_none());
    running.spool.flush().await;
    assert_eq!(running.spool.waiting(), 4);
    drop((running, next));

    let mut again = open(&fixture);
    for expected in 1..5 {
        let delivery = again.fresh(0).await;
        assert_eq!(number(&delivery), expected);
        delivery.settle();
    }
    again.flush_and_close().await;
    assert_eq!(open(&fixture).spool.waiting(), 0);
}

#[tokio::test]
async fn a_restart_tells_which_deliveries_hold_up_others() {
    let fixture = Fixture::new();
    let mut running = open(&fixture);
    running.accept(&event(1), &[0], fixture.ledger.open(1));
    let mut delivery = running.fresh(0).await;
    let (seq, now) = (delivery.seq(), Timestamp::now());
    delivery.count_failure(now);
    let due = now.after(Duration::from_mins(1));
    assert!(delivery.postpone(due).is_none());
    let put_off = |found| matches!(found, Found::PutOff(true));
    assert!(put_off(running.ask(What::PutOff { seq, due }).await));
    let earlier = What::PutOff { seq, due: now };
    assert!(!put_off(running.ask(earlier).await));
    running.flush_and_close().await;

    let again = open(&fixture);
    let expected = PutOff {
        key: KEY,
        seq,
        due,
        first_failed: Some(now),
        is_held_back: false,
    };
    assert_eq!(again.queues[0].put_off, [expected]);
}

#[tokio::test]
async fn what_is_to_be_fresh_again_after_a_restart_comes_at_once_and_in_order() {
    let fixture = Fixture::new();
    let mut running = open(&fixture);
    let now = Timestamp::now();
    for number in 0..3 {
        running.accept(&event(number), &[0], fixture.ledger.open(1));
        let mut delivery = running.fresh(0).await;
        delivery.count_failure(now);
        let wait = Duration::from_hours(9 - number as u64);
        assert!(delivery.postpone(now.after(wait)).is_none());
    }
    running.flush_and_close().await;

    let mut again = open_with(&fixture, AtStart::Refresh);
    assert_eq!(again.spool.waiting(), 3);
    for expected in 0..3 {
        let delivery = again.fresh(0).await;
        assert_eq!(number(&delivery), expected);
        assert_eq!((delivery.failures, delivery.first_failed), (1, Some(now)));
        delivery.settle();
    }
    again.flush_and_close().await;
    let empty = open(&fixture);
    assert_eq!(empty.spool.waiting(), 0);
}

#[tokio::test]
async fn what_is_held_back_stays_so_over_a_restart_and_what_a_probe_put_off_does_not() {
    let leave = || {
        let happening = Happening {
            kind: Kind::ClientDisconnected,
            time: None,
            client: Client {
                id: Some("dev".into()),
                ..Client::default()
            },
            detail: Detail::End(End {
                reason: Reason::Normal,
                connected_at: None,
            }),
        };
        Event::new(happening, Timestamp::now())
    };
    let due = Timestamp::now().after(Duration::from_hours(1));
    let start: [fn() -> AtStart; 2] = [|| AtStart::Refresh, || AtStart::Leave];
    for (put_off, is_fresh) in start.into_iter().zip([true, false]) {
        let fixture = Fixture::new();
        let mut running = open_with(&fixture, put_off());
        let told = Told {
            event: leave(),
            now: SmallVec::new(),
            later: SmallVec::from_iter([(0, due)]),
        };
        let numbers = running.spool.record([], [told], Ticket::none());
        running.accept(&leave(), &[0], fixture.ledger.open(1));
        let delivery = running.fresh(0).await;
        let attempted = delivery.seq();
        // Before the first attempt the receiver was found to be away.
        assert!(delivery.postpone(due).is_none());
        running.flush_and_close().await;

        let mut again = open_with(&fixture, put_off());
        let held: Vec<Seq> = again
            .spool
            .held_back(|_| true)
            .iter()
            .map(|it| it.seq)
            .collect();
        assert_eq!(held, numbers.to_vec());
        if is_fresh {
            assert_eq!(again.fresh(0).await.seq(), attempted);
        }
        again.spool.flush().await;
        assert!(again.queues[0].fresh.try_recv().is_err());
        assert_eq!(again.spool.waiting(), 2);
    }
}

#[tokio::test]
async fn a_crash_spares_what_is_on_disk_and_what_the_broker_has() {
    let fixture = Fixture::new();
    let mut running = open(&fixture);
    running.accept(&event(0), &[0], fixture.ledger.open(1));
    let from_broker = running.fresh(0).await;
    assert!(from_broker.survives());
    running.accept(&event(1), &[0], Ticket::none());
    let in_memory = running.fresh(0).await;
    assert!(!in_memory.survives());
    running.spool.flush().await;
    assert!(in_memory.survives(), "it is on disk now");
}

#[tokio::test]
async fn what_was_put_off_is_taken_away_by_its_number() {
    let fixture = Fixture::new();
    let mut running = open(&fixture);
    running.accept(&event(0), &[0], fixture.ledger.open(1));
    let delivery = running.fresh(0).await;
    let (seq, due) = (
        delivery.seq(),
        Timestamp::now().after(Duration::from_mins(1)),
    );
    assert!(delivery.postpone(due).is_none());
    running.spool.supersede(0, seq, due);
    running.flush_and_close().await;
    assert_eq!(open(&fixture).spool.waiting(), 0);
}
