mod bounds;
mod dead_letters;
mod definitions;
mod devices;
mod faults;
mod hostile;
mod model;
mod opening;
mod order;
mod processes;
mod round_trip;
mod whereabouts;
mod world;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use tempfile::TempDir;

use super::*;
use crate::event::{Client, Detail, Event, Id, Kind, Message, TopicName};

/// A window that everything fits into.
const ALL: Window = Window {
    deliveries: usize::MAX,
    bytes: usize::MAX,
};

/// A store in a directory that goes with it, and two webhooks.
struct Fixture {
    store: Store,
    dir: TempDir,
    webhooks: [WebhookKey; 2],
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = open(dir.path());
        let webhooks = ["one", "two"].map(|name| store.register(name).expect("a writable store"));
        Self {
            store,
            dir,
            webhooks,
        }
    }

    fn commit(&mut self, changes: &[Change]) {
        self.store.commit(changes).expect("a writable store");
    }

    /// Appends one event after the other for the first webhook, accepted at these times.
    fn append(&mut self, first: u64, accepted: &[u64]) {
        let changes: Vec<Change> = (first..)
            .zip(accepted)
            .map(|(seq, accepted)| append(seq, *accepted, &[self.webhooks[0]]))
            .collect();
        self.commit(&changes);
    }

    fn fresh(&self) -> Vec<u64> {
        let loaded = self.store.fresh(self.webhooks[0], None, ALL);
        numbers(&loaded.expect("a readable store"))
    }

    fn due(&self, now: u64) -> Vec<u64> {
        let loaded = self
            .store
            .due(self.webhooks[0], at(now), &HashSet::new(), ALL);
        numbers(&loaded.expect("a readable store"))
    }

    /// Returns what the other tests may not know: whether `SQLite` finds the database sound.
    fn is_sound(&self) -> bool {
        let answer: String = self
            .store
            .connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("a readable store");
        answer == "ok"
    }
}

fn open(dir: &Path) -> Store {
    let opened = Store::open(dir).expect("a directory of ours");
    assert_eq!(opened.set_aside, None, "nothing was damaged");
    opened.store
}

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn numbers(loaded: &[Loaded]) -> Vec<u64> {
    loaded.iter().map(|loaded| loaded.seq.0).collect()
}

fn message(payload: &[u8]) -> Event {
    let topic = TopicName::try_from(ByteString::from_static("a/b")).expect("a topic name");
    Event {
        id: Id::new(),
        kind: Kind::MessagePublish,
        time: at(1_000),
        client: Client::default(),
        detail: Detail::Message(Message {
            topic,
            payload: Bytes::copy_from_slice(payload),
            qos: 1,
            retain: false,
            protocol_version: None,
            properties: None,
        }),
    }
}

fn append(seq: u64, accepted: u64, webhooks: &[WebhookKey]) -> Change {
    Change::Append {
        seq: Seq(seq),
        accepted: at(accepted),
        event: Arc::new(message(b"hello")),
        webhooks: webhooks.to_vec(),
    }
}

fn settle(webhook: WebhookKey, seq: u64) -> Change {
    Change::Settle {
        webhook,
        seq: Seq(seq),
        due: Due::Fresh,
    }
}

fn retry(webhook: WebhookKey, seq: u64, next: u64) -> Change {
    Change::Retry {
        webhook,
        seq: Seq(seq),
        due: Due::Fresh,
        next: at(next),
        failures: 1,
        first_failed: at(next),
    }
}

fn bury(webhook: WebhookKey, seq: u64, time: u64) -> Change {
    Change::Bury {
        webhook,
        seq: Seq(seq),
        due: Due::Fresh,
        failures: 3,
        outcome: "answered 500".to_owned(),
        reason: GaveUp::Exhausted,
        at: at(time),
    }
}
