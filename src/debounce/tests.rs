use std::time::Duration;

use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::*;
use crate::ack::Ticket;
use crate::event::{Client, Connection, Device, End, Event, TopicFilter};
use crate::rule::Rule;
use crate::spool::{self, AtStart, Backend, MetricsFamily, Thread, Told, Webhook};

const DEBOUNCE: Duration = Duration::from_secs(30);

/// A debouncer of two webhooks: the first debounces, the second does not.
struct Fixture {
    debouncer: Debouncer,
    spool: Spool,
    thread: Thread,
    start: Timestamp,
    _dir: TempDir,
}

fn rule(kind: Kind, debounce: Option<Duration>) -> Rule {
    Rule {
        debounce,
        ..Rule::new(kind, TopicFilter::all())
    }
}

impl Fixture {
    fn new(kinds: &[Kind]) -> Self {
        Self::with(kinds, spool::Config::default().max_bytes)
    }

    fn with(kinds: &[Kind], max_bytes: u64) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = spool::Config {
            backend: Backend::Sqlite {
                dir: dir.path().join("spool"),
            },
            max_bytes,
            ..spool::Config::default()
        };
        let webhook = |name: &str| Webhook {
            name: name.to_owned(),
            durable: true,
            put_off: AtStart::Leave,
            holds_back: true,
        };
        let webhooks = [webhook("calm"), webhook("nervous")];
        let metrics = MetricsFamily::new(&mut Registry::default());
        let opened = Spool::open(&config, &webhooks, metrics);
        let (spool, thread, _) = opened.expect("a directory of ours");
        let calm: Vec<Rule> = kinds
            .iter()
            .map(|kind| rule(*kind, Some(DEBOUNCE)))
            .collect();
        let nervous: Vec<Rule> = kinds.iter().map(|kind| rule(*kind, None)).collect();
        let rules = Arc::new(Rules::compile([calm.as_slice(), &nervous]));
        let all = KindSet::of(kinds);
        Self {
            debouncer: Debouncer::new(&rules, &spool, all).expect("a rule debounces"),
            spool,
            thread,
            start: Timestamp::now(),
            _dir: dir,
        }
    }

    /// Lets something happen so many seconds after the start; returns who is told now.
    fn tell(&mut self, second: u64, happening: &Happening) -> Vec<WebhookIndex> {
        let now = self.start.after(Duration::from_secs(second));
        let ticket = Ticket::none();
        let split = self.debouncer.split(happening, &[0, 1], now);
        let share = ticket.share();
        self.spool.record_taking_back(&split.back, [], [], share);
        let later = split.later;
        if !later.is_empty() {
            let told = Told {
                event: Event::new(happening.clone(), now),
                now: SmallVec::new(),
                later: later.clone(),
            };
            let id = happening.client.id.clone().expect("a client");
            for seq in self.spool.record([], [told], ticket) {
                self.debouncer.held_back(&id, &later, seq);
            }
        }
        split.now.into_vec()
    }

    /// Returns how many deliveries wait on disk.
    async fn waiting(&self) -> usize {
        self.spool.flush().await;
        self.spool.waiting()
    }
}

fn happening(kind: Kind, detail: Detail) -> Happening {
    Happening {
        kind,
        time: None,
        client: Client {
            id: Some("dev".into()),
            ..Client::default()
        },
        detail,
    }
}

fn leaves(reason: Reason) -> Happening {
    let connected_at = None;
    happening(
        Kind::ClientDisconnected,
        Detail::End(End {
            reason,
            connected_at,
        }),
    )
}

fn returns() -> Happening {
    happening(
        Kind::ClientConnected,
        Detail::Connection(Connection::default()),
    )
}

fn changes(status: Status) -> Happening {
    let time = Timestamp::from_millis(1);
    happening(
        Kind::DeviceStatusChanged,
        Detail::Device(Device {
            status,
            previous: None,
            reason: None,
            first_seen: time,
            last_seen: time,
        }),
    )
}

const CONNECTIONS: [Kind; 2] = [Kind::ClientConnected, Kind::ClientDisconnected];

#[tokio::test]
async fn who_returns_in_time_is_not_told_of_and_who_is_late_is() {
    let mut fixture = Fixture::new(&CONNECTIONS);
    assert_eq!(fixture.tell(0, &returns()), [0, 1]);
    assert_eq!(fixture.tell(1, &leaves(Reason::Normal)), [1]);
    assert_eq!(fixture.waiting().await, 1);
    assert_eq!(fixture.tell(30, &returns()), [1]);
    assert_eq!(fixture.waiting().await, 0);
    assert_eq!(fixture.tell(40, &leaves(Reason::Normal)), [1]);
    assert_eq!(fixture.tell(70, &returns()), [0, 1]);
    assert_eq!(fixture.waiting().await, 1);
    fixture.thread.close();
}

#[tokio::test]
async fn what_is_due_is_told_though_the_client_is_back_and_so_is_its_return() {
    let mut fixture = Fixture::new(&CONNECTIONS);
    // Its return in between was not heard.
    assert_eq!(fixture.tell(0, &leaves(Reason::Normal)), [1]);
    assert_eq!(fixture.tell(10, &leaves(Reason::Normal)), [1]);
    assert_eq!(fixture.waiting().await, 2);
    assert_eq!(fixture.tell(35, &returns()), [0, 1]);
    assert_eq!(fixture.waiting().await, 1, "the second was taken back");
    fixture.thread.close();
}

#[tokio::test]
async fn a_client_that_takes_over_has_not_left() {
    let mut fixture = Fixture::new(&CONNECTIONS);
    assert_eq!(fixture.tell(0, &leaves(Reason::TakenOver)), [1]);
    assert_eq!(fixture.tell(0, &returns()), [1]);
    assert_eq!(fixture.waiting().await, 0);
    fixture.thread.close();
}

#[tokio::test]
async fn who_is_told_of_returns_only_is_not_told_of_soon_ones() {
    let mut fixture = Fixture::new(&[Kind::ClientConnected]);
    let leave = leaves(Reason::Normal);
    let now = fixture.start;
    let split = fixture.debouncer.split(&leave, &[], now);
    assert_eq!(split, Split::default());
    assert_eq!(fixture.tell(29, &returns()), [1]);
    assert_eq!(fixture.tell(99, &returns()), [0, 1]);
    fixture.thread.close();
}

#[tokio::test]
async fn who_is_told_of_a_refusal_is_not_told_later_of_what_was_before_it() {
    let mut fixture = Fixture::new(&[Kind::DeviceStatusChanged]);
    assert_eq!(fixture.tell(0, &changes(Status::Disconnected)), [1]);
    assert_eq!(fixture.tell(1, &changes(Status::Refused)), [0, 1]);
    assert_eq!(fixture.waiting().await, 0);
    assert_eq!(fixture.tell(2, &changes(Status::Connected)), [0, 1]);
    assert_eq!(fixture.tell(3, &changes(Status::Disconnected)), [1]);
    assert_eq!(fixture.tell(4, &changes(Status::Connected)), [1]);
    assert_eq!(fixture.waiting().await, 0);
    fixture.thread.close();
}

#[tokio::test]
async fn a_leave_that_is_told_at_once_has_its_return_told() {
    let mut fixture = Fixture::new(&CONNECTIONS);
    for second in 0..4 {
        assert_eq!(fixture.tell(second, &leaves(Reason::Normal)), [1]);
    }
    // Of the returns in between none was heard.
    assert_eq!(fixture.tell(4, &leaves(Reason::Normal)), [0, 1]);
    // The next run finds nothing that it would have the return taken back for.
    assert_eq!(fixture.waiting().await, 0);
    assert_eq!(fixture.tell(5, &returns()), [0, 1]);
    assert_eq!(fixture.waiting().await, 0);
    assert_eq!(fixture.tell(6, &leaves(Reason::Normal)), [1]);
    assert_eq!(fixture.tell(7, &returns()), [1]);
    fixture.thread.close();
}

#[tokio::test]
async fn nothing_is_held_back_while_the_disk_is_full() {
    let mut fixture = Fixture::with(&CONNECTIONS, 64 * 1024);
    let mut held = 0;
    let mut leave = leaves(Reason::Normal);
    loop {
        leave.client.id = Some(format!("dev {held}").into());
        if fixture.tell(0, &leave) == [0, 1] {
            break;
        }
        held += 1;
        assert!(held < 10_000, "there is no end");
        fixture.spool.flush().await;
    }
    assert_eq!(fixture.waiting().await, held);
    assert_eq!(fixture.tell(0, &leaves(Reason::Normal)), [0, 1]);
    assert_eq!(fixture.tell(1, &returns()), [0, 1]);
    fixture.thread.close();
}

#[tokio::test]
async fn one_that_comes_and_goes_takes_one_place() {
    let mut fixture = Fixture::new(&CONNECTIONS);
    for second in 0..20 {
        assert_eq!(fixture.tell(second, &leaves(Reason::Normal)), [1]);
        assert_eq!(fixture.debouncer.order.len(), 1);
        assert_eq!(fixture.tell(second, &returns()), [1]);
        assert!(fixture.debouncer.order.is_empty() && fixture.debouncer.away.is_empty());
    }
    assert_eq!(fixture.waiting().await, 0);
    fixture.thread.close();
}

#[tokio::test]
async fn who_is_waited_for_long_keeps_nobody_else() {
    let mut fixture = Fixture::new(&CONNECTIONS);
    let long = (0, "patient".into());
    let until = fixture.start.after(Duration::from_hours(1));
    fixture.debouncer.wait_for(&long, until);
    assert_eq!(fixture.tell(0, &leaves(Reason::Normal)), [1]);
    assert_eq!(fixture.debouncer.away.len(), 2);
    fixture.debouncer.forget(fixture.start.after(DEBOUNCE));
    assert_eq!(fixture.debouncer.away.keys().collect::<Vec<_>>(), [&long]);
    fixture.thread.close();
}

#[tokio::test]
async fn there_is_no_end_to_clients_but_to_what_is_known_of_them() {
    let mut fixture = Fixture::new(&[Kind::ClientConnected]);
    for n in 0..=MOST {
        let mut leave = leaves(Reason::Normal);
        leave.client.id = Some(format!("dev {n}").into());
        let now = fixture.start;
        fixture.debouncer.split(&leave, &[], now);
    }
    assert_eq!(fixture.debouncer.order.len(), MOST);
    assert_eq!(fixture.debouncer.away.len(), MOST);
    assert_eq!(fixture.tell(31, &returns()), [0, 1]);
    assert!(fixture.debouncer.order.is_empty() && fixture.debouncer.away.is_empty());
    fixture.thread.close();
}
