//! What is found out of many devices at once, with a spool that may have no room.

use prometheus_client::registry::Registry;

use super::super::registry::Sight;
use super::super::{Observer, channel};
use super::*;
use crate::event::{Client, Reason};
use crate::spool::{self, AtStart, Backend, OnFull, Webhook};

/// mqhook alone.
const ALONE: u64 = 1;

/// A registrar that runs only when it is told to.
struct World {
    registrar: Registrar,
    _observer: Observer,
    _thread: spool::Thread,
    _queues: Vec<spool::Queue>,
    _dir: tempfile::TempDir,
}

fn observed(id: &str, sight: Sight) -> Observation {
    Observation {
        client: Client {
            id: Some(id.into()),
            ..Client::default()
        },
        sight,
        time: Timestamp::now(),
        now: Timestamp::now(),
    }
}

impl World {
    /// Starts it: `dev` is connected, and then something may have been missed.
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = spool::Config {
            backend: Backend::Sqlite {
                dir: dir.path().join("spool"),
            },
            max_memory_bytes: 64 * 1024,
            on_full: OnFull::Block,
            ..spool::Config::default()
        };
        let webhook = Webhook {
            name: "dead".to_owned(),
            durable: true,
            put_off: AtStart::Leave,
            holds_back: false,
        };
        let metrics = spool::MetricsFamily::new(&mut Registry::default());
        let opened = Spool::open(&config, &[webhook], metrics);
        let (spool, thread, queues) = opened.expect("a directory of ours");
        let metrics = Metrics::new(&mut Registry::default());
        let (observer, queue) = channel(&Config::default(), metrics.clone());
        let route = (Box::new(|_: &Happening| vec![0_usize].into()) as _, vec![0]);
        let mut registrar = Registrar::new(Config::default(), queue, spool, route, metrics);
        registrar.observe(&observed("dev", Sight::Accepted), Ticket::none());
        Self {
            registrar,
            _observer: observer,
            _thread: thread,
            _queues: queues,
            _dir: dir,
        }
    }

    async fn hear(&mut self, heard: impl IntoIterator<Item = Heard>) {
        let mut heard: Vec<Heard> = heard.into_iter().collect();
        self.registrar.take(&mut heard).await;
    }

    /// Has observations come until one finds no room.
    fn fill(&mut self) {
        self.registrar.is_full = false;
        for number in 0.. {
            let sight = match number % 2 {
                0 => Sight::Accepted,
                _ => Sight::Gone(Reason::Normal),
            };
            self.registrar
                .observe(&observed("other", sight), Ticket::none());
            if self.registrar.is_full {
                return;
            }
        }
    }
}

fn count(connections: u64) -> Heard {
    Heard::Vital(Vital::Connections(connections), ALONE)
}

fn up(seconds: u64) -> Heard {
    Heard::Vital(Vital::Uptime(seconds), ALONE)
}

#[tokio::test]
async fn nobody_is_found_absent_when_something_was_missed() {
    for is_heard_again in [false, true] {
        let mut world = World::start();
        world
            .hear([Heard::Interrupted, count(ALONE), Heard::CaughtUp])
            .await;
        if is_heard_again {
            world.fill();
            world.hear([Heard::CaughtUp, count(ALONE)]).await;
        }
        world.hear([up(10)]).await;
        world.fill();
        world.hear([up(12), up(14)]).await;
        assert!(world.registrar.absent.is_none(), "{is_heard_again}");
    }
}
