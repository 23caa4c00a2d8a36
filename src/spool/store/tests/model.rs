//! Random sequences against the naive model: whatever is done, whatever crashes, the store holds
//! what the model holds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::world::{Delivery, KEYS, Model, crashed};
use super::*;

/// One thing to do. An [`Index`] picks one of what is there at that time.
#[derive(Debug, Clone)]
enum Action {
    /// Writes several changes at once.
    Commit(Vec<Step>),
    /// The same while the disk is full, and again when there is space.
    CommitWhileFull(Vec<Step>),
    Expire {
        age: u64,
        limit: usize,
    },
    DropOldest {
        limit: usize,
    },
    Trim {
        max_bytes: u64,
        age: u64,
        limit: usize,
    },
    Replay {
        webhook: Index,
        limit: usize,
    },
    DropDead {
        webhook: Index,
        limit: usize,
    },
    Unpark {
        webhook: Index,
    },
    Refresh {
        webhook: Index,
    },
    Tidy,
    Reopen,
    Crash,
}

/// One change.
#[derive(Debug, Clone)]
enum Step {
    Append {
        webhooks: u8,
        payload: Vec<u8>,
    },
    AppendMore {
        webhooks: u8,
        delivery: Index,
    },
    Settle(Index),
    Retry(Index, u64),
    Park(Index, usize),
    Bury(Index, String),
    /// Of a delivery that is not there.
    Miss(u8),
    State(Index, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let payload = prop_oneof![
        9 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => Just(vec![7; 9_000]),
    ];
    prop_oneof![
        6 => (0..8_u8, payload).prop_map(|(webhooks, payload)| Step::Append { webhooks, payload }),
        1 => (1..8_u8, any::<Index>()).prop_map(|(webhooks, delivery)| Step::AppendMore { webhooks, delivery }),
        4 => any::<Index>().prop_map(Step::Settle),
        3 => (any::<Index>(), 0..50_u64).prop_map(|(index, delay)| Step::Retry(index, delay)),
        2 => (any::<Index>(), 0..2_usize).prop_map(|(index, key)| Step::Park(index, key)),
        2 => (any::<Index>(), ".{0,20}").prop_map(|(index, outcome)| Step::Bury(index, outcome)),
        1 => (0..3_u8).prop_map(Step::Miss),
        1 => (any::<Index>(), any::<u32>()).prop_map(|(index, failures)| Step::State(index, failures)),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let steps = || proptest::collection::vec(step(), 1..12);
    prop_oneof![
        8 => steps().prop_map(Action::Commit),
        1 => steps().prop_map(Action::CommitWhileFull),
        1 => (0..200_u64, 0..5_usize).prop_map(|(age, limit)| Action::Expire { age, limit }),
        1 => (0..5_usize).prop_map(|limit| Action::DropOldest { limit }),
        1 => (0..2_000_u64, 0..200_u64, 0..5_usize)
            .prop_map(|(max_bytes, age, limit)| Action::Trim { max_bytes, age, limit }),
        2 => (any::<Index>(), 0..4_usize).prop_map(|(webhook, limit)| Action::Replay { webhook, limit }),
        1 => (any::<Index>(), 0..3_usize).prop_map(|(webhook, limit)| Action::DropDead { webhook, limit }),
        1 => any::<Index>().prop_map(|webhook| Action::Unpark { webhook }),
        1 => any::<Index>().prop_map(|webhook| Action::Refresh { webhook }),
        1 => Just(Action::Tidy),
        1 => Just(Action::Reopen),
        1 => Just(Action::Crash),
    ]
}

const NAMES: [&str; 3] = ["one", "two", "three"];

/// A store and its model, and a clock that only runs on.
struct Pair {
    store: Store,
    dir: TempDir,
    model: Model,
    webhooks: [WebhookKey; 3],
    now: u64,
    next_seq: u64,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = open(dir.path());
        let webhooks = NAMES.map(|name| store.register(name).expect("writable"));
        Self {
            store,
            dir,
            model: Model::default(),
            webhooks,
            now: 1_000,
            next_seq: 1,
        }
    }

    /// Returns the changes that these steps mean, and the model after them.
    fn changes(&mut self, steps: &[Step]) -> (Vec<Change>, Model) {
        let mut model = self.model.clone();
        let mut changes = Vec::new();
        for step in steps {
            let change = self.change(step, &model);
            changes.extend(change.inspect(|change| model.apply(change)));
        }
        (changes, model)
    }

    /// Returns the change that a step means; `None` if there is nothing to change.
    fn change(&mut self, step: &Step, model: &Model) -> Option<Change> {
        match step {
            Step::Append { webhooks, payload } => {
                self.next_seq += 1;
                Some(Change::Append {
                    seq: Seq(self.next_seq),
                    accepted: at(self.now),
                    event: Arc::new(message(payload)),
                    webhooks: self.chosen(*webhooks),
                })
            }
            Step::AppendMore { webhooks, delivery } => {
                let (_, seq, delivery) = pick(model, *delivery)?;
                let mut webhooks = self.chosen(*webhooks);
                webhooks.retain(|webhook| !model.deliveries.contains_key(&(*webhook, seq)));
                // A replayed one's number is the store's, and nobody else appends to it.
                (seq.0 < Seq::REPLAYED.unsigned_abs()).then(|| Change::Append {
                    seq,
                    accepted: delivery.accepted,
                    event: Arc::clone(&delivery.event),
                    webhooks,
                })
            }
            Step::Miss(kind) => Some(self.miss(*kind)),
            Step::State(index, failures) => Some(Change::State {
                webhook: *index.get(&self.webhooks),
                state: WebhookState {
                    status: Status::DisabledDueToErrors,
                    since: Some(at(self.now)),
                    reason: "gone".to_owned(),
                    consecutive_failures: *failures,
                    failing_since: Some(at(self.now)),
                },
            }),
            Step::Settle(_) | Step::Retry(..) | Step::Park(..) | Step::Bury(..) => {
                self.end(step, model)
            }
        }
    }

    /// Returns the change that ends an attempt of a delivery; `None` if there is no delivery.
    fn end(&self, step: &Step, model: &Model) -> Option<Change> {
        let now = at(self.now);
        Some(match step {
            Step::Retry(index, delay) => {
                let (webhook, seq, Delivery { due, .. }) = pick(model, *index)?;
                Change::Retry {
                    webhook,
                    seq,
                    due: *due,
                    next: at(self.now + delay),
                    failures: 7,
                    first_failed: now,
                }
            }
            Step::Park(index, key) => {
                let (webhook, seq, Delivery { due, .. }) = pick(model, *index)?;
                Change::Park {
                    webhook,
                    seq,
                    due: *due,
                    key: Key::of(KEYS[*key]),
                    failures: 3,
                    first_failed: None,
                }
            }
            Step::Bury(index, outcome) => {
                let (webhook, seq, Delivery { due, .. }) = pick(model, *index)?;
                Change::Bury {
                    webhook,
                    seq,
                    due: *due,
                    failures: 9,
                    outcome: outcome.clone(),
                    reason: GaveUp::Rejected,
                    at: now,
                }
            }
            Step::Settle(index) => {
                let (webhook, seq, Delivery { due, .. }) = pick(model, *index)?;
                let due = *due;
                Change::Settle { webhook, seq, due }
            }
            _ => return None,
        })
    }

    /// Returns the webhooks whose bits are set.
    fn chosen(&self, bits: u8) -> Vec<WebhookKey> {
        let webhooks = self.webhooks.iter().enumerate();
        let chosen = webhooks.filter(|(place, _)| bits & (1 << place) != 0);
        chosen.map(|(_, webhook)| *webhook).collect()
    }

    fn miss(&self, kind: u8) -> Change {
        let (webhook, seq, next) = (self.webhooks[0], u64::from(u32::MAX), self.now + 1);
        match kind {
            0 => settle(webhook, seq),
            1 => retry(webhook, seq, next),
            _ => bury(webhook, seq, self.now),
        }
    }

    fn perform(&mut self, action: &Action) {
        let now = at(self.now);
        match action {
            Action::Commit(steps) => {
                let (changes, model) = self.changes(steps);
                self.store.commit(&changes).expect("writable");
                self.model = model;
            }
            Action::CommitWhileFull(steps) => {
                let (changes, model) = self.changes(steps);
                self.commit_while_full(&changes);
                self.model = model;
            }
            Action::Expire { age, limit } => {
                let before = at(self.now.saturating_sub(*age));
                let dropped = self.store.expire(before, *limit).expect("writable");
                check_dropped(dropped, &self.model.expire(before, *limit));
            }
            Action::DropOldest { limit } => {
                let dropped = self.store.drop_oldest(*limit).expect("writable");
                check_dropped(dropped, &self.model.drop_oldest(*limit));
            }
            Action::Trim {
                max_bytes,
                age,
                limit,
            } => {
                let before = at(self.now.saturating_sub(*age));
                let dropped = self.store.trim_dead_letters(*max_bytes, before, *limit);
                let wanted = self.model.trim(*max_bytes, before, *limit);
                check_dropped(dropped.expect("writable"), &wanted);
            }
            Action::Replay { webhook, limit } => {
                let (filter, key) = self.of(*webhook);
                let replayed = self.store.replay(&filter, now, *limit).expect("writable");
                assert_eq!(replayed, self.model.replay(key, now, *limit));
            }
            Action::DropDead { webhook, limit } => {
                let (filter, key) = self.of(*webhook);
                let dropped = self.store.drop_dead_letters(&filter, *limit);
                let wanted = self.model.exhume(key, *limit).len() as u64;
                assert_eq!(dropped.expect("writable"), wanted);
            }
            Action::Tidy => while self.store.tidy().expect("writable") {},
            Action::Unpark { webhook } => {
                let webhook = *webhook.get(&self.webhooks);
                self.store.unpark(webhook).expect("writable");
                self.model.unpark(webhook);
            }
            Action::Refresh { webhook } => {
                let webhook = *webhook.get(&self.webhooks);
                self.store.refresh(webhook).expect("writable");
                self.model.refresh(webhook);
            }
            Action::Reopen => self.reopen(),
            Action::Crash => (self.store, self.dir) = crashed(self.dir.path()),
        }
    }

    fn of(&self, index: Index) -> (Filter, WebhookKey) {
        let place = index.index(NAMES.len());
        let filter = Filter {
            webhook: Some(NAMES[place].to_owned()),
            ..Filter::default()
        };
        (filter, self.webhooks[place])
    }

    fn commit_while_full(&mut self, changes: &[Change]) {
        let limit = |store: &Store, pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            let set = store.connection.query_row(&sql, [], |_| Ok(()));
            set.expect("a known pragma");
        };
        limit(&self.store, 1);
        if let Err(error) = self.store.commit(changes) {
            assert!(matches!(error, Error::Full { .. }), "{error:?}");
            self.model.check(&self.store, &self.webhooks);
            limit(&self.store, 1 << 30);
            self.store.commit(changes).expect("there is space again");
        }
        limit(&self.store, 1 << 30);
    }

    fn reopen(&mut self) {
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        self.store = open(elsewhere.path());
        self.store = open(self.dir.path());
    }
}

/// Returns the delivery that an index means; `None` if there is none at all.
fn pick(model: &Model, index: Index) -> Option<(WebhookKey, Seq, &Delivery)> {
    let deliveries: Vec<_> = model.deliveries.iter().collect();
    let is_any = !deliveries.is_empty();
    let (&(webhook, seq), delivery) = *is_any.then(|| index.get(&deliveries))?;
    Some((webhook, seq, delivery))
}

fn check_dropped(dropped: Dropped, wanted: &BTreeMap<WebhookKey, u64>) {
    let dropped: BTreeMap<_, _> = dropped.into_iter().collect();
    assert_eq!(&dropped, wanted, "what was dropped");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_store_holds_what_it_should(
        actions in proptest::collection::vec((action(), 0..20_u64), 1..30),
    ) {
        let mut pair = Pair::new();
        for (action, passed) in &actions {
            pair.now += passed;
            pair.perform(action);
            pair.model.check(&pair.store, &pair.webhooks);
        }
        let answer: String = pair
            .store
            .connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("readable");
        prop_assert_eq!(answer, "ok");
    }
}
