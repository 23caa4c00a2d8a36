//! What the thread does, by a clock of the test's.

use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use bytestring::ByteString;
use prometheus_client::registry::Registry;

use super::*;
use crate::ack::Ticket;
use crate::event::{Client, Connection, Detail, Happening, Kind};
use crate::spool::accepted::Webhooks;
use crate::spool::account::Account;
use crate::spool::account::Keeping;
use crate::spool::delivery::Hold;
use crate::spool::disk::Disk;
use crate::spool::slots::Slots;
use crate::spool::store::{Store, WebhookKey};
use crate::spool::{MetricsFamily, OnFull, Queue};

/// One durable webhook, whose store nobody looks at.
struct Fixture {
    spool: Arc<Inner>,
    agenda: Agenda,
    start: Instant,
    webhook: WebhookKey,
    _queue: Queue,
}

fn account(spool: &Inner) -> Arc<Account> {
    spool.accounts.of(0).expect("it is there")
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut store = Store::open(dir.path()).expect("it opens").store;
        let webhook = store.register("webhook").expect("it can be written");
        let metrics = MetricsFamily::new(&mut Registry::default());
        let keeping = Keeping::Durable(webhook);
        let (account, queue) = Account::new(keeping, 1_000_000, metrics.of("webhook"));
        let spool = Arc::new(Inner {
            accounts: Slots::new(vec![account], 1_000_000),
            journal: None,
            disk: Disk::new(1_000_000, 1_000_000),
            accepted: AtomicU64::new(1),
            on_full: OnFull::Block,
            elide: true,
            metrics,
            changed: tokio::sync::Notify::new(),
            foreign: tokio::sync::Notify::new(),
            held_back: std::sync::Mutex::default(),
            tap: crate::tap::Tap::default(),
        });
        let stock = Stock {
            is_served: true,
            ..Stock::default()
        };
        let start = Instant::now();
        let mut agenda = Agenda::new(Seq(1), vec![stock], start);
        agenda.sweep = start + SWEEP;
        Self {
            spool,
            agenda,
            start,
            webhook,
            _queue: queue,
        }
    }

    fn accept(&mut self, spilled: &[WebhookIndex]) -> Arc<Accepted> {
        let happening = Happening {
            kind: Kind::ClientConnected,
            time: None,
            client: Client {
                id: Some(ByteString::from_static("c")),
                ..Client::default()
            },
            detail: Detail::Connection(Connection::default()),
        };
        let event = Arc::new(Event::new(happening, Timestamp::now()));
        let seq = self.agenda.take_seq();
        let open = Webhooks::from_slice(&[0]);
        let accepted = Arc::new(Accepted::new(seq, Ticket::none(), open, 0));
        if spilled.is_empty() {
            account(&self.spool).hold(event.size());
        }
        self.agenda.accept(&self.spool, &event, &accepted, spilled);
        self.agenda.tick.get_or_insert(self.start + TICK);
        accepted
    }

    fn next(&mut self, ticks: u32, ms: u64) -> Work {
        let now = self.start + TICK * ticks;
        self.agenda
            .next(&self.spool, now, Timestamp::from_millis(ms))
    }

    fn commit(&mut self, ticks: u32) -> Batch {
        match self.next(ticks, 0) {
            Work::Commit(Some(batch)) => batch,
            other => panic!("{other:?} instead of a commit"),
        }
    }
}

#[test]
fn what_is_delivered_within_two_ticks_is_never_written() {
    let mut fixture = Fixture::new();
    let accepted = fixture.accept(&[]);
    assert!(matches!(fixture.next(1, 0), Work::Sleep(_)));
    accepted.settle(0);
    assert!(matches!(fixture.next(2, 0), Work::Sleep(_)));
    assert!(fixture.agenda.batch.is_empty());
    assert_eq!(fixture.agenda.tick, None);
}

#[test]
fn what_waits_for_a_lane_that_gets_on_is_written_when_patience_ends() {
    let mut fixture = Fixture::new();
    let spool = Arc::clone(&fixture.spool);
    fixture.accept(&[]);
    for tick in 1..Flow::TICKS {
        // One other delivery with each tick.
        account(&spool).hold(1);
        account(&spool).release(1);
        assert!(matches!(fixture.next(tick, 0), Work::Sleep(_)), "{tick}");
    }
    assert_eq!(fixture.commit(Flow::TICKS).changes.len(), 1);
}

#[test]
fn what_waits_is_written_soon_when_its_lane_comes_to_a_halt() {
    let mut fixture = Fixture::new();
    let spool = Arc::clone(&fixture.spool);
    account(&spool).hold(1);
    account(&spool).release(1);
    fixture.accept(&[]);
    for tick in 1..5 {
        assert!(matches!(fixture.next(tick, 0), Work::Sleep(_)), "{tick}");
    }
    assert_eq!(fixture.commit(5).changes.len(), 1);
}

#[test]
fn what_waits_is_committed_at_the_second_tick() {
    let mut fixture = Fixture::new();
    fixture.accept(&[]);
    assert!(matches!(fixture.next(0, 0), Work::Sleep(wait) if wait == TICK));
    assert!(matches!(fixture.next(1, 0), Work::Sleep(wait) if wait == TICK));
    let batch = fixture.commit(2);
    assert_eq!(batch.changes.len(), 1);
    fixture.agenda.committed(&fixture.spool, &batch);
    assert!(matches!(fixture.next(2, 0), Work::Sleep(_)));
}

#[test]
fn what_is_on_disk_only_is_read_when_it_is_committed() {
    let mut fixture = Fixture::new();
    fixture.accept(&[0]);
    let accepted = fixture.accept(&[0]);
    // Nothing is there yet.
    assert!(matches!(fixture.next(0, 0), Work::LoadFresh(0)));
    assert!(!fixture.agenda.loaded(0, None, false));
    assert!(matches!(fixture.next(0, 0), Work::Sleep(_)));
    let batch = fixture.commit(1);
    fixture.agenda.committed(&fixture.spool, &batch);
    assert!(matches!(fixture.next(1, 0), Work::LoadFresh(0)));
    assert!(fixture.agenda.loaded(0, Some(accepted.seq), true));
    assert!(matches!(fixture.next(1, 0), Work::Sleep(_)));
}

#[test]
fn reads_and_commits_take_turns() {
    let mut fixture = Fixture::new();
    fixture.accept(&[0]);
    assert!(matches!(fixture.next(1, 0), Work::Commit(Some(_))));
    fixture.accept(&[0]);
    fixture.agenda.is_ripe = true;
    assert!(matches!(fixture.next(1, 0), Work::LoadFresh(0)));
    assert!(matches!(fixture.next(1, 0), Work::Commit(Some(_))));
}

#[test]
fn a_lane_with_no_memory_left_is_not_loaded() {
    let mut fixture = Fixture::new();
    fixture.accept(&[0]);
    let hold = Hold::new(&fixture.spool, 0, &account(&fixture.spool), 1_000_000);
    let batch = fixture.commit(1);
    fixture.agenda.committed(&fixture.spool, &batch);
    assert!(matches!(fixture.next(1, 0), Work::Sleep(_)));
    drop(hold);
    assert!(matches!(fixture.next(1, 0), Work::LoadFresh(0)));
}

#[test]
fn a_retry_is_read_when_it_is_due_and_not_twice() {
    let mut fixture = Fixture::new();
    fixture.agenda.stocks[0].moved(Seq(0), Some(Timestamp::from_millis(50)));
    assert!(matches!(fixture.next(0, 20), Work::Sleep(wait) if wait == Duration::from_millis(30)));
    assert!(matches!(fixture.next(0, 50), Work::LoadDue(0)));
    fixture.agenda.stocks[0].next_due = None;
    fixture.agenda.stocks[0].retries.insert(Seq(7));
    // It fails again: until that is on disk, it must not be read as it was.
    fixture.agenda.batch.moved.push(Moved {
        webhook: 0,
        seq: Seq(7),
        next: Some(Timestamp::from_millis(90)),
    });
    fixture.agenda.batch.changes.push(Change::Settle {
        webhook: fixture.webhook,
        seq: Seq(7),
        due: crate::spool::store::Due::Fresh,
    });
    fixture.agenda.tick = Some(fixture.start);
    let batch = fixture.commit(0);
    assert_eq!(fixture.agenda.stocks[0].retries.len(), 1);
    fixture.agenda.committed(&fixture.spool, &batch);
    assert_eq!(fixture.agenda.stocks[0].retries, HashSet::new());
    assert!(matches!(fixture.next(0, 90), Work::LoadDue(0)));
}

#[test]
fn while_the_disk_fails_only_the_failed_batch_is_tried() {
    let mut fixture = Fixture::new();
    fixture.accept(&[0]);
    let failed = fixture.commit(1);
    fixture.agenda.failing_until = Some(fixture.start + 10 * TICK);
    fixture.accept(&[0]);
    assert!(matches!(fixture.next(9, 0), Work::Sleep(_)));
    assert_eq!(fixture.agenda.tick, None, "nothing is to be handed over");
    assert!(matches!(fixture.next(10, 0), Work::Commit(None)));
    fixture.agenda.committed(&fixture.spool, &failed);
    assert!(matches!(fixture.next(10, 0), Work::LoadFresh(0)));
    assert!(matches!(fixture.next(10, 0), Work::Commit(Some(_))));
}

#[test]
fn what_cannot_be_read_holds_up_nothing_that_can_be_written() {
    for is_spilled in [true, false] {
        let mut fixture = Fixture::new();
        if is_spilled {
            // It is to be read whenever nothing else is.
            fixture.agenda.stocks[0].spill(Seq(7));
        }
        fixture.accept(&[]);
        let mut ticks = 0;
        loop {
            match fixture.next(ticks, 0) {
                Work::Commit(Some(_)) => break,
                Work::Commit(None) => fixture.agenda.touched(),
                Work::Sleep(_) => ticks += 250,
                _fails => {
                    let again = fixture.start + TICK * (ticks + 250);
                    fixture.agenda.unreadable_until = Some(again);
                }
            }
            assert!(ticks < 1_250, "nothing is written for five seconds");
        }
    }
}

#[test]
fn nothing_is_read_again_before_it_is_seen_that_something_can_be_written() {
    let mut fixture = Fixture::new();
    fixture.agenda.stocks[0].spill(Seq(7));
    assert!(matches!(fixture.next(0, 0), Work::LoadFresh(0)));
    fixture.agenda.unreadable_until = Some(fixture.start + 10 * TICK);
    assert!(matches!(fixture.next(9, 0), Work::Sleep(wait) if wait == TICK));
    assert!(matches!(fixture.next(10, 0), Work::Commit(None)));
    fixture.agenda.touched();
    assert!(matches!(fixture.next(10, 0), Work::LoadFresh(0)));
}

#[test]
fn what_cannot_be_read_of_one_webhook_keeps_no_other_from_its_own() {
    let mut fixture = Fixture::new();
    let metrics = fixture.spool.metrics.of("other");
    let keeping = Keeping::Durable(fixture.webhook);
    let (account, _queue) = Account::new(keeping, 1_000_000, metrics);
    assert_eq!(fixture.spool.accounts.add(account, fixture.start), Some(1));
    fixture.agenda.flows.push(Flow::default());
    fixture.agenda.stocks.push(Stock {
        is_served: true,
        ..Stock::default()
    });
    for stock in &mut fixture.agenda.stocks {
        stock.spill(Seq(7));
    }
    for webhook in [1, 0, 1] {
        let work = fixture.next(0, 0);
        assert!(
            matches!(work, Work::LoadFresh(of) if of == webhook),
            "{work:?}"
        );
    }
}

#[test]
fn a_ticket_alone_is_a_batch() {
    let mut fixture = Fixture::new();
    let spool = Arc::clone(&fixture.spool);
    fixture.agenda.batch.tickets.push(Ticket::none());
    fixture.agenda.tick = Some(fixture.start);
    let batch = fixture.commit(0);
    fixture.agenda.committed(&spool, &batch);
    assert!(matches!(fixture.next(0, 0), Work::Sleep(_)));
}

#[test]
fn a_flush_commits_everything_and_answers() {
    let mut fixture = Fixture::new();
    fixture.accept(&[]);
    let (done, mut flushed) = oneshot::channel();
    fixture.agenda.flushes.push(done);
    let batch = fixture.commit(0);
    assert!(flushed.try_recv().is_err());
    fixture.agenda.committed(&fixture.spool, &batch);
    assert!(matches!(fixture.next(0, 0), Work::Sleep(_)));
    assert!(flushed.try_recv().is_ok());
    fixture.agenda.is_closing = true;
    assert!(matches!(fixture.next(0, 0), Work::Close));
}

#[test]
fn retries_that_take_turns_do_not_wait_for_fresh_ones_to_leave_memory() {
    let mut fixture = Fixture::new();
    let now = fixture.start;
    let time = Timestamp::now();
    let stock = &mut fixture.agenda.stocks[0];
    stock.next_due = Some(time);
    stock.spill(Seq(7));
    let next = |fixture: &mut Fixture| fixture.agenda.next(&fixture.spool, now, time);
    assert!(matches!(next(&mut fixture), Work::LoadFresh(0)));
    fixture.agenda.stocks[0].takes_turns = true;
    assert!(matches!(next(&mut fixture), Work::LoadDue(0)));
    account(&fixture.spool).hold(999_999);
    assert!(matches!(next(&mut fixture), Work::LoadDue(0)));
    account(&fixture.spool).hold(1);
    assert!(
        matches!(next(&mut fixture), Work::Sleep(_)),
        "there is no memory"
    );
}
