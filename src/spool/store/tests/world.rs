//! A naive model of the store: maps, and loops over all of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::sync::Arc;

use super::super::event::Columns;
use super::*;

/// Hashes of keys that deliveries are parked under.
pub(super) const KEYS: [u64; 2] = [2, u64::MAX];

/// A delivery as the model has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) due: Due,
    failures: u32,
    first_failed: Option<Timestamp>,
    pub(super) accepted: Timestamp,
    pub(super) event: Arc<Event>,
}

/// A dead letter as the model has it.
#[derive(Debug, Clone)]
pub(super) struct Dead {
    id: u64,
    webhook: WebhookKey,
    at: Timestamp,
    bytes: u64,
    letter: Delivery,
}

/// All that a store should hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) deliveries: BTreeMap<(WebhookKey, Seq), Delivery>,
    pub(super) dead: Vec<Dead>,
    pub(super) last_seq: Option<Seq>,
    buried: u64,
    replayed: u64,
    states: BTreeMap<WebhookKey, WebhookState>,
}

fn is_replayed(seq: Seq) -> bool {
    seq.0 >= Seq::REPLAYED.unsigned_abs()
}

impl Model {
    pub(super) fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::Append {
                seq,
                accepted,
                event,
                webhooks,
            } => {
                for webhook in webhooks {
                    let fresh = Delivery {
                        due: Due::Fresh,
                        failures: 0,
                        first_failed: None,
                        accepted,
                        event: Arc::clone(&event),
                    };
                    self.deliveries.insert((webhook, seq), fresh);
                    self.last_seq = self.last_seq.max(Some(seq));
                }
            }
            Change::Settle { webhook, seq, due } => {
                self.take(webhook, seq, due);
            }
            Change::Retry {
                webhook,
                seq,
                due,
                next,
                failures,
                first_failed,
            } => {
                let failed = (failures, Some(first_failed));
                self.put_off((webhook, seq), (due, Due::At(next)), failed);
            }
            Change::Park {
                webhook,
                seq,
                due,
                key,
                failures,
                first_failed,
            } => {
                let failed = (failures, first_failed);
                self.put_off((webhook, seq), (due, Due::Parked(key)), failed);
            }
            Change::Bury { .. } => self.bury(change),
            Change::HoldBack { webhook, seq, next } => {
                self.put_off((webhook, seq), (Due::Fresh, Due::At(next)), (0, None));
            }
            Change::Device(_) | Change::Forget { .. } | Change::Watch(_) => {}
            Change::State { webhook, state } => {
                self.states.insert(webhook, state);
            }
        }
    }

    pub(super) fn unpark(&mut self, webhook: WebhookKey) {
        for ((key, _), delivery) in &mut self.deliveries {
            if *key == webhook && matches!(delivery.due, Due::Parked(_)) {
                delivery.due = Due::Fresh;
            }
        }
    }

    pub(super) fn refresh(&mut self, webhook: WebhookKey) {
        for ((key, seq), delivery) in &mut self.deliveries {
            let is_put_off = matches!(delivery.due, Due::At(_)) && !seq.is_replayed();
            let is_held_back = delivery.first_failed.is_none();
            if *key == webhook && is_put_off && !is_held_back {
                delivery.due = Due::Fresh;
            }
        }
    }

    fn put_off(
        &mut self,
        (webhook, seq): (WebhookKey, Seq),
        (due, next): (Due, Due),
        (failures, first_failed): (u32, Option<Timestamp>),
    ) {
        if let Some(delivery) = self.take(webhook, seq, due) {
            let later = Delivery {
                due: next,
                failures,
                first_failed,
                ..delivery
            };
            self.deliveries.insert((webhook, seq), later);
        }
    }

    fn take(&mut self, webhook: WebhookKey, seq: Seq, due: Due) -> Option<Delivery> {
        let is_there = self.deliveries.get(&(webhook, seq))?.due == due;
        is_there.then(|| self.deliveries.remove(&(webhook, seq)))?
    }

    fn bury(&mut self, change: &Change) {
        let Change::Bury {
            webhook,
            seq,
            due,
            failures,
            outcome,
            at,
            ..
        } = change
        else {
            unreachable!("called for burials only");
        };
        let Some(delivery) = self.take(*webhook, *seq, *due) else {
            return;
        };
        let columns = Columns::of(&delivery.event);
        let parts = [
            150,
            outcome.len(),
            columns.topic.map_or(0, str::len),
            columns.attributes.len(),
            columns.payload.map_or(0, <[u8]>::len),
        ];
        let size = parts.iter().sum::<usize>() as u64;
        self.buried += 1;
        self.dead.push(Dead {
            id: self.buried,
            webhook: *webhook,
            at: *at,
            bytes: match 4_096 / size {
                0 => size + 2_048,
                rows => 4_096 / rows,
            },
            letter: Delivery {
                failures: *failures,
                ..delivery.clone()
            },
        });
    }

    /// Returns the events, the oldest first.
    fn events(&self) -> BTreeSet<(Timestamp, bool, Seq)> {
        self.deliveries
            .iter()
            .map(|((_, seq), delivery)| (delivery.accepted, is_replayed(*seq), *seq))
            .collect()
    }

    fn drop_events(&mut self, events: &[Seq]) -> BTreeMap<WebhookKey, u64> {
        let mut dropped = BTreeMap::new();
        self.deliveries.retain(|(webhook, seq), _| {
            let goes = events.contains(seq);
            if goes {
                *dropped.entry(*webhook).or_default() += 1;
            }
            !goes
        });
        dropped
    }

    pub(super) fn expire(&mut self, before: Timestamp, limit: usize) -> BTreeMap<WebhookKey, u64> {
        let mut old: Vec<_> = self.events().into_iter().collect();
        old.retain(|(accepted, ..)| *accepted < before);
        old.sort_by_key(|(_, _, seq)| *seq);
        let seqs: Vec<Seq> = old.iter().take(limit).map(|(_, _, seq)| *seq).collect();
        self.drop_events(&seqs)
    }

    pub(super) fn drop_oldest(&mut self, limit: usize) -> BTreeMap<WebhookKey, u64> {
        let events = self.events();
        let seqs: Vec<Seq> = events.iter().take(limit).map(|(_, _, seq)| *seq).collect();
        self.drop_events(&seqs)
    }

    pub(super) fn trim(
        &mut self,
        max_bytes: u64,
        before: Timestamp,
        limit: usize,
    ) -> BTreeMap<WebhookKey, u64> {
        let mut dropped = BTreeMap::new();
        for _ in 0..limit {
            let total: u64 = self.dead.iter().map(|dead| dead.bytes).sum();
            match self.dead.first() {
                Some(oldest) if total > max_bytes || oldest.at < before => {
                    *dropped.entry(oldest.webhook).or_default() += 1;
                    self.dead.remove(0);
                }
                _ => break,
            }
        }
        dropped
    }

    /// Takes away the first dead letters of a webhook.
    pub(super) fn exhume(&mut self, webhook: WebhookKey, limit: usize) -> Vec<Dead> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.dead)
            .into_iter()
            .partition(|dead| dead.webhook == webhook);
        let (taken, spared) = taken.split_at(limit.min(taken.len()));
        self.dead = left;
        self.dead.extend_from_slice(spared);
        self.dead.sort_by_key(|dead| dead.id);
        taken.to_vec()
    }

    pub(super) fn replay(&mut self, webhook: WebhookKey, now: Timestamp, limit: usize) -> u64 {
        let taken = self.exhume(webhook, limit);
        for dead in &taken {
            let seq = Seq(Seq::REPLAYED.unsigned_abs() + self.replayed);
            self.replayed += 1;
            let again = Delivery {
                due: Due::At(now),
                failures: 0,
                first_failed: None,
                accepted: now,
                event: Arc::clone(&dead.letter.event),
            };
            self.deliveries.insert((webhook, seq), again);
        }
        taken.len() as u64
    }

    /// Asserts that a store holds what the model holds, whichever way it is asked.
    pub(super) fn check(&self, store: &Store, webhooks: &[WebhookKey]) {
        for webhook in webhooks {
            self.check_deliveries(store, *webhook);
            let state = self.states.get(webhook).cloned().unwrap_or_default();
            assert_eq!(store.state(*webhook).expect("readable"), state);
        }
        self.check_backlog(store);
        self.check_dead_letters(store);
        assert_eq!(store.last_seq().expect("readable"), self.last_seq);
        check_shares(store, self.events().len());
    }

    fn check_deliveries(&self, store: &Store, webhook: WebhookKey) {
        let of_webhook = |is_meant: &dyn Fn(Due) -> bool| {
            let mut wanted: Vec<(Due, Seq, Delivery)> = self
                .deliveries
                .iter()
                .filter(|((key, _), delivery)| *key == webhook && is_meant(delivery.due))
                .map(|((_, seq), delivery)| (delivery.due, *seq, delivery.clone()))
                .collect();
            wanted.sort_by_key(|(due, seq, _)| (*due, *seq));
            wanted
        };
        let found = |loaded: Vec<Loaded>| -> Vec<(Due, Seq, Delivery)> {
            let found = loaded.into_iter().map(|loaded| {
                let delivery = Delivery {
                    due: loaded.due,
                    failures: loaded.failures,
                    first_failed: loaded.first_failed,
                    accepted: loaded.accepted,
                    event: Arc::new(loaded.event),
                };
                (loaded.due, loaded.seq, delivery)
            });
            found.collect()
        };
        let is_fresh = |due| due == Due::Fresh;
        let is_due = |due| matches!(due, Due::At(_));
        let none = HashSet::new();
        let fresh = store.fresh(webhook, None, ALL).expect("readable");
        assert_eq!(found(fresh), of_webhook(&is_fresh), "the fresh");
        let due = store.due(webhook, at(u64::MAX), &none, ALL);
        assert_eq!(
            found(due.expect("readable")),
            of_webhook(&is_due),
            "the due"
        );
        for key in KEYS.map(Key::of) {
            let parked = store.parked(webhook, key, Seq(0), ALL).expect("readable");
            let is_parked = |due| due == Due::Parked(key);
            assert_eq!(found(parked), of_webhook(&is_parked), "the parked");
        }
        let next = of_webhook(&is_due).first().map(|(due, ..)| *due);
        let next_due = store.next_due(webhook, &none).expect("readable");
        assert_eq!(next_due.map(Due::At), next, "the next");
        let last = of_webhook(&is_fresh).last().map(|(_, seq, _)| *seq);
        assert_eq!(store.last_fresh(webhook).expect("readable"), last);
    }

    fn check_backlog(&self, store: &Store) {
        for backlog in store.backlog().expect("readable") {
            let key = backlog.webhook;
            let deliveries = || self.deliveries.iter().filter(|((k, _), _)| *k == key);
            let fresh = deliveries()
                .filter(|(_, delivery)| !matches!(delivery.due, Due::At(_)))
                .count() as u64;
            let oldest = deliveries().map(|(_, delivery)| delivery.accepted).min();
            let dead = || self.dead.iter().filter(|dead| dead.webhook == key);
            assert_eq!(backlog.fresh, fresh, "fresh");
            assert_eq!(backlog.retrying, deliveries().count() as u64 - fresh);
            assert_eq!(backlog.oldest, oldest, "oldest");
            assert_eq!(backlog.dead_letters, dead().count() as u64);
            let bytes: u64 = dead().map(|dead| dead.bytes).sum();
            assert_eq!(backlog.dead_letter_bytes, bytes);
        }
    }

    fn check_dead_letters(&self, store: &Store) {
        let letters = store.dead_letters(&Filter::default(), None, usize::MAX);
        let letters = letters.expect("readable");
        assert_eq!(letters.len(), self.dead.len(), "dead letters");
        for (letter, dead) in letters.iter().zip(&self.dead) {
            assert_eq!((letter.id.0, letter.at), (dead.id, dead.at));
            assert_eq!(letter.failures, dead.letter.failures);
            assert_eq!(letter.first_failed, dead.letter.first_failed);
            assert_eq!(letter.accepted, dead.letter.accepted);
            let shown = store.dead_letter(letter.id).expect("readable");
            assert_eq!(shown, Some((letter.clone(), (*dead.letter.event).clone())));
        }
    }
}

/// Asserts that every event is there once, and that its share says how many deliveries it has.
fn check_shares(store: &Store, events: usize) {
    let count = |sql| -> i64 {
        let count = store.connection.query_row(sql, [], |row| row.get(0));
        count.expect("readable")
    };
    let rows = usize::try_from(count("SELECT count(*) FROM events"));
    assert_eq!(rows, Ok(events), "events");
    let wrong = "SELECT count(*) FROM events e LEFT JOIN shares s USING (seq)
        WHERE ifnull(s.open, 1) <> (SELECT count(*) FROM deliveries d WHERE d.seq = e.seq)";
    assert_eq!(count(wrong), 0, "shares that do not count right");
    let orphans = "SELECT count(*) FROM shares WHERE seq NOT IN (SELECT seq FROM events)";
    assert_eq!(count(orphans), 0, "shares of no event");
}

/// Opens what a crash would leave of a store, elsewhere: the database and its log as they are on
/// disk now.
pub(super) fn crashed(dir: &Path) -> (Store, TempDir) {
    let copy = tempfile::tempdir().expect("a temporary directory");
    for file in ["spool.db", "spool.db-wal"] {
        if dir.join(file).exists() {
            fs::copy(dir.join(file), copy.path().join(file)).expect("a readable file");
        }
    }
    (open(copy.path()), copy)
}
